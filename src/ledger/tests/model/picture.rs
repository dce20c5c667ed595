//! What a ledger must hold, kept in plain maps.

use std::collections::BTreeMap;

use super::super::WIDE;
use crate::delivery::{Backlog, Full, State};
use crate::event::EventId;
use crate::ledger::Receipt;

/// Routes, and what of each may wait.
pub const ROUTES: [(&str, Backlog); 4] = [
    ("wide", WIDE),
    ("refuses", Backlog { events: 40, full: Full::Refuse, ..WIDE }),
    ("buries", Backlog { events: 40, full: Full::Dead, ..WIDE }),
    ("ordered", WIDE),
];

/// The route that keeps deliveries of one value in order.
pub const ORDERED: &str = "ordered";

/// A delivery as it must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its place in [`ROUTES`].
    pub route: usize,
    pub state: State,
    /// Attempts that were made.
    pub attempts: u32,
    /// What orders it on the route that is ordered.
    pub value: u64,
}

impl Picture {
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Done | State::Dead)
    }

    pub fn name(&self) -> &'static str {
        ROUTES[self.route].0
    }
}

/// An event as it must be.
#[derive(Debug)]
pub struct Known {
    pub body: String,
    pub duplicates: u64,
    pub spooled: bool,
}

/// An event that is about to be stored.
#[derive(Debug, Clone)]
pub struct Draft {
    pub body: String,
    /// What makes another the same.
    pub same: Option<u64>,
    /// Places in [`ROUTES`].
    pub routes: Vec<usize>,
    pub value: u64,
}

/// Everything as it must be.
#[derive(Debug, Default)]
pub struct Pictures {
    pub events: BTreeMap<u64, (EventId, Known)>,
    pub by_sameness: BTreeMap<u64, EventId>,
    pub deliveries: BTreeMap<i64, Picture>,
    /// Whether a route is paused by request, and whether it is removed.
    pub held: [(bool, bool); ROUTES.len()],
}

impl Pictures {
    /// Whether the deliveries of a route are parked.
    pub fn is_held(&self, route: usize) -> bool {
        let (paused, removed) = self.held[route];
        paused || removed
    }

    pub fn unsettled(&self, route: usize) -> usize {
        let of = self.deliveries.values().filter(|it| it.route == route && !it.is_settled());
        of.count()
    }

    pub fn count(&self, state: State) -> i64 {
        self.deliveries.values().filter(|it| it.state == state).count() as i64
    }

    /// A draft was stored, or refused: whatever was told, it must be that.
    pub fn stored(&mut self, draft: Draft, told: Option<Receipt>) {
        let Draft { body, same, routes, value } = draft;
        if let Some(first) = same.and_then(|same| self.by_sameness.get(&same)).copied() {
            assert_eq!(told, Some(Receipt { id: first, duplicate: true }));
            self.events.get_mut(&first.seq()).unwrap().1.duplicates += 1;
            return;
        }
        let has_room = |route: &usize| self.unsettled(*route) < ROUTES[*route].1.events as usize;
        let refuses = |route: &usize| ROUTES[*route].1.full == Full::Refuse && !has_room(route);
        let refused = routes.iter().any(refuses);
        assert_eq!(told.is_none(), refused, "{routes:?}");
        let Some(Receipt { id, duplicate }) = told else { return };
        assert!(!duplicate);
        let last = self.events.last_key_value().map_or(0, |(seq, _)| *seq);
        assert!(id.seq() > last, "numbers go up");
        let room: Vec<bool> = routes.iter().map(has_room).collect();
        for (ordinal, (route, room)) in routes.into_iter().zip(room).enumerate() {
            let state = if room { State::Pending } else { State::Dead };
            let picture = Picture { route, state, attempts: 0, value };
            self.deliveries.insert((id.seq() << 16) as i64 | ordinal as i64, picture);
        }
        self.by_sameness.extend(same.map(|same| (same, id)));
        let known = Known { spooled: body.len() > 256 * 1024, body, duplicates: 0 };
        self.events.insert(id.seq(), (id, known));
    }

    /// An attempt of that delivery begins: it must be its turn.
    pub fn taken(&mut self, key: i64, route: &str, attempt: u32) {
        let picture = &self.deliveries[&key];
        assert_eq!(picture.state, State::Pending, "{key}: {picture:?}");
        assert_eq!((route, attempt), (picture.name(), picture.attempts + 1));
        if route == ORDERED {
            let mut before = self.deliveries.range(..key);
            let first = before.find(|(_, other)| {
                other.route == picture.route && other.value == picture.value && !other.is_settled()
            });
            assert_eq!(first, None, "it comes before {key}");
        }
        self.deliveries.get_mut(&key).unwrap().state = State::Leased;
    }

    /// What was out for an attempt is pending again.
    pub fn forget_leases(&mut self) {
        for picture in self.deliveries.values_mut().filter(|it| it.state == State::Leased) {
            picture.state = State::Pending;
        }
    }
}
