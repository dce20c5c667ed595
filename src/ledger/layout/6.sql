-- Deliveries that were made pending again: when last, how many attempts had been made before, and of
-- which delivery or event it is the replay.
CREATE TABLE replay(
  delivery INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  origin TEXT NOT NULL) STRICT;

-- What waits for others of its value has a place among them, since a replay comes behind them all.
ALTER TABLE waiting RENAME TO before;
CREATE TABLE waiting(
  route INTEGER NOT NULL,
  key INTEGER NOT NULL,
  place INTEGER NOT NULL,
  delivery INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  queued INTEGER NOT NULL,
  PRIMARY KEY(route, key, place)) STRICT, WITHOUT ROWID;
INSERT INTO waiting SELECT route, key, delivery, delivery, bytes, queued FROM before;
DROP TABLE before;
