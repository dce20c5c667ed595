//! The statements on `queue`: what is pending and in nobody's wake, route by route, in the order
//! in which it becomes due.

use rusqlite::{Connection, OptionalExtension, params};

use super::dedupe::Order;
use super::tables::Tables;

/// The stamp of a delivery that is due at once: fresh ones are taken in order of arrival.
pub const AT_ONCE: u64 = 0;

/// The latest stamp that the ledger can hold.
pub const NEVER: u64 = i64::MAX.cast_unsigned();

/// What [`move_back`] shows; the condition is repeated for SQLite to use the index `unsettled`.
pub const MOVE_BACK: &str = "UPDATE delivery SET due_at=max(1, due_at-?1)
    WHERE state='pending' AND state<>'done' AND due_at>0";

/// A delivery of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its route's number.
    pub route: i64,
    /// Its stamp.
    pub due_at: u64,
    /// Its key.
    pub delivery: i64,
    /// The number of its next attempt.
    pub attempt: u32,
    /// What it counts for in its route's backlog.
    pub bytes: i64,
    /// What it is ordered by, if it is.
    pub order: Option<Order>,
}

/// What a route's part of the queue holds at a moment.
#[derive(Debug)]
pub struct Found {
    /// What is due, fresh ones and retries in turn, so that neither waits for the end of the other.
    pub due: Vec<Row>,
    /// There may be more that is due.
    pub more: bool,
    /// The stamp at which the next of the others becomes due.
    pub next: Option<u64>,
}

/// Puts a delivery in.
pub fn add(tables: &mut Tables<'_>, row: &Row) -> rusqlite::Result<()> {
    let Row { route, due_at, delivery, attempt, bytes, order } = row;
    let row = params![route, due_at, delivery, attempt, bytes, order.map(|order| order.0)];
    tables.queue.execute(row).map(drop)
}

/// Takes a delivery out; false when it is not there with that stamp, for that attempt.
pub fn remove(tables: &mut Tables<'_>, row: &Row) -> rusqlite::Result<bool> {
    let Row { route, due_at, delivery, attempt, .. } = row;
    Ok(tables.unqueue.execute(params![route, due_at, delivery, attempt])? > 0)
}

/// What of a route is due at the stamp `now`, no more than `limit` fresh ones and as many retries.
pub fn due(db: &Connection, route: i64, now: u64, limit: usize) -> rusqlite::Result<Found> {
    let fresh = rows(db, route, (AT_ONCE, AT_ONCE), limit)?;
    let retries = rows(db, route, (AT_ONCE + 1, now), limit)?;
    let sql = "SELECT due_at FROM queue WHERE route=? AND due_at>? ORDER BY due_at LIMIT 1";
    let mut later = db.prepare_cached(sql)?;
    let next = later.query_row(params![route, now], |row| row.get(0)).optional()?;
    let more = fresh.len() == limit || retries.len() == limit;
    Ok(Found { due: in_turn(fresh, retries).collect(), more, next })
}

fn rows(
    db: &Connection,
    route: i64,
    (from, to): (u64, u64),
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let sql = "SELECT due_at, delivery, attempt, bytes, key FROM queue
        WHERE route=? AND due_at BETWEEN ? AND ? ORDER BY due_at, delivery LIMIT ?";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map(params![route, from, to, limit], |row| {
        Ok(Row {
            route,
            due_at: row.get(0)?,
            delivery: row.get(1)?,
            attempt: row.get(2)?,
            bytes: row.get(3)?,
            order: row.get::<_, Option<i64>>(4)?.map(Order),
        })
    })?;
    rows.collect()
}

/// One of each in turn, then the rest of the longer.
fn in_turn(fresh: Vec<Row>, retries: Vec<Row>) -> impl Iterator<Item = Row> {
    let (mut one, mut other) = (fresh.into_iter(), retries.into_iter());
    std::iter::from_fn(move || {
        std::mem::swap(&mut one, &mut other);
        other.next().or_else(|| one.next())
    })
}

/// Moves all stamps of retries back by so many milliseconds.
pub fn move_back(db: &Connection, by: u64) -> rusqlite::Result<()> {
    let both = db.unchecked_transaction()?;
    both.execute(MOVE_BACK, [by])?;
    both.execute("UPDATE queue SET due_at=max(1, due_at-?1) WHERE due_at>0", [by])?;
    both.commit()
}
