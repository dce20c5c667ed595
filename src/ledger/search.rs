//! Looking through events, newest first and page by page. A page costs a bounded amount of work,
//! whatever the filter lets through: it may come out short, and says where the next one begins.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cause;
use super::read::{DeliveryRow, EventRow, ReadError, Reader, fill};
use super::schema::ORDINAL_BITS;
use crate::delivery::State;
use crate::event::EventId;

/// Events, or deliveries, looked at for one page at the most.
const LOOKED_AT: usize = 10_000;

/// Events lie in order of arrival, by a clock that may have been set back: one that was is found
/// by its time all the same when it was set back by no more than this, in milliseconds.
const CLOCK_SLACK: u64 = 60_000;

/// Which events a page shows. What is said of deliveries must be true of one of them.
#[derive(Debug, Default, Clone)]
pub struct Filter {
    /// Of this source.
    pub source: Option<String>,
    /// Of this type.
    pub kind: Option<String>,
    /// With a delivery on this route.
    pub route: Option<String>,
    /// With a delivery in this state; `Some(None)`: with no delivery at all.
    pub state: Option<Option<State>>,
    /// With a delivery that has this cause, or one that differs in numbers and ids alone.
    pub cause: Option<String>,
    /// That came in within this span, in milliseconds since 1970.
    pub received: Option<Range<u64>>,
    /// Before this place, which an earlier page gave.
    pub before: Option<u64>,
    /// No more than this many.
    pub limit: usize,
}

/// Events, newest first.
#[derive(Debug)]
pub struct Page {
    /// The events.
    pub items: Vec<EventRow>,
    /// Where the next page begins, if there may be one.
    pub next: Option<u64>,
}

/// Where candidates are read from. What is not done is found by the index `unsettled`, which
/// SQLite takes only for a query that repeats the index's condition.
const EVENTS: &str = "SELECT seq, received_at, source, type, routes FROM event
    WHERE seq<?1 ORDER BY seq DESC LIMIT ?2";
const UNSETTLED: &str = "SELECT seq, received_at, source, type, routes FROM
    (SELECT id FROM delivery WHERE state=?3 AND state<>'done' AND id < ?1 << 16
     ORDER BY id DESC LIMIT ?2) CROSS JOIN event ON seq = id >> 16";
const PENDING: &str = "SELECT seq, received_at, source, type, routes FROM
    (SELECT id FROM delivery WHERE state=?3 AND state<>'done' AND id < ?1 << 16
     UNION SELECT delivery FROM queue WHERE due_at=0 AND delivery < ?1 << 16
     ORDER BY 1 DESC LIMIT ?2) CROSS JOIN event ON seq = id >> 16";

impl Reader {
    /// A page of events.
    ///
    /// # Errors
    /// The disk does not give them.
    pub fn list(&self, filter: &Filter) -> Result<Page, ReadError> {
        self.with(|db| {
            let state = filter.state.flatten();
            let sql = match state {
                Some(State::Dead | State::Parked) => UNSETTLED,
                Some(State::Pending) => PENDING,
                Some(State::Leased | State::Done) | None => EVENTS,
            };
            let mut select = db.prepare_cached(sql)?;
            let name = state.map(State::name).filter(|_| sql != EVENTS);
            let before = start(db, filter)?;
            let mut rows = match name {
                Some(name) => select.query(params![before, LOOKED_AT, name])?,
                None => select.query(params![before, LOOKED_AT])?,
            };
            let (mut items, mut looked_at, mut last) = (Vec::new(), 0, None);
            while let Some(row) = rows.next()? {
                let event = self.event_row(row)?;
                let seq = event.id.seq();
                if filter.is_past(event.received_at) {
                    return Ok(Page { items, next: None });
                }
                looked_at += 1;
                // An event may have several deliveries in that state.
                if last.replace(seq) != Some(seq) {
                    items.extend(filter.look_at(db, event, row.get(4)?)?);
                }
                if items.len() >= filter.limit {
                    break;
                }
            }
            let more = items.len() >= filter.limit || looked_at == LOOKED_AT;
            Ok(Page { items, next: last.filter(|_| more) })
        })
    }

    fn event_row(&self, row: &Row<'_>) -> rusqlite::Result<EventRow> {
        let received_at = row.get(1)?;
        Ok(EventRow {
            id: EventId::new(received_at, self.tag, row.get(0)?),
            source: row.get(2)?,
            kind: row.get(3)?,
            received_at,
            duplicates: 0,
            deliveries: Vec::new(),
        })
    }
}

impl Filter {
    /// The event with its deliveries, if it is let through.
    fn look_at(
        &self,
        db: &Connection,
        event: EventRow,
        routes: u64,
    ) -> Result<Option<EventRow>, ReadError> {
        if !self.lets_event_through(&event) || (self.state == Some(None) && routes > 0) {
            return Ok(None);
        }
        let event = fill(db, event)?;
        let asks_for_one = self.state.flatten().is_some() || self.route.is_some();
        let has_one = event.deliveries.iter().any(|delivery| self.lets_delivery_through(delivery));
        Ok(Some(event).filter(|_| has_one || !(asks_for_one || self.cause.is_some())))
    }

    fn lets_event_through(&self, event: &EventRow) -> bool {
        self.source.as_ref().is_none_or(|source| *source == event.source)
            && self.kind.as_ref().is_none_or(|kind| *kind == event.kind)
            && self.received.as_ref().is_none_or(|span| span.contains(&event.received_at))
    }

    fn lets_delivery_through(&self, delivery: &DeliveryRow) -> bool {
        self.state.flatten().is_none_or(|state| state == delivery.state)
            && self.route.as_ref().is_none_or(|route| *route == delivery.route)
            && self.cause.as_ref().is_none_or(|cause| {
                delivery.cause.as_ref().is_some_and(|found| cause::same(cause, found))
            })
    }

    /// Whether every event that lies before one of that time is too old.
    fn is_past(&self, received_at: u64) -> bool {
        let since = self.received.as_ref().map_or(0, |span| span.start);
        received_at.saturating_add(CLOCK_SLACK) < since
    }
}

/// The event number before which a page begins: its place, or the end of its span of time.
fn start(db: &Connection, filter: &Filter) -> rusqlite::Result<u64> {
    let before = filter.before.unwrap_or(i64::MAX.cast_unsigned() >> ORDINAL_BITS);
    let until = filter.received.as_ref().map(|span| span.end.saturating_add(CLOCK_SLACK));
    match until.filter(|until| i64::try_from(*until).is_ok()) {
        Some(until) => Ok(before.min(first_since(db, until)?)),
        None => Ok(before),
    }
}

/// The number of the first event that came in at that time or later: found by halving, since an
/// index of times would cost every event something.
fn first_since(db: &Connection, at: u64) -> rusqlite::Result<u64> {
    let edge = |sql| db.query_row(sql, [], |row| row.get::<_, Option<u64>>(0));
    let mut low = edge("SELECT min(seq) FROM event")?.unwrap_or(0);
    let mut high = edge("SELECT max(seq) FROM event")?.map_or(0, |last| last + 1);
    let sql = "SELECT seq, received_at FROM event WHERE seq>=? ORDER BY seq LIMIT 1";
    let mut next = db.prepare_cached(sql)?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(u64, u64)> =
            next.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((seq, received_at)) if received_at < at => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
