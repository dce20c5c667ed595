-- Deliveries that were made pending again: when last, how many attempts had been made before, and of
-- which delivery or event it is the replay.
CREATE TABLE replay(
  delivery INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  origin TEXT NOT NULL) STRICT;
