//! Finding what is to be replayed, oldest first, with a bounded amount of work for each step.

use rusqlite::{Connection, OptionalExtension, params};

use super::read::{ReadError, Reader};
use super::replay::STEP;
use super::schema::ORDINAL_BITS;
use super::search::{self, Filter};
use crate::delivery::State;
use crate::event::EventId;

/// Deliveries, or events, looked at for one step at the most.
const LOOKED_AT: usize = 10_000;

/// What is dead is found by the index `unsettled`, which SQLite takes only for a query that repeats
/// the index's condition.
const DEAD: &str = "SELECT id, route, cause FROM delivery
    WHERE state='dead' AND state<>'done' AND id>?1 AND id<?2 ORDER BY id LIMIT ?3";
const DONE: &str = "SELECT id, route, cause FROM delivery
    WHERE id>?1 AND id<?2 AND state='done' ORDER BY id LIMIT ?3";
const UNROUTED: &str = "SELECT seq<<16, NULL, NULL FROM event
    WHERE seq>?1>>16 AND seq<?2>>16 AND routes=0 ORDER BY seq LIMIT ?3";

const EVENT: &str =
    "SELECT received_at, source, type, length(headers)+length(body) FROM event WHERE seq=?";

/// A delivery that a filter matches, or an event without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The event.
    pub event: EventId,
    /// The delivery's route.
    pub route: Option<String>,
    /// Bytes of the event.
    pub bytes: i64,
}

/// Matches, oldest first.
#[derive(Debug)]
pub struct Matches {
    /// No more than [`STEP`].
    pub items: Vec<Match>,
    /// Where to go on, if there may be more.
    pub next: Option<i64>,
}

impl Reader {
    /// What a filter matches that can be replayed: of a settled state, or events that no route
    /// took. `only` is one event; `after` the place that an earlier step gave.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn matching(
        &self,
        filter: &Filter,
        only: Option<EventId>,
        after: Option<i64>,
    ) -> Result<Matches, ReadError> {
        self.with(|db| {
            let span = match only {
                Some(id) => id.seq()..id.seq() + 1,
                None => search::span(db, filter)?,
            };
            let [first, end] =
                [span.start, span.end].map(|seq| (seq << ORDINAL_BITS).cast_signed());
            let after = after.unwrap_or(i64::MIN).max(first - 1);
            let mut select = db.prepare_cached(match filter.state {
                None | Some(Some(State::Dead)) => DEAD,
                Some(None) => UNROUTED,
                Some(Some(_)) => DONE,
            })?;
            let mut rows = select.query(params![after, end, LOOKED_AT])?;
            let (mut items, mut looked_at, mut next) = (Vec::new(), 0, None);
            while items.len() < STEP
                && let Some(row) = rows.next()?
            {
                let key: i64 = row.get(0)?;
                (looked_at, next) = (looked_at + 1, Some(key));
                let [route, cause] = [row.get_ref(1)?, row.get_ref(2)?]
                    .map(|value| value.as_str_or_null().ok().flatten());
                if filter.lets_route_through(route.unwrap_or_default(), cause) {
                    let found = self.matched(db, filter, key >> ORDINAL_BITS, route)?;
                    items.extend(found.filter(|found| only.is_none_or(|id| id == found.event)));
                }
            }
            let more = items.len() == STEP || looked_at == LOOKED_AT;
            Ok(Matches { items, next: next.filter(|_| more) })
        })
    }

    fn matched(
        &self,
        db: &Connection,
        filter: &Filter,
        seq: i64,
        route: Option<&str>,
    ) -> Result<Option<Match>, ReadError> {
        let found = db.prepare_cached(EVENT)?.query_row([seq], |row| {
            let (received_at, bytes) = (row.get(0)?, row.get(3)?);
            let (source, kind): (String, String) = (row.get(1)?, row.get(2)?);
            Ok((
                EventId::new(received_at, self.tag, seq.cast_unsigned()),
                received_at,
                source,
                kind,
                bytes,
            ))
        });
        let Some((event, received_at, source, kind, bytes)) = found.optional()? else {
            return Ok(None);
        };
        let lets_through = filter.lets_through(&source, &kind, received_at);
        let route = route.map(str::to_owned);
        Ok(lets_through.then_some(Match { event, route, bytes }))
    }
}
