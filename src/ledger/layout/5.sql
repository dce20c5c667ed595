-- A route has a number, what waits of it is counted, and its part of the queue is one range.
CREATE TABLE route(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  paused INTEGER NOT NULL DEFAULT 0,
  events INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE before(
  delivery INTEGER PRIMARY KEY,
  route TEXT NOT NULL,
  due_at INTEGER,
  attempt INTEGER NOT NULL) STRICT;
INSERT INTO before SELECT id, route, iif(state='parked', 0, NULL), attempts + 1 FROM delivery;
INSERT OR REPLACE INTO before SELECT delivery, route, due_at, attempt FROM queue;
INSERT INTO route(name) SELECT DISTINCT route FROM before ORDER BY delivery;

ALTER TABLE event ADD COLUMN targets TEXT NOT NULL DEFAULT '';
UPDATE event SET targets=coalesce(
  (SELECT group_concat(route.id, ',' ORDER BY delivery) FROM before JOIN route ON name=route
    WHERE delivery>=seq<<16 AND delivery<(seq+1)<<16), '');

DROP TABLE queue;
CREATE TABLE queue(
  route INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  delivery INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  key INTEGER,
  PRIMARY KEY(route, due_at, delivery)) STRICT, WITHOUT ROWID;
INSERT INTO queue
  SELECT route.id, due_at, delivery, attempt, coalesce(length(headers)+length(body), 0), NULL
  FROM before JOIN route ON name=route LEFT JOIN event ON seq=delivery>>16
  WHERE due_at IS NOT NULL;
UPDATE route SET (events, bytes)=
  (SELECT count(*), coalesce(sum(bytes), 0) FROM queue WHERE queue.route=route.id);
DROP TABLE before;

DROP TABLE waiting;
CREATE TABLE waiting(
  route INTEGER NOT NULL,
  key INTEGER NOT NULL,
  delivery INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  queued INTEGER NOT NULL,
  PRIMARY KEY(route, key, delivery)) STRICT, WITHOUT ROWID;

UPDATE delivery SET state='pending', due_at=0, cause=NULL WHERE state='parked' AND state<>'done';
DELETE FROM ledger WHERE name IN ('pending', 'parked');
INSERT INTO ledger VALUES('stamp', 0);
