//! Looking through events, newest first and page by page. A page costs a bounded amount of work,
//! whatever the filter lets through: it may come out short, and says where the next one begins.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cause;
use super::read::{DeliveryRow, EventRow, ReadError, Reader};
use super::schema::ORDINAL_BITS;
use super::sought::Sought;
use crate::delivery::State;
use crate::event::EventId;

/// Events, or deliveries, looked at for one page at the most.
const LOOKED_AT: usize = 10_000;

/// Events lie in order of arrival, by a clock that may have been set back: one that was is found
/// by its time all the same when it was set back by no more than this, in milliseconds.
const CLOCK_SLACK: u64 = 60_000;

/// No event's number is higher: a delivery's key holds it and the delivery's own.
const LAST_SEQ: u64 = i64::MAX.cast_unsigned() >> ORDINAL_BITS;

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

const EVENTS: &str = "SELECT seq, received_at, source, type, secret IS NOT NULL, routes FROM event
    WHERE seq>=?1 AND seq<?2 ORDER BY seq DESC LIMIT ?3";
const EVENT: &str =
    "SELECT seq, received_at, source, type, secret IS NOT NULL, routes FROM event WHERE seq=?";

/// Dead letters are found by the index `unsettled`, which SQLite takes only for a query that
/// repeats the index's condition.
const DEAD: &str = "SELECT id, route, cause FROM delivery
    WHERE state='dead' AND state<>'done' AND id>=?1 AND id<?2 ORDER BY id DESC LIMIT ?3";

impl Reader {
    /// A page of events.
    ///
    /// # Errors
    /// The disk does not give them.
    pub fn list(&self, filter: &Filter) -> Result<Page, ReadError> {
        self.with(|db| {
            let span = span(db, filter)?;
            let mut walk = Walk { items: Vec::new(), looked_at: 0, last: None };
            if filter.state.flatten() == Some(State::Dead) {
                self.walk_dead(db, filter, &span, &mut walk)?;
            } else {
                self.walk_events(db, filter, &span, &mut walk)?;
            }
            let more = walk.is_over(filter);
            Ok(Page { items: walk.items, next: walk.last.filter(|_| more) })
        })
    }

    fn walk_events(
        &self,
        db: &Connection,
        filter: &Filter,
        span: &Range<u64>,
        walk: &mut Walk,
    ) -> Result<(), ReadError> {
        let sought = Sought::of(db, filter.route.as_deref(), filter.state.flatten())?;
        let Some(sought) = sought else { return Ok(()) };
        let mut select = db.prepare_cached(EVENTS)?;
        let mut rows = select.query(params![span.start, span.end, LOOKED_AT])?;
        while let Some(row) = rows.next()? {
            walk.looked_at += 1;
            let event = self.event_row(row)?;
            walk.last = Some(event.id.seq());
            let routes: u64 = row.get(5)?;
            let may_be = filter.state != Some(None) || routes == 0;
            if may_be
                && filter.lets_event_through(&event)
                && sought.may_be(db, event.id.seq(), routes)?
            {
                let event = self.fill(db, event)?;
                walk.items
                    .extend(Some(event).filter(|event| filter.lets_deliveries_through(event)));
            }
            if walk.is_over(filter) {
                break;
            }
        }
        Ok(())
    }

    fn walk_dead(
        &self,
        db: &Connection,
        filter: &Filter,
        span: &Range<u64>,
        walk: &mut Walk,
    ) -> Result<(), ReadError> {
        let [first, end] = [span.start, span.end].map(|seq| seq << ORDINAL_BITS);
        let mut select = db.prepare_cached(DEAD)?;
        let mut rows = select.query(params![first, end, LOOKED_AT])?;
        let mut event = db.prepare_cached(EVENT)?;
        let mut taken = None;
        while let Some(row) = rows.next()? {
            walk.looked_at += 1;
            let seq = row.get::<_, u64>(0)? >> ORDINAL_BITS;
            walk.last = Some(seq);
            let [route, cause] = [row.get_ref(1)?, row.get_ref(2)?]
                .map(|value| value.as_str_or_null().ok().flatten());
            // An event may have several such deliveries.
            if taken != Some(seq) && filter.lets_route_through(route.unwrap_or_default(), cause) {
                taken = Some(seq);
                let found = event.query_row([seq], |row| self.event_row(row)).optional()?;
                if let Some(found) = found.filter(|event| filter.lets_event_through(event)) {
                    walk.items.push(self.fill(db, found)?);
                }
            }
            if walk.is_over(filter) {
                break;
            }
        }
        Ok(())
    }

    fn event_row(&self, row: &Row<'_>) -> rusqlite::Result<EventRow> {
        let received_at = row.get(1)?;
        Ok(EventRow {
            id: EventId::new(received_at, self.tag, row.get(0)?),
            source: row.get(2)?,
            kind: row.get(3)?,
            received_at,
            verified: row.get(4)?,
            duplicates: 0,
            deliveries: Vec::new(),
        })
    }
}

/// A page in the making.
struct Walk {
    items: Vec<EventRow>,
    looked_at: usize,
    /// The event number looked at last.
    last: Option<u64>,
}

impl Walk {
    fn is_over(&self, filter: &Filter) -> bool {
        self.items.len() >= filter.limit || self.looked_at == LOOKED_AT
    }
}

impl Filter {
    fn asks_for_a_delivery(&self) -> bool {
        self.state.flatten().is_some() || self.route.is_some() || self.cause.is_some()
    }

    fn lets_event_through(&self, event: &EventRow) -> bool {
        self.lets_through(&event.source, &event.kind, event.received_at)
    }

    /// Whether an event is let through that is of this source and type, and came in at that time.
    pub(super) fn lets_through(&self, source: &str, kind: &str, received_at: u64) -> bool {
        self.source.as_deref().is_none_or(|wanted| wanted == source)
            && self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && self.received.as_ref().is_none_or(|span| span.contains(&received_at))
    }

    /// Whether one of its deliveries is asked for, if any is.
    fn lets_deliveries_through(&self, event: &EventRow) -> bool {
        let is_wanted = |delivery: &DeliveryRow| {
            self.state.flatten().is_none_or(|wanted| delivery.state == wanted)
                && self.lets_route_through(&delivery.route, delivery.cause.as_deref())
        };
        !self.asks_for_a_delivery() || event.deliveries.iter().any(is_wanted)
    }

    /// Whether a delivery is let through that is on this route, for this cause.
    pub(super) fn lets_route_through(&self, route: &str, cause: Option<&str>) -> bool {
        self.route.as_deref().is_none_or(|wanted| route == wanted)
            && self
                .cause
                .as_deref()
                .is_none_or(|wanted| cause.is_some_and(|cause| cause::same(wanted, cause)))
    }
}

/// The event numbers in which a page lies: before its place, and within its span of time.
pub(super) fn span(db: &Connection, filter: &Filter) -> rusqlite::Result<Range<u64>> {
    let before = filter.before.unwrap_or(LAST_SEQ).min(LAST_SEQ);
    let Some(received) = &filter.received else { return Ok(0..before) };
    let first = first_since(db, received.start.saturating_sub(CLOCK_SLACK))?;
    let end = match received.end.saturating_add(CLOCK_SLACK) {
        u64::MAX => before,
        until => before.min(first_since(db, until)?),
    };
    Ok(first..end)
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
