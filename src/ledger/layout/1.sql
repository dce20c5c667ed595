CREATE TABLE ledger(name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE event(
  seq INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL,
  source TEXT NOT NULL,
  type TEXT NOT NULL,
  secret INTEGER,
  routes INTEGER NOT NULL,
  attributes TEXT NOT NULL,
  headers BLOB NOT NULL,
  form INTEGER NOT NULL,
  body BLOB NOT NULL) STRICT;
CREATE TABLE dedupe(
  seq INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL,
  hash BLOB NOT NULL) STRICT;
CREATE TABLE duplicate(seq INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
CREATE TABLE queue(
  due_at INTEGER NOT NULL,
  delivery INTEGER NOT NULL,
  route TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  PRIMARY KEY(due_at, delivery)) STRICT, WITHOUT ROWID;
CREATE TABLE waiting(
  route TEXT NOT NULL,
  key BLOB NOT NULL,
  delivery INTEGER NOT NULL,
  PRIMARY KEY(route, key, delivery)) STRICT, WITHOUT ROWID;
CREATE TABLE delivery(
  id INTEGER PRIMARY KEY,
  route TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  due_at INTEGER,
  cause TEXT,
  started_at INTEGER,
  duration INTEGER,
  outcome TEXT,
  error TEXT,
  version TEXT,
  logs TEXT) STRICT;
CREATE INDEX unsettled ON delivery(state, id) WHERE state <> 'done';
CREATE TABLE attempt(
  delivery INTEGER NOT NULL,
  n INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  error TEXT,
  version TEXT NOT NULL,
  logs TEXT,
  PRIMARY KEY(delivery, n)) STRICT, WITHOUT ROWID;
CREATE TABLE reply(
  delivery INTEGER PRIMARY KEY,
  status INTEGER NOT NULL,
  headers BLOB NOT NULL,
  body BLOB NOT NULL) STRICT;
INSERT INTO ledger VALUES
  ('tag', abs(random()) % 4294967296), ('dedupe_key', randomblob(16)),
  ('pending', 0), ('done', 0), ('dead', 0), ('parked', 0);
