//! The tables, inside one transaction.

use std::ops::Deref;

use rusqlite::{CachedStatement, Connection};

const EVENT: &str = "INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?,?,?)";
/// There is a row before the first attempt if the delivery was replayed first.
const FIRST_ATTEMPT: &str = "INSERT INTO delivery VALUES(?,?,?,1,?,?,?,?,?,?,?,?)
    ON CONFLICT(id) DO UPDATE SET state=excluded.state, attempts=1, due_at=excluded.due_at,
    cause=excluded.cause, started_at=excluded.started_at, duration=excluded.duration,
    outcome=excluded.outcome, error=excluded.error, version=excluded.version, logs=excluded.logs";
const QUEUE: &str = "INSERT INTO queue VALUES(?,?,?,?,?,?)";
const UNQUEUE: &str = "DELETE FROM queue WHERE route=? AND due_at=? AND delivery=? AND attempt=?";

/// A connection, with the statements that every event takes at hand: to look each up again for each
/// event would cost about as much as what it does.
pub struct Tables<'db> {
    db: &'db Connection,
    /// Stores an event.
    pub event: CachedStatement<'db>,
    /// Stores a delivery with its first attempt.
    pub first_attempt: CachedStatement<'db>,
    /// Puts a delivery in the queue.
    pub queue: CachedStatement<'db>,
    /// Takes a delivery out of the queue.
    pub unqueue: CachedStatement<'db>,
}

impl<'db> Tables<'db> {
    /// Those of an open transaction.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn of(db: &'db Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            db,
            event: db.prepare_cached(EVENT)?,
            first_attempt: db.prepare_cached(FIRST_ATTEMPT)?,
            queue: db.prepare_cached(QUEUE)?,
            unqueue: db.prepare_cached(UNQUEUE)?,
        })
    }
}

impl Deref for Tables<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}
