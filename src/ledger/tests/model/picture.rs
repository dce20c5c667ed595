//! What a ledger must hold, kept in plain maps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

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

/// The route that keeps deliveries of one value in order, most of the time.
pub const ORDERED: &str = "ordered";

/// A delivery as it must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its place in [`ROUTES`].
    pub route: usize,
    pub state: State,
    /// Attempts that were made.
    pub attempts: u32,
    /// What it is ordered by, if it was stored while its route was ordered: how often the route had
    /// lost its order by then, and the value.
    pub order: Option<(u32, u64)>,
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
    /// The route that is ordered is not so now.
    pub unordered: bool,
    /// How often it lost its order.
    pub order_lost: u32,
    /// The highest number of an event.
    pub last: u64,
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
            // It may have been removed.
            self.events.get_mut(&first.seq()).into_iter().for_each(|it| it.1.duplicates += 1);
            return;
        }
        let has_room = |route: &usize| self.unsettled(*route) < ROUTES[*route].1.events as usize;
        let refuses = |route: &usize| ROUTES[*route].1.full == Full::Refuse && !has_room(route);
        let refused = routes.iter().any(refuses);
        assert_eq!(told.is_none(), refused, "{routes:?}");
        let Some(Receipt { id, duplicate }) = told else { return };
        assert!(!duplicate);
        assert!(id.seq() > self.last, "numbers go up");
        let room: Vec<bool> = routes.iter().map(has_room).collect();
        for (ordinal, (route, room)) in routes.into_iter().zip(room).enumerate() {
            let state = if room { State::Pending } else { State::Dead };
            let order = self.orders(ROUTES[route].0).then_some((self.order_lost, value));
            let picture = Picture { route, state, attempts: 0, order };
            self.deliveries.insert((id.seq() << 16) as i64 | ordinal as i64, picture);
        }
        self.last = id.seq();
        self.by_sameness.extend(same.map(|same| (same, id)));
        let known = Known { spooled: body.len() > 256 * 1024, body, duplicates: 0 };
        self.events.insert(id.seq(), (id, known));
    }

    /// Whether a route keeps what comes now in order.
    pub fn orders(&self, route: &str) -> bool {
        route == ORDERED && !self.unordered
    }

    /// The route that is ordered loses its order, or has it again.
    pub fn flip(&mut self) {
        self.unordered ^= true;
        self.order_lost += u32::from(self.unordered);
    }

    /// Unsettled deliveries that have to wait for each other, and that may.
    pub fn kept_in_order(&self) -> RangeInclusive<i64> {
        let ordered = self.deliveries.values().filter(|it| !it.is_settled());
        let lost: Vec<u32> = ordered.filter_map(|it| it.order).map(|(lost, _)| lost).collect();
        let must = lost.iter().filter(|lost| **lost == self.order_lost).count();
        must as i64..=lost.len() as i64
    }

    /// Everything goes that is settled; gives how many events those are.
    pub fn remove_settled(&mut self) -> u64 {
        let open = self.deliveries.iter().filter(|(_, it)| !it.is_settled());
        let open: BTreeSet<u64> = open.map(|(key, _)| (key >> 16) as u64).collect();
        let before = self.events.len();
        self.events.retain(|seq, _| open.contains(seq));
        self.deliveries.retain(|key, _| open.contains(&((key >> 16) as u64)));
        (before - self.events.len()) as u64
    }

    /// An attempt of that delivery begins: it must be its turn.
    pub fn taken(&mut self, key: i64, route: &str, attempt: u32) {
        let picture = &self.deliveries[&key];
        assert_eq!(picture.state, State::Pending, "{key}: {picture:?}");
        assert_eq!((route, attempt), (picture.name(), picture.attempts + 1));
        // What was stored before the order was lost may be freed, or not yet.
        if picture.order.is_some_and(|(lost, _)| lost == self.order_lost) {
            let mut before = self.deliveries.range(..key);
            let first =
                before.find(|(_, other)| other.order == picture.order && !other.is_settled());
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
