//! De-duplication entries on the disk. Those of one commit are one row: they cost it little, and a
//! million of them are soon read back.

use std::ops::RangeInclusive;

use rusqlite::{Connection, params};

use super::dedupe::Sameness;

/// Rows that one step of forgetting looks at, and entries, at the most; the last row may have more.
const STEP_ROWS: usize = 256;
const STEP_ENTRIES: usize = 4_096;

/// What is remembered of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// When it came in, in milliseconds since 1970.
    pub received_at: u64,
    /// What it is known by.
    pub same: Sameness,
}

/// The entries of a commit.
#[derive(Debug, Default)]
pub struct Entries {
    last: u64,
    count: usize,
    packed: Vec<u8>,
}

impl Entries {
    /// Adds one.
    pub fn push(&mut self, entry: Entry) {
        let [high, low] = entry.same.halves();
        for word in [entry.seq, entry.received_at, high, low] {
            self.packed.extend(word.to_be_bytes());
        }
        self.last = self.last.max(entry.seq);
        self.count += 1;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Writes them, if there are any.
    pub fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let insert = "INSERT INTO dedupe VALUES(?,?)";
        db.prepare_cached(insert)?.execute(params![self.last, self.packed]).map(drop)
    }
}

/// The entries of a row, in the order in which they came.
pub fn unpack(row: &[u8]) -> impl DoubleEndedIterator<Item = Entry> {
    let words = row.as_chunks().0.as_chunks().0;
    words.iter().map(|entry| {
        let [seq, received_at, high, low] = entry.map(u64::from_be_bytes);
        Entry { seq, received_at, same: Sameness::of_halves([high, low]) }
    })
}

/// Forgets the oldest rows, where all entries came in before the window; gives whether there may be
/// more such. What came in under a clock that was ahead goes when memory has forgotten it:
/// `remembered` is the oldest number there.
pub fn forget(
    db: &Connection,
    window: &RangeInclusive<u64>,
    remembered: Option<u64>,
) -> rusqlite::Result<bool> {
    let goes = |entry: Entry| {
        let was_ahead = entry.received_at > *window.end();
        entry.received_at < *window.start()
            || was_ahead && remembered.is_none_or(|oldest| entry.seq < oldest)
    };
    let mut select = db.prepare_cached("SELECT last, entries FROM dedupe ORDER BY last LIMIT ?")?;
    let mut rows = select.query([STEP_ROWS])?;
    let (mut old, mut looked_at, mut entries) = (Vec::new(), 0, 0);
    while entries < STEP_ENTRIES
        && let Some(row) = rows.next()?
    {
        let (last, packed): (i64, &[u8]) = (row.get(0)?, row.get_ref(1)?.as_blob()?);
        looked_at += 1;
        entries += unpack(packed).count();
        if unpack(packed).all(goes) {
            old.push(last);
        }
    }
    let is_step = looked_at == STEP_ROWS || entries >= STEP_ENTRIES;
    for last in &old {
        db.prepare_cached("DELETE FROM dedupe WHERE last=?")?.execute([last])?;
    }
    Ok(is_step && old.len() == looked_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "CREATE TABLE dedupe(last INTEGER PRIMARY KEY, entries BLOB NOT NULL)";

    fn entry(seq: u64, received_at: u64) -> Entry {
        Entry { seq, received_at, same: Sameness::of_halves([seq << 7, !seq]) }
    }

    fn write(db: &Connection, entries: &[Entry]) {
        let mut row = Entries::default();
        entries.iter().for_each(|entry| row.push(*entry));
        row.write(db).unwrap();
    }

    fn keys(db: &Connection) -> Vec<i64> {
        let mut select = db.prepare("SELECT last FROM dedupe").unwrap();
        let found = select.query_map([], |row| row.get(0)).unwrap();
        found.collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn the_entries_of_a_commit_are_one_row() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(TABLE).unwrap();
        let all = [entry(3, 30), entry(u64::MAX >> 16, 50), entry(4, 40)];
        write(&db, &all);
        write(&db, &[]);
        let row = "SELECT last, entries FROM dedupe";
        let (last, packed): (u64, Vec<u8>) =
            db.query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!((last, keys(&db).len()), (u64::MAX >> 16, 1));
        assert!(unpack(&packed).eq(all));
        assert!(unpack(&packed[..packed.len() - 1]).eq(all.into_iter().take(2)), "a torn one");
    }

    #[test]
    fn a_row_goes_with_the_last_of_its_entries() {
        for (at, goes) in [(99, true), (100, false), (200, false), (201, false)] {
            let db = Connection::open_in_memory().unwrap();
            db.execute_batch(TABLE).unwrap();
            write(&db, &[entry(1, 99), entry(2, at)]);
            forget(&db, &(100..=200), Some(1)).unwrap();
            assert_eq!(keys(&db).is_empty(), goes, "{at}");
        }
    }

    #[test]
    fn a_time_that_is_yet_to_come_keeps_nothing_for_longer_than_memory_does() {
        for (remembered, left) in
            [(Some(4), vec![2, 4, 5]), (Some(1), vec![1, 2, 4, 5]), (None, vec![2, 5])]
        {
            let db = Connection::open_in_memory().unwrap();
            db.execute_batch(TABLE).unwrap();
            for (seq, at) in [(1, 999), (2, 150), (3, 99), (4, 201), (5, 200)] {
                write(&db, &[entry(seq, at)]);
            }
            assert!(!forget(&db, &(100..=200), remembered).unwrap());
            assert_eq!(keys(&db), left);
        }
    }

    #[test]
    fn a_step_is_bounded_in_rows_and_in_entries() {
        for (entries, rows) in [(1, STEP_ROWS), (1_000, STEP_ENTRIES / 1_000 + 1)] {
            let db = Connection::open_in_memory().unwrap();
            db.execute_batch(TABLE).unwrap();
            for row in 1..=rows as u64 + 1 {
                write(&db, &vec![entry(row, 0); entries]);
            }
            assert!(forget(&db, &(100..=200), None).unwrap());
            assert_eq!(keys(&db), [rows as i64 + 1]);
            assert!(!forget(&db, &(100..=200), None).unwrap());
            assert!(keys(&db).is_empty());
        }
    }
}
