-- The de-duplication entries of one commit lie together: of each its number, its time and its hash.
-- A row's key is the highest number in it.
ALTER TABLE dedupe RENAME TO before;
CREATE TABLE dedupe(last INTEGER PRIMARY KEY, entries BLOB NOT NULL) STRICT;
INSERT INTO dedupe
  SELECT max(seq), unhex(group_concat(
    printf('%016x%016x', seq, received_at) || hex(hash), '' ORDER BY seq))
  FROM before GROUP BY seq/100;
DROP TABLE before;
