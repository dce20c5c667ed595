//! The writer's statements: what each operation does to the tables, inside one transaction.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::body::Packed;
use super::queue::{self, AT_ONCE, NEVER};
use super::retain;
use super::schema::{self, ORDINAL_BITS};
use super::{Again, Append, Attempt, Lease, Sameness, Settled, Settlement};
use crate::clock::millis;
use crate::delivery::{Next, Outcome, Reply, State};
use crate::event::Headers;

/// Parked deliveries that one commit frees at the most.
pub const UNPARK_STEP: usize = 1_000;

/// What is parked is found by the index `unsettled`, which SQLite takes only for a query that
/// repeats the index's condition.
pub const PARKED: &str = "SELECT id, route, attempts FROM delivery
    WHERE state='parked' AND state<>'done' AND id>? ORDER BY id LIMIT ?";

/// How many deliveries a transaction moved into each state, or out of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Pending ones, those that are leased included.
    pub pending: i64,
    /// Handled ones.
    pub done: i64,
    /// Dead letters.
    pub dead: i64,
    /// Parked ones.
    pub parked: i64,
}

impl Moved {
    fn came_to(&mut self, state: State) {
        match state {
            State::Pending | State::Leased => self.pending += 1,
            State::Done => self.done += 1,
            State::Dead => self.dead += 1,
            State::Parked => self.parked += 1,
        }
    }

    /// Each count by its name in the ledger.
    pub fn named(&self) -> [(&'static str, i64); 4] {
        [
            (State::Pending.name(), self.pending),
            (State::Done.name(), self.done),
            (State::Dead.name(), self.dead),
            (State::Parked.name(), self.parked),
        ]
    }
}

/// The key of an event's delivery number `ordinal`.
pub fn delivery_key(seq: u64, ordinal: usize) -> i64 {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX >> ORDINAL_BITS);
    let ordinal = i64::try_from(ordinal).unwrap_or(0);
    seq << ORDINAL_BITS | ordinal
}

/// Stores an event, its settled delivery if it has one, and a fresh one for each of its routes.
pub fn append(db: &Connection, append: &Append, moved: &mut Moved) -> rusqlite::Result<()> {
    let (seq, event) = (append.id.seq(), &append.event);
    let (form, body) = append.body.row();
    let attributes = serde_json::to_string(event.attributes()).unwrap_or_default();
    db.prepare_cached("INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?,?)")?.execute(params![
        seq,
        event.received_at(),
        event.source(),
        event.kind(),
        event.proof(),
        append.first_waiting() + append.routes.len(),
        attributes,
        event.headers().as_bytes(),
        form,
        body,
    ])?;
    if let Packed::Spooled(file) = &append.body {
        let sql = "INSERT INTO spooled VALUES(?,?)";
        db.prepare_cached(sql)?.execute(params![file.name(), file.bytes()])?;
        retain::spooled(db, file.bytes().cast_signed() as i64)?;
    }
    if let Some(same) = append.same {
        remember(db, seq, event.received_at(), same)?;
    }
    if let Some(settled) = &append.settled {
        record(db, &Made::of(delivery_key(seq, 0), 1, settled), None)?;
        moved.came_to(settled.next.state());
    }
    for (ordinal, route) in append.routes.iter().enumerate() {
        let key = delivery_key(seq, append.first_waiting() + ordinal);
        queue::add(db, AT_ONCE, key, route, 1)?;
        moved.pending += 1;
    }
    Ok(())
}

fn remember(db: &Connection, seq: u64, at: u64, same: Sameness) -> rusqlite::Result<()> {
    let row = params![seq, at, same.to_bytes()];
    db.prepare_cached("INSERT INTO dedupe VALUES(?,?,?)")?.execute(row).map(drop)
}

/// Counts one more duplicate of the event number `seq`, unless the event was removed meanwhile.
pub fn duplicate(db: &Connection, seq: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO duplicate SELECT seq, 1 FROM event WHERE seq=? ON CONFLICT(seq) DO UPDATE SET count=count+1";
    db.prepare_cached(sql)?.execute([seq]).map(drop)
}

/// Settles a leased delivery; returns the stamp at which it is due again, if it is.
pub fn settle(
    db: &Connection,
    lease: &Lease,
    settlement: &Settlement,
    moved: &mut Moved,
) -> rusqlite::Result<Option<u64>> {
    if !queue::remove(db, lease.due_at, lease.key)? {
        return Ok(None);
    }
    moved.pending -= 1;
    match settlement {
        Settlement::Parked(cause) => {
            park(db, lease, cause)?;
            moved.came_to(State::Parked);
            Ok(None)
        }
        Settlement::Attempted(attempt, next) => {
            moved.came_to(next.state());
            let due_at = if let Next::RetryAt(at) = next { Some((*at).min(NEVER)) } else { None };
            if let Some(at) = due_at {
                queue::add(db, at, lease.key, &lease.route, lease.attempt + 1)?;
            }
            let (key, route, n) = (lease.key, &*lease.route, lease.attempt);
            record(db, &Made { key, route, n, attempt, next }, due_at)?;
            Ok(due_at)
        }
    }
}

/// Records one more attempt of a delivery that failed on a sync route, unless it was removed
/// meanwhile.
pub fn again(db: &Connection, again: &Again, moved: &mut Moved) -> rusqlite::Result<()> {
    if !db.prepare_cached("SELECT 1 FROM delivery WHERE id=?")?.exists([again.key])? {
        return Ok(());
    }
    moved.dead -= 1;
    moved.came_to(again.settled.next.state());
    record(db, &Made::of(again.key, again.n, &again.settled), None)
}

/// An attempt that was made, and of what.
struct Made<'a> {
    key: i64,
    route: &'a str,
    n: u32,
    attempt: &'a Attempt,
    next: &'a Next,
}

impl<'a> Made<'a> {
    fn of(key: i64, n: u32, settled: &'a Settled) -> Self {
        let Settled { route, attempt, next, effects: _ } = settled;
        Self { key, route, n, attempt, next }
    }
}

fn record(db: &Connection, made: &Made<'_>, due_at: Option<u64>) -> rusqlite::Result<()> {
    let Made { key, route, n, attempt, next } = made;
    let state = next.state().name();
    let error = attempt.outcome.error();
    let cause = error.as_deref().filter(|_| **next != Next::Done);
    let took = millis(attempt.duration);
    let outcome = attempt.outcome.name();
    let Attempt { started_at, version, logs, .. } = attempt;
    if let Outcome::Reply(reply) = &attempt.outcome {
        keep_reply(db, *key, reply)?;
    }
    if *n == 1 {
        let sql = "INSERT INTO delivery VALUES(?,?,?,1,?,?,?,?,?,?,?,?)
            ON CONFLICT(id) DO UPDATE SET state=excluded.state, attempts=1, due_at=excluded.due_at,
            cause=excluded.cause, started_at=excluded.started_at, duration=excluded.duration,
            outcome=excluded.outcome, error=excluded.error, version=excluded.version,
            logs=excluded.logs";
        let row = params![
            key, route, state, due_at, cause, started_at, took, outcome, error, version, logs
        ];
        return db.prepare_cached(sql)?.execute(row).map(drop);
    }
    let row = params![key, n, started_at, took, outcome, error, version, logs];
    db.prepare_cached("INSERT OR REPLACE INTO attempt VALUES(?,?,?,?,?,?,?,?)")?.execute(row)?;
    let sql = "UPDATE delivery SET state=?, attempts=?, due_at=?, cause=? WHERE id=?";
    db.prepare_cached(sql)?.execute(params![state, n, due_at, cause, key]).map(drop)
}

/// Keeps what a sender was told, for when it asks again.
fn keep_reply(db: &Connection, key: i64, reply: &Reply) -> rusqlite::Result<()> {
    let headers = Headers::of_reply(&reply.headers);
    let row = params![key, reply.status, headers.as_bytes(), reply.body];
    db.prepare_cached("INSERT OR REPLACE INTO reply VALUES(?,?,?,?)")?.execute(row).map(drop)
}

fn park(db: &Connection, lease: &Lease, cause: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO delivery(id, route, state, attempts, cause) VALUES(?,?,'parked',?,?)
        ON CONFLICT(id) DO UPDATE SET state='parked', due_at=NULL, cause=excluded.cause";
    let row = params![lease.key, lease.route, lease.attempt - 1, cause];
    db.prepare_cached(sql)?.execute(row).map(drop)
}

/// Makes the next parked deliveries of these routes pending, those after the key `after` and no
/// more than a step; returns the key to go on after, `None` when there are no more.
pub fn unpark(
    db: &Connection,
    routes: &[Arc<str>],
    after: i64,
    moved: &mut Moved,
) -> rusqlite::Result<Option<i64>> {
    let mut select = db.prepare_cached(PARKED)?;
    let parked: Vec<(i64, String, u32)> = select
        .query_map(params![after, UNPARK_STEP], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let sql = "UPDATE delivery SET state='pending', due_at=0, cause=NULL WHERE id=?";
    for (id, route, attempts) in &parked {
        if routes.iter().any(|known| **known == **route) {
            db.prepare_cached(sql)?.execute([id])?;
            queue::add(db, AT_ONCE, *id, route, attempts + 1)?;
            moved.parked -= 1;
            moved.pending += 1;
        }
    }
    let full = parked.len() == UNPARK_STEP;
    Ok(parked.last().filter(|_| full).map(|(id, ..)| *id))
}

/// The counts that the ledger keeps.
pub fn counts(db: &Connection) -> rusqlite::Result<Moved> {
    Ok(Moved {
        pending: schema::value(db, State::Pending.name())?,
        done: schema::value(db, State::Done.name())?,
        dead: schema::value(db, State::Dead.name())?,
        parked: schema::value(db, State::Parked.name())?,
    })
}

/// Adds what a transaction moved to the counts that the ledger keeps.
pub fn count(db: &Connection, moved: &Moved) -> rusqlite::Result<()> {
    for (name, change) in moved.named().into_iter().filter(|(_, change)| *change != 0) {
        db.prepare_cached("UPDATE ledger SET value=value+? WHERE name=?")?
            .execute(params![change, name])?;
    }
    Ok(())
}
