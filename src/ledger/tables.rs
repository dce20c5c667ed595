//! The tables, inside one transaction.

use std::ops::Deref;

use rusqlite::{CachedStatement, Connection};

use super::{apply, queue};

/// A connection, with the statements that every event takes at hand: to look each up again for each
/// event would cost about as much as what it does.
pub struct Tables<'db> {
    db: &'db Connection,
    /// See [`apply::append`].
    pub event: CachedStatement<'db>,
    /// See [`apply::settle`].
    pub first_attempt: CachedStatement<'db>,
    /// See [`queue::add`].
    pub queue: CachedStatement<'db>,
    /// See [`queue::remove`].
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
            event: db.prepare_cached(apply::INSERT_EVENT)?,
            first_attempt: db.prepare_cached(apply::INSERT_DELIVERY)?,
            queue: db.prepare_cached(queue::INSERT)?,
            unqueue: db.prepare_cached(queue::DELETE)?,
        })
    }
}

impl Deref for Tables<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}
