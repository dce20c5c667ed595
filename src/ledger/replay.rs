//! Making deliveries pending again: of the same route, or of another that the event is to go to.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::apply::{delivery_key, enter};
use super::dedupe::Order;
use super::queue::{AT_ONCE, Row};
use super::routes::{Moved, Routes};
use super::schema::ORDINAL_BITS;
use super::tables::Tables;
use super::{AppendError, Ledger};
use crate::delivery::State;

/// Deliveries that one commit makes pending again at the most: an event's sender may wait for it.
pub const STEP: usize = 250;

/// An event that is to go to a route again, or for the first time.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The event's number.
    pub seq: u64,
    /// The route's name.
    pub route: Arc<str>,
    /// What orders the event among the route's others, if anything does.
    pub order: Option<Order>,
    /// What it counts for in the route's backlog.
    pub bytes: i64,
    /// The delivery that it is a replay of, as `<event>/<route>`, or the event where there is none.
    pub origin: String,
}

/// Some of them, and who waits to be told how many were made pending.
#[derive(Debug)]
pub struct Replay {
    pub(super) all: Vec<Replayed>,
    pub(super) at: u64,
    pub(super) reply: oneshot::Sender<Result<usize, AppendError>>,
}

/// What is known of a delivery's last replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReplay {
    /// When it was, in milliseconds since 1970.
    pub at: u64,
    /// Attempts that had been made before: the route's schedule begins anew after them.
    pub attempts: u32,
    /// What it is a replay of.
    pub origin: String,
}

impl Ledger {
    /// Makes these deliveries pending again, no more than [`STEP`]; those that are not settled stay
    /// as they are. Gives how many were; they are durable when this returns.
    ///
    /// # Errors
    /// Nothing was changed; see [`AppendError`].
    pub async fn replay(&self, all: Vec<Replayed>) -> Result<usize, AppendError> {
        let (reply, durable) = oneshot::channel();
        self.shared.inbox.replay(Replay { all, at: self.now(), reply });
        durable.await.unwrap_or(Err(AppendError::Unavailable))
    }
}

/// Applies a replay; gives how many deliveries are pending now that were not.
pub fn apply(
    tables: &mut Tables<'_>,
    replay: &Replay,
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<usize> {
    let mut count = 0;
    for one in &replay.all {
        let route = routes.id(tables, &one.route)?;
        if let Some((delivery, attempts)) = settled(tables, one, route, moved)? {
            note(tables, delivery, replay.at, attempts, &one.origin)?;
            let (attempt, bytes, order) = (attempts + 1, one.bytes, one.order);
            let row = Row { route, due_at: AT_ONCE, delivery, attempt, bytes, order };
            moved.unsettled(route, 1, bytes);
            moved.next.extend(enter(tables, row)?);
            count += 1;
        }
    }
    Ok(count)
}

/// The event's delivery on the route, if it is settled, and its attempts: pending from now on. One
/// that it has not had yet is new.
fn settled(
    db: &Connection,
    one: &Replayed,
    route: i64,
    moved: &mut Moved,
) -> rusqlite::Result<Option<(i64, u32)>> {
    let first = delivery_key(one.seq, 0);
    let sql = "SELECT id, state, attempts FROM delivery WHERE id>=? AND id<? AND route=?";
    let found: Option<(i64, String, u32)> = db
        .prepare_cached(sql)?
        .query_row(params![first, first + (1 << ORDINAL_BITS), one.route], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((delivery, state, attempts)) = found else {
        return Ok(fresh(db, one.seq, route)?.map(|delivery| (delivery, 0)));
    };
    match State::from_name(&state) {
        Some(State::Done) => moved.done -= 1,
        Some(State::Dead) => moved.dead -= 1,
        _ => return Ok(None),
    }
    let sql = "UPDATE delivery SET state='pending', due_at=0, cause=NULL WHERE id=?";
    db.prepare_cached(sql)?.execute([delivery])?;
    Ok(Some((delivery, attempts)))
}

/// One more delivery of an event, unless the event is not there, or waits for its first attempt on
/// that route.
fn fresh(db: &Connection, seq: u64, route: i64) -> rusqlite::Result<Option<i64>> {
    let mut select = db.prepare_cached("SELECT routes, targets FROM event WHERE seq=?")?;
    let found: Option<(usize, String)> =
        select.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((routes, targets)) = found else { return Ok(None) };
    let route = route.to_string();
    if targets.split(',').any(|target| target == route) || routes >= 1 << ORDINAL_BITS {
        return Ok(None);
    }
    let targets = if routes == 0 { route } else { format!("{targets},{route}") };
    let sql = "UPDATE event SET routes=routes+1, targets=? WHERE seq=?";
    db.prepare_cached(sql)?.execute(params![targets, seq])?;
    Ok(Some(delivery_key(seq, routes)))
}

fn note(
    db: &Connection,
    delivery: i64,
    at: u64,
    attempts: u32,
    origin: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO replay VALUES(?,?,?,?)";
    db.prepare_cached(sql)?.execute(params![delivery, at, attempts, origin]).map(drop)
}

/// What is known of a delivery's last replay, if it had one.
pub fn last(db: &Connection, delivery: i64) -> rusqlite::Result<Option<LastReplay>> {
    let sql = "SELECT at, attempts, origin FROM replay WHERE delivery=?";
    let row = |row: &rusqlite::Row<'_>| {
        Ok(LastReplay { at: row.get(0)?, attempts: row.get(1)?, origin: row.get(2)? })
    };
    db.prepare_cached(sql)?.query_row([delivery], row).optional()
}
