-- The files in data/bodies that events own; the highest number of an event that was removed; and
-- how often the file was opened to be written, for a commit that changes something.
CREATE TABLE spooled(name TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO spooled SELECT CAST(body AS TEXT), 0 FROM event WHERE form = 2;
INSERT INTO ledger VALUES('last_seq', 0), ('openings', 0);
