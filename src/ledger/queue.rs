//! The statements on `queue`: what is pending, in the order in which it becomes due.

use rusqlite::{Connection, OptionalExtension, params};

/// The stamp of a delivery that is due at once: fresh ones are taken in order of arrival.
pub const AT_ONCE: u64 = 0;

/// The latest stamp that the ledger can hold.
pub const NEVER: u64 = i64::MAX.cast_unsigned();

/// What [`pull_in`] moves; the condition is repeated for SQLite to use the index `unsettled`.
pub const PULL_IN: &str = "UPDATE delivery SET due_at=?1
    WHERE state='pending' AND state<>'done' AND due_at>?1";

/// A delivery of the queue.
#[derive(Debug)]
pub struct Due {
    /// Its stamp.
    pub due_at: u64,
    /// Its key.
    pub delivery: i64,
    /// Its route's name.
    pub route: String,
    /// The number of its next attempt.
    pub attempt: u32,
}

/// What the queue holds at a moment.
#[derive(Debug)]
pub struct Found {
    /// What is due, fresh ones and retries in turn, so that neither waits for the end of the other.
    pub due: Vec<Due>,
    /// There may be more that is due.
    pub more: bool,
    /// The stamp at which the next of the others becomes due.
    pub next: Option<u64>,
}

/// Puts a delivery in.
pub fn add(
    db: &Connection,
    due_at: u64,
    delivery: i64,
    route: &str,
    attempt: u32,
) -> rusqlite::Result<()> {
    let row = params![due_at, delivery, route, attempt];
    db.prepare_cached("INSERT INTO queue VALUES(?,?,?,?)")?.execute(row).map(drop)
}

/// Whether a delivery is there with that stamp.
pub fn holds(db: &Connection, due_at: u64, delivery: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM queue WHERE due_at=? AND delivery=?";
    db.prepare_cached(sql)?.exists(params![due_at, delivery])
}

/// Takes a delivery out; false when it is not there with that stamp.
pub fn remove(db: &Connection, due_at: u64, delivery: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM queue WHERE due_at=? AND delivery=?";
    Ok(db.prepare_cached(sql)?.execute(params![due_at, delivery])? > 0)
}

/// What is due at the stamp `now`, no more than `limit` fresh ones and as many retries.
pub fn due(db: &Connection, now: u64, limit: usize) -> rusqlite::Result<Found> {
    let fresh = rows(db, AT_ONCE, AT_ONCE, limit)?;
    let retries = rows(db, AT_ONCE + 1, now, limit)?;
    let sql = "SELECT due_at FROM queue WHERE due_at>? ORDER BY due_at LIMIT 1";
    let next = db.prepare_cached(sql)?.query_row([now], |row| row.get(0)).optional()?;
    let more = fresh.len() == limit || retries.len() == limit;
    Ok(Found { due: in_turn(fresh, retries).collect(), more, next })
}

fn rows(db: &Connection, from: u64, to: u64, limit: usize) -> rusqlite::Result<Vec<Due>> {
    let sql = "SELECT due_at, delivery, route, attempt FROM queue
        WHERE due_at BETWEEN ? AND ? ORDER BY due_at, delivery LIMIT ?";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map(params![from, to, limit], |row| {
        Ok(Due {
            due_at: row.get(0)?,
            delivery: row.get(1)?,
            route: row.get(2)?,
            attempt: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// One of each in turn, then the rest of the longer.
fn in_turn(fresh: Vec<Due>, retries: Vec<Due>) -> impl Iterator<Item = Due> {
    let (mut one, mut other) = (fresh.into_iter(), retries.into_iter());
    std::iter::from_fn(move || {
        std::mem::swap(&mut one, &mut other);
        other.next().or_else(|| one.next())
    })
}

/// Pulls in what is due later than the stamp `latest`: it was written under another clock.
pub fn pull_in(db: &Connection, latest: u64) -> rusqlite::Result<()> {
    let latest = latest.min(NEVER);
    let last: Option<u64> = db
        .query_row("SELECT due_at FROM queue ORDER BY due_at DESC LIMIT 1", [], |row| row.get(0))
        .optional()?;
    if last.is_some_and(|due_at| due_at > latest) {
        let both = db.unchecked_transaction()?;
        both.execute(PULL_IN, [latest])?;
        both.execute("UPDATE queue SET due_at=?1 WHERE due_at>?1", [latest])?;
        both.commit()?;
    }
    Ok(())
}
