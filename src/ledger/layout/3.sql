-- The handlers' state: a bucket each, of keys and values. A version is never given twice.
CREATE TABLE bucket(
  id INTEGER PRIMARY KEY,
  handler TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  listing INTEGER NOT NULL,
  keys INTEGER NOT NULL,
  bytes INTEGER NOT NULL) STRICT;
CREATE TABLE state(
  bucket INTEGER NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY(bucket, key)) STRICT, WITHOUT ROWID;
