-- Bytes of all files that events own.
INSERT INTO ledger SELECT 'spooled_bytes', coalesce(sum(bytes), 0) FROM spooled;
