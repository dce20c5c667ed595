//! Dead letters, grouped by route and cause.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension, params};

use super::cause;
use super::read::{ReadError, Reader};
use super::schema::ORDINAL_BITS;
use crate::event::EventId;

/// Dead letters looked at for one answer at the most.
const LOOKED_AT: usize = 20_000;

/// Groups of one answer at the most: causes may be all different.
const GROUPS: usize = 1_000;

/// Newest first, since their index ends with the newest.
const DEAD: &str = "SELECT id, route, cause,
    coalesce((SELECT started_at FROM attempt WHERE delivery=id AND n=attempts), started_at,
        (SELECT received_at FROM event WHERE seq=id>>16))
    FROM delivery WHERE state='dead' AND state<>'done' AND id<?1 ORDER BY id DESC LIMIT ?2";

/// Dead letters of one route whose causes differ in numbers and ids alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The route's name.
    pub route: String,
    /// Their cause, with `…` for what differs.
    pub cause: String,
    /// How many there are.
    pub count: u64,
    /// When the first of them had its last attempt, or came in where none was made, in milliseconds
    /// since 1970.
    pub first: u64,
    /// When the last of them had it, or came in.
    pub last: u64,
    /// The newest of their events.
    pub example: EventId,
}

/// Groups, the largest first; of all dead letters, or of some when there are many.
#[derive(Debug)]
pub struct Letters {
    /// The groups.
    pub groups: Vec<Group>,
    /// Where to go on, if there may be more: a group may come again then.
    pub next: Option<i64>,
}

impl Reader {
    /// Groups dead letters, those before the place `before` that an earlier answer gave.
    ///
    /// # Errors
    /// The disk does not give them.
    pub fn dead_letters(&self, before: Option<i64>) -> Result<Letters, ReadError> {
        self.with(|db| {
            let mut select = db.prepare_cached(DEAD)?;
            let mut rows = select.query(params![before.unwrap_or(i64::MAX), LOOKED_AT])?;
            let mut groups: HashMap<(String, String), Group> = HashMap::new();
            let (mut looked_at, mut next) = (0, None);
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                let cause: Option<String> = row.get(2)?;
                let cause = cause::pattern(cause.as_deref().unwrap_or_default());
                let at: u64 = row.get::<_, Option<u64>>(3)?.unwrap_or(0);
                (looked_at, next) = (looked_at + 1, Some(id));
                let route: String = row.get(1)?;
                match groups.entry((route, cause)) {
                    Entry::Occupied(mut group) => group.get_mut().add(at),
                    Entry::Vacant(place) => {
                        let (route, cause) = place.key().clone();
                        let example = self.id_of(db, id >> ORDINAL_BITS)?;
                        place.insert(Group {
                            route,
                            cause,
                            count: 1,
                            first: at,
                            last: at,
                            example,
                        });
                    }
                }
                if groups.len() == GROUPS {
                    break;
                }
            }
            let more = looked_at == LOOKED_AT || groups.len() == GROUPS;
            let mut groups: Vec<Group> = groups.into_values().collect();
            groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key().cmp(&b.key())));
            Ok(Letters { groups, next: next.filter(|_| more) })
        })
    }

    /// The id of the event number `seq`.
    fn id_of(&self, db: &Connection, seq: i64) -> rusqlite::Result<EventId> {
        let mut select = db.prepare_cached("SELECT received_at FROM event WHERE seq=?")?;
        let received_at: Option<u64> = select.query_row([seq], |row| row.get(0)).optional()?;
        Ok(EventId::new(received_at.unwrap_or(0), self.tag, seq.cast_unsigned()))
    }
}

impl Group {
    fn add(&mut self, at: u64) {
        self.count += 1;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }

    fn key(&self) -> (&str, &str) {
        (&self.route, &self.cause)
    }
}
