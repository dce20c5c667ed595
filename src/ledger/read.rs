//! Reading the ledger: one event for an attempt, and what people ask about.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use thiserror::Error;

use super::body;
use super::leases::Out;
use super::queue::AT_ONCE;
use super::replay::{self, LastReplay};
use super::routes::Holds;
use super::schema::{self, ORDINAL_BITS};
use super::spool::Spool;
use crate::delivery::{Reply, State};
use crate::event::{Event, EventId, Headers};

/// Connections kept for the next reads; each may cache 8 MB.
const IDLE_CONNECTIONS: usize = 8;

/// Why a fresh delivery is not due.
const BEHIND: &str = "an earlier event of the same `order_by` value comes first";

/// Why the ledger gives no answer.
#[derive(Debug, Error)]
pub enum ReadError {
    /// There is no such event.
    #[error("there is no such event")]
    Missing,
    /// SQLite says no.
    #[error("the ledger cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The body is damaged or its file cannot be read.
    #[error("an event's body cannot be read: {0}")]
    Body(#[from] io::Error),
}

impl ReadError {
    /// Whether what the disk has is not what was stored, so that asking again gives the same.
    /// Otherwise the disk, or the system, gives nothing for now.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Missing => true,
            Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => {
                matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            }
            // A value of the wrong kind.
            Self::Sqlite(_) => true,
            Self::Body(error) => {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
            }
        }
    }
}

/// Reads what is committed, on connections of its own.
#[derive(Debug)]
pub struct Reader {
    file: PathBuf,
    spool: Arc<Spool>,
    pub(super) tag: u32,
    out: Out,
    holds: Arc<ArcSwap<Holds>>,
    idle: Mutex<Vec<Connection>>,
}

/// An event without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// The source that sent it.
    pub source: String,
    /// Its event type.
    pub kind: String,
    /// When it came in, in milliseconds since 1970.
    pub received_at: u64,
    /// Whether anything proved where it comes from.
    pub verified: bool,
    /// How often the same event came again.
    pub duplicates: u64,
    /// Its deliveries, in the order of their routes.
    pub deliveries: Vec<DeliveryRow>,
}

/// A delivery and its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its route's name.
    pub route: String,
    /// Where it stands.
    pub state: State,
    /// The stamp at which it is due, in milliseconds since 1970; 0 is at once.
    pub due_at: Option<u64>,
    /// Why it is not done.
    pub cause: Option<String>,
    /// What was tried, the first attempt first.
    pub attempts: Vec<AttemptRow>,
    /// Its last replay, if it had one.
    pub replay: Option<LastReplay>,
}

/// What the ledger keeps of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteRow {
    /// Whether it is paused by request.
    pub paused: bool,
    /// Deliveries that are not settled.
    pub events: u64,
    /// Bytes of their events.
    pub bytes: u64,
}

/// A delivery of a sync route, for when its sender asks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncDelivery {
    pub(super) key: i64,
    /// Where it stands.
    pub state: State,
    /// How many attempts were made of it.
    pub attempts: u32,
    /// What its sender was told by the handler; `None`: the source's own answer.
    pub reply: Option<Reply>,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its number; 1 is the first.
    pub n: u32,
    /// When it began, in milliseconds since 1970.
    pub started_at: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The outcome's name.
    pub outcome: String,
    /// Why it did not handle the event.
    pub error: Option<String>,
    /// The handler's version.
    pub version: String,
    /// Its log lines, a JSON array.
    pub logs: Option<String>,
}

impl Reader {
    pub(super) fn new(
        file: PathBuf,
        spool: Arc<Spool>,
        (tag, out, holds): (u32, Out, Arc<ArcSwap<Holds>>),
    ) -> Self {
        Self { file, spool, tag, out, holds, idle: Mutex::default() }
    }

    /// The event of a delivery, with its bytes and what is known of a replay: so many attempts were
    /// made before.
    pub(super) fn event(&self, delivery: i64) -> Result<(EventId, Arc<Event>, u32), ReadError> {
        self.with(|db| {
            let (id, event) = self.whole(db, delivery >> ORDINAL_BITS)?;
            Ok(match replay::last(db, delivery)? {
                None => (id, event, 0),
                Some(last) => (id, Arc::new(event.replayed(&last.origin)), last.attempts),
            })
        })
    }

    pub(super) fn whole(
        &self,
        db: &Connection,
        seq: i64,
    ) -> Result<(EventId, Arc<Event>), ReadError> {
        let sql = "SELECT received_at, source, type, secret, attributes, headers, form, body
            FROM event WHERE seq=?";
        let mut select = db.prepare_cached(sql)?;
        let mut rows = select.query([seq])?;
        let row = rows.next()?.ok_or(ReadError::Missing)?;
        let received_at = row.get(0)?;
        let event = Event::restore(
            row.get(1)?,
            row.get(2)?,
            received_at,
            row.get(3)?,
            serde_json::from_str(row.get_ref(4)?.as_str().unwrap_or_default()).unwrap_or_default(),
            Headers::restore(row.get_ref(5)?.as_blob().unwrap_or_default()),
            body::unpack(&self.spool, row.get(6)?, row.get_ref(7)?.as_blob().unwrap_or_default())?,
        );
        Ok((EventId::new(received_at, self.tag, seq.cast_unsigned()), Arc::new(event)))
    }

    /// An event with its bytes, and all that is known of it.
    ///
    /// # Errors
    /// There is no such event, or the disk does not give it.
    pub fn show(&self, id: EventId) -> Result<(EventRow, Arc<Event>), ReadError> {
        match self.show_once(id) {
            // It was removed just now, and its body's file with it; or else it is damaged.
            Err(ReadError::Body(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.show_once(id)
            }
            shown => shown,
        }
    }

    fn show_once(&self, id: EventId) -> Result<(EventRow, Arc<Event>), ReadError> {
        self.with(|db| {
            // One moment for all of it: the writer goes on meanwhile.
            let _moment = db.unchecked_transaction()?;
            let (found, event) = self.whole(db, id.seq().cast_signed())?;
            if found != id {
                return Err(ReadError::Missing);
            }
            let row = EventRow {
                id,
                source: event.source().to_string(),
                kind: event.kind().to_string(),
                received_at: event.received_at(),
                verified: event.is_verified(),
                duplicates: 0,
                deliveries: Vec::new(),
            };
            Ok((self.fill(db, row)?, event))
        })
    }

    /// An event's delivery on a sync route, if it has one.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn sync_delivery(
        &self,
        id: EventId,
        route: &str,
    ) -> Result<Option<SyncDelivery>, ReadError> {
        let first = id.seq().cast_signed() << ORDINAL_BITS;
        let end = first + (1 << ORDINAL_BITS);
        self.with(|db| {
            let sql = "SELECT id, state, attempts, status, headers, body FROM delivery
                LEFT JOIN reply ON reply.delivery=id WHERE id>=? AND id<? AND route=?";
            let found =
                db.prepare_cached(sql)?.query_row(params![first, end, route], sync).optional();
            Ok(found?)
        })
    }

    /// Every route that has, or had, deliveries, by its name.
    ///
    /// # Errors
    /// The disk does not give them.
    pub fn routes(&self) -> Result<BTreeMap<String, RouteRow>, ReadError> {
        self.with(|db| {
            let mut select = db.prepare_cached("SELECT name, paused, events, bytes FROM route")?;
            let rows = select.query_map([], |row| {
                let (paused, events, bytes) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, RouteRow { paused, events, bytes }))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Adds an event's duplicates, deliveries and attempts.
    pub(super) fn fill(&self, db: &Connection, mut event: EventRow) -> Result<EventRow, ReadError> {
        let seq = event.id.seq().cast_signed();
        let sql = "SELECT count FROM duplicate WHERE seq=?";
        let count: Option<u64> =
            db.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
        event.duplicates = count.unwrap_or(0);
        let mut deliveries = recorded(db, seq << ORDINAL_BITS, (seq + 1) << ORDINAL_BITS)?;
        let targets: String = db
            .prepare_cached("SELECT targets FROM event WHERE seq=?")?
            .query_row([seq], |row| row.get(0))?;
        for (key, route) in (seq << ORDINAL_BITS..).zip(targets.split(',')) {
            if let Ok(route) = route.parse()
                && !deliveries.contains_key(&key)
            {
                deliveries.extend(fresh(db, route, key)?.map(|fresh| (key, fresh)));
            }
        }
        for (key, mut delivery) in deliveries {
            delivery.replay = replay::last(db, key)?;
            event.deliveries.push(self.as_it_stands(key, delivery));
        }
        Ok(event)
    }

    /// What is pending may be out for an attempt, or its route held.
    fn as_it_stands(&self, key: i64, delivery: DeliveryRow) -> DeliveryRow {
        if delivery.state != State::Pending {
            delivery
        } else if self.out.contains(key) {
            DeliveryRow { state: State::Leased, ..delivery }
        } else if let Some(cause) = self.holds.load().get(&*delivery.route) {
            DeliveryRow { state: State::Parked, cause: Some(cause.to_string()), ..delivery }
        } else {
            delivery
        }
    }

    /// Runs `read` on an idle connection, or on a new one when all are busy.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = match idle {
            Some(db) => db,
            None => schema::open_reader(&self.file)?,
        };
        let result = read(&db);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(db);
        }
        result
    }
}

/// A delivery of which nothing is recorded yet: its event alone knows of it.
fn fresh(db: &Connection, route: i64, key: i64) -> rusqlite::Result<Option<DeliveryRow>> {
    let sql =
        "SELECT name, EXISTS(SELECT 1 FROM queue WHERE route=?1 AND due_at=?2 AND delivery=?3)
        FROM route WHERE id=?1";
    let row = |row: &Row<'_>| {
        let cause = (!row.get::<_, bool>(1)?).then(|| BEHIND.to_owned());
        let (route, state, due_at) = (row.get(0)?, State::Pending, Some(AT_ONCE));
        Ok(DeliveryRow { route, state, due_at, cause, attempts: Vec::new(), replay: None })
    };
    db.prepare_cached(sql)?.query_row(params![route, AT_ONCE, key], row).optional()
}

/// The deliveries of which an attempt is recorded, or their end.
fn recorded(db: &Connection, first: i64, end: i64) -> rusqlite::Result<BTreeMap<i64, DeliveryRow>> {
    let sql = "SELECT id, route, state, due_at, cause, started_at, duration, outcome, error,
        version, logs FROM delivery WHERE id>=? AND id<?";
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query([first, end])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let key: i64 = row.get(0)?;
        let state = State::from_name(row.get_ref(2)?.as_str()?).unwrap_or(State::Parked);
        let due_at = row.get(3)?;
        let mut attempts = Vec::new();
        if row.get_ref(5)? != rusqlite::types::ValueRef::Null {
            attempts.push(attempt(row, 1, 5)?);
            attempts.extend(later_attempts(db, key)?);
        }
        let (route, cause) = (row.get(1)?, row.get(4)?);
        let delivery = DeliveryRow { route, state, due_at, cause, attempts, replay: None };
        found.insert(key, delivery);
    }
    Ok(found)
}

fn later_attempts(db: &Connection, delivery: i64) -> rusqlite::Result<Vec<AttemptRow>> {
    let sql = "SELECT n, started_at, duration, outcome, error, version, logs FROM attempt
        WHERE delivery=? ORDER BY n";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map([delivery], |row| attempt(row, row.get(0)?, 1))?;
    rows.collect()
}

/// The attempt whose columns begin at `column`.
fn attempt(row: &Row<'_>, n: u32, column: usize) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        n,
        started_at: row.get(column)?,
        duration_ms: row.get(column + 1)?,
        outcome: row.get(column + 2)?,
        error: row.get(column + 3)?,
        version: row.get(column + 4)?,
        logs: row.get(column + 5)?,
    })
}

fn sync(row: &Row<'_>) -> rusqlite::Result<SyncDelivery> {
    let reply = match row.get(3)? {
        None => None,
        Some(status) => {
            let fields = Headers::restore(row.get_ref(4)?.as_blob()?);
            let headers = fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
            Some(Reply { status, headers: headers.collect(), body: row.get(5)? })
        }
    };
    let state = State::from_name(row.get_ref(1)?.as_str()?).unwrap_or(State::Parked);
    Ok(SyncDelivery { key: row.get(0)?, state, attempts: row.get(2)?, reply })
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn damage_is_told_from_what_may_pass() {
        let sqlite = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into();
        let body = |kind| io::Error::from(kind).into();
        let wrong_kind = rusqlite::Error::IntegralValueOutOfRange(0, 0);
        for (error, damage) in [
            (ReadError::Missing, true),
            (sqlite(ffi::SQLITE_CORRUPT), true),
            (sqlite(ffi::SQLITE_CORRUPT_INDEX), true),
            (sqlite(ffi::SQLITE_NOTADB), true),
            (wrong_kind.into(), true),
            (sqlite(ffi::SQLITE_IOERR_READ), false),
            (sqlite(ffi::SQLITE_BUSY), false),
            (sqlite(ffi::SQLITE_CANTOPEN), false),
            (sqlite(ffi::SQLITE_NOMEM), false),
            (body(io::ErrorKind::NotFound), true),
            (body(io::ErrorKind::InvalidData), true),
            (body(io::ErrorKind::PermissionDenied), false),
            (io::Error::from_raw_os_error(5).into(), false),
            (io::Error::from_raw_os_error(24).into(), false),
        ] {
            assert_eq!(error.is_damage(), damage, "{error}");
        }
    }
}
