//! The writer's statements: what each operation does to the tables, inside one transaction.

use std::fmt::Write;

use rusqlite::{Connection, params};

use super::body::Packed;
use super::queue::{self, AT_ONCE, NEVER, Row};
use super::retain;
use super::routes::{Moved, Routes};
use super::schema::{self, ORDINAL_BITS};
use super::tables::Tables;
use super::{Again, Append, Attempt, Settle, Settled, Target, order};
use crate::clock::millis;
use crate::delivery::{Next, Outcome, Reply, State};
use crate::event::Headers;

/// Why a delivery is dead that no attempt was made of.
const FULL: &str = "the route's backlog was full";

/// The key of an event's delivery number `ordinal`.
pub fn delivery_key(seq: u64, ordinal: usize) -> i64 {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX >> ORDINAL_BITS);
    let ordinal = i64::try_from(ordinal).unwrap_or(0);
    seq << ORDINAL_BITS | ordinal
}

/// Which of an event's routes have room for it.
pub fn room(append: &Append, routes: &Routes, moved: &Moved) -> Vec<bool> {
    let has_room =
        |target: &Target| target.has_room(routes.unsettled(&target.route, moved), append.size());
    append.targets.iter().map(has_room).collect()
}

/// Whether one of an event's routes that has no room asks its sender to come again.
pub fn is_refused(append: &Append, room: &[bool]) -> bool {
    let refuses = |(target, room): (&Target, &bool)| !room && target.refuses();
    append.targets.iter().zip(room).any(refuses)
}

/// Stores an event, its settled delivery if it has one, and a fresh one for each of its routes,
/// which is dead where there is no `room`.
pub fn append(
    tables: &mut Tables<'_>,
    append: &Append,
    room: &[bool],
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<()> {
    let (seq, bytes, first) = (append.id.seq(), append.size(), append.first_waiting());
    let settled = append.settled.iter().map(|settled| &settled.route);
    let names = settled.chain(append.targets.iter().map(|target| &target.route));
    let ids = names.map(|name| routes.id(tables, name)).collect::<rusqlite::Result<Vec<i64>>>()?;
    insert(tables, append, &ids)?;
    if let Some(settled) = &append.settled {
        record(tables, &Made::of(delivery_key(seq, 0), 1, settled), None)?;
        moved.came_to(&settled.next);
    }
    let waiting = append.targets.iter().zip(ids.into_iter().skip(first)).zip(room);
    for (place, ((target, route), room)) in waiting.enumerate() {
        let delivery = delivery_key(seq, first + place);
        if !room {
            refuse(tables, delivery, &target.route)?;
            moved.came_to(&Next::Dead);
            continue;
        }
        let row = Row { route, due_at: AT_ONCE, delivery, attempt: 1, bytes, order: target.order };
        moved.unsettled(route, 1, bytes);
        moved.fresh.extend(enter(tables, row)?);
    }
    Ok(())
}

fn insert(tables: &mut Tables<'_>, append: &Append, ids: &[i64]) -> rusqlite::Result<()> {
    let event = &append.event;
    let (form, body) = append.body.row();
    let row = params![
        append.id.seq(),
        event.received_at(),
        event.source(),
        event.kind(),
        event.proof(),
        ids.len(),
        append.attributes,
        event.headers().as_bytes(),
        form,
        body,
        targets(ids),
    ];
    tables.event.execute(row)?;
    if let Packed::Spooled(file) = &append.body {
        let sql = "INSERT INTO spooled VALUES(?,?)";
        tables.prepare_cached(sql)?.execute(params![file.name(), file.bytes()])?;
        retain::spooled(tables, file.bytes().cast_signed() as i64)?;
    }
    Ok(())
}

/// The numbers of an event's routes as its row keeps them.
fn targets(ids: &[i64]) -> String {
    let mut targets = String::new();
    for (place, id) in ids.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // Memory takes all of it.
        let _written = write!(targets, "{comma}{id}");
    }
    targets
}

/// Puts a delivery in the queue, unless it has to wait for another.
pub fn enter(tables: &mut Tables<'_>, row: Row) -> rusqlite::Result<Option<Row>> {
    if let Some(order) = row.order
        && !order::enter(tables, &row, order)?
    {
        return Ok(None);
    }
    queue::add(tables, &row)?;
    Ok(Some(row))
}

/// Stores a delivery as dead that its route has no room for.
fn refuse(db: &Connection, delivery: i64, route: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO delivery(id, route, state, attempts, cause) VALUES(?,?,'dead',0,?)";
    db.prepare_cached(sql)?.execute(params![delivery, route, FULL]).map(drop)
}

/// Counts one more duplicate of the event number `seq`, unless the event was removed meanwhile.
pub fn duplicate(db: &Connection, seq: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO duplicate SELECT seq, 1 FROM event WHERE seq=? ON CONFLICT(seq) DO UPDATE SET count=count+1";
    db.prepare_cached(sql)?.execute([seq]).map(drop)
}

/// Settles a delivery that was just taken out of the queue. It is due again, or the one that waited
/// for it is due.
pub fn settle(tables: &mut Tables<'_>, settle: &Settle, moved: &mut Moved) -> rusqlite::Result<()> {
    let Settle { lease, attempt, next, .. } = settle;
    let row = lease.row;
    let mut due_at = None;
    match *next {
        Next::RetryAt(at) => {
            let at = at.clamp(AT_ONCE + 1, NEVER);
            let again = Row { due_at: at, attempt: row.attempt + 1, ..row };
            queue::add(tables, &again)?;
            moved.next.push(again);
            due_at = Some(at);
        }
        Next::Done | Next::Dead => {
            moved.unsettled(row.route, -1, -row.bytes);
            if let Some(order) = row.order {
                moved.next.extend(order::leave(tables, &row, order)?);
            }
        }
    }
    moved.came_to(next);
    let (route, n) = (&*lease.route, row.attempt);
    record(tables, &Made { key: row.delivery, route, n, attempt, next }, due_at)
}

/// Records one more attempt of a delivery that failed on a sync route, unless it was removed
/// meanwhile.
pub fn again(tables: &mut Tables<'_>, again: &Again, moved: &mut Moved) -> rusqlite::Result<()> {
    if !tables.prepare_cached("SELECT 1 FROM delivery WHERE id=?")?.exists([again.key])? {
        return Ok(());
    }
    moved.dead -= 1;
    moved.came_to(&again.settled.next);
    record(tables, &Made::of(again.key, again.n, &again.settled), None)
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

fn record(tables: &mut Tables<'_>, made: &Made<'_>, due_at: Option<u64>) -> rusqlite::Result<()> {
    let Made { key, route, n, attempt, next } = made;
    let state = next.state().name();
    let error = attempt.outcome.error();
    let cause = error.as_deref().filter(|_| **next != Next::Done);
    let took = millis(attempt.duration);
    let outcome = attempt.outcome.name();
    let Attempt { started_at, version, logs, .. } = attempt;
    if let Outcome::Reply(reply) = &attempt.outcome {
        keep_reply(tables, *key, reply)?;
    }
    if *n == 1 {
        let row = params![
            key, route, state, due_at, cause, started_at, took, outcome, error, version, logs
        ];
        return tables.first_attempt.execute(row).map(drop);
    }
    let row = params![key, n, started_at, took, outcome, error, version, logs];
    let insert = "INSERT OR REPLACE INTO attempt VALUES(?,?,?,?,?,?,?,?)";
    tables.prepare_cached(insert)?.execute(row)?;
    let sql = "UPDATE delivery SET state=?, attempts=?, due_at=?, cause=? WHERE id=?";
    tables.prepare_cached(sql)?.execute(params![state, n, due_at, cause, key]).map(drop)
}

/// Keeps what a sender was told, for when it asks again.
fn keep_reply(db: &Connection, key: i64, reply: &Reply) -> rusqlite::Result<()> {
    let headers = Headers::of_reply(&reply.headers);
    let row = params![key, reply.status, headers.as_bytes(), reply.body];
    db.prepare_cached("INSERT OR REPLACE INTO reply VALUES(?,?,?,?)")?.execute(row).map(drop)
}

/// How many deliveries of the ledger are done, and how many dead.
pub fn counts(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    Ok((schema::value(db, State::Done.name())?, schema::value(db, State::Dead.name())?))
}

/// Adds what a transaction moved to the counts that the ledger keeps, and notes when it was.
pub fn count(db: &Connection, moved: &Moved, stamp: u64) -> rusqlite::Result<()> {
    for (state, change) in [(State::Done, moved.done), (State::Dead, moved.dead)] {
        if change != 0 {
            db.prepare_cached("UPDATE ledger SET value=value+? WHERE name=?")?
                .execute(params![change, state.name()])?;
        }
    }
    db.prepare_cached("UPDATE ledger SET value=? WHERE name='stamp'")?.execute([stamp]).map(drop)
}
