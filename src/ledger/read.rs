//! Reading the ledger: one event for an attempt, and what people ask about.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};
use thiserror::Error;

use super::body;
use super::schema::{self, ORDINAL_BITS};
use super::spool::Spool;
use crate::delivery::{Reply, State};
use crate::event::{Event, EventId, Headers};

/// Connections kept for the next reads; each may cache 8 MB.
const IDLE_CONNECTIONS: usize = 8;

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

/// Reads what is committed, on connections of its own.
#[derive(Debug)]
pub struct Reader {
    file: PathBuf,
    spool: Arc<Spool>,
    pub(super) tag: u32,
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
    /// Where it stands. What is out for an attempt is pending in the ledger.
    pub state: State,
    /// The stamp at which it is due, in milliseconds since 1970; 0 is at once.
    pub due_at: Option<u64>,
    /// Why it is not done.
    pub cause: Option<String>,
    /// What was tried, the first attempt first.
    pub attempts: Vec<AttemptRow>,
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
    pub(super) fn new(file: PathBuf, spool: Arc<Spool>, tag: u32) -> Self {
        Self { file, spool, tag, idle: Mutex::default() }
    }

    /// The event number `seq` with its bytes.
    pub(super) fn event(&self, seq: i64) -> Result<(EventId, Arc<Event>), ReadError> {
        self.with(|db| self.whole(db, seq))
    }

    fn whole(&self, db: &Connection, seq: i64) -> Result<(EventId, Arc<Event>), ReadError> {
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
            Ok((fill(db, row)?, event))
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

/// Adds an event's duplicates, deliveries and attempts.
pub(super) fn fill(db: &Connection, mut event: EventRow) -> Result<EventRow, ReadError> {
    let seq = event.id.seq().cast_signed();
    let sql = "SELECT count FROM duplicate WHERE seq=?";
    let count: Option<u64> =
        db.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    event.duplicates = count.unwrap_or(0);
    let (first, end) = (seq << ORDINAL_BITS, (seq + 1) << ORDINAL_BITS);
    let mut deliveries = fresh(db, first, end)?;
    deliveries.extend(settled(db, first, end)?);
    deliveries.sort_by_key(|(key, _)| *key);
    event.deliveries = deliveries.into_iter().map(|(_, delivery)| delivery).collect();
    Ok(event)
}

/// Deliveries that no attempt has been recorded for: they are in the queue alone.
fn fresh(db: &Connection, first: i64, end: i64) -> rusqlite::Result<Vec<(i64, DeliveryRow)>> {
    let sql = "SELECT delivery, route FROM queue WHERE due_at=0 AND delivery>=? AND delivery<?
        AND delivery NOT IN (SELECT id FROM delivery WHERE id>=?1 AND id<?2)";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map([first, end], |row| {
        let (state, due_at) = (State::Pending, Some(0));
        let route = row.get(1)?;
        Ok((row.get(0)?, DeliveryRow { route, state, due_at, cause: None, attempts: Vec::new() }))
    })?;
    rows.collect()
}

fn settled(db: &Connection, first: i64, end: i64) -> rusqlite::Result<Vec<(i64, DeliveryRow)>> {
    let sql = "SELECT id, route, state, due_at, cause, started_at, duration, outcome, error,
        version, logs FROM delivery WHERE id>=? AND id<?";
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query([first, end])?;
    let mut found = Vec::new();
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
        found.push((key, DeliveryRow { route, state, due_at, cause, attempts }));
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
