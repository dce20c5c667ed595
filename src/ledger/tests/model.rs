//! A long random walk over a ledger and a plain picture of it, which must stay alike.

use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::delivery::{self, State};
use crate::event::EventId;
use crate::ledger::read::DeliveryRow;
use crate::ledger::search::Filter;

/// Steps of one walk.
const STEPS: usize = 2_000;
/// Events with fewer different ids than there are events: some are duplicates.
const IDS: u64 = 400;
const ROUTES: [&str; 3] = ["a", "b", "c"];
/// The seed to walk with, instead of one of the day.
const SEED: &str = "HOOKYARD_SEED";

/// Told when a walk fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat it with {SEED}={}", self.0);
        }
    }
}

/// Chance, from a seed.
struct Chance {
    seed: u64,
    drawn: u32,
}

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.drawn += 1;
        (delivery::jitter(self.seed, self.drawn) * end as f64) as usize
    }
}

/// A delivery as it must be.
#[derive(Debug, Clone, PartialEq)]
struct Picture {
    route: &'static str,
    state: State,
    /// Attempts that were made.
    attempts: u32,
}

/// An event as it must be.
struct Known {
    body: String,
    duplicates: u64,
    spooled: bool,
}

struct Walk {
    store: Store,
    chance: Chance,
    events: BTreeMap<u64, (EventId, Known)>,
    by_sameness: BTreeMap<u64, EventId>,
    deliveries: BTreeMap<i64, Picture>,
    out: Vec<Lease>,
    /// Settled, and perhaps not on the disk yet: how they were before.
    settled: BTreeMap<i64, Picture>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        Self {
            store: Store::new(),
            chance: Chance { seed, drawn: 0 },
            events: BTreeMap::new(),
            by_sameness: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            out: Vec::new(),
            settled: BTreeMap::new(),
        }
    }

    async fn step(self) -> Self {
        let mut walk = self;
        match walk.chance.below(1_000) {
            0..300 => walk.append().await,
            300..600 => walk.take(),
            600..970 => walk.settle(),
            970..985 => walk.unpark().await,
            985..990 => walk.compare().await,
            990..995 => walk = walk.crash().await,
            _ => {
                walk.synced().await;
                walk.store = walk.store.reopen();
                walk.forget_leases();
            }
        }
        walk
    }

    /// Stores some events at once, which may be each other's duplicates.
    async fn append(&mut self) {
        let count = 1 + self.chance.below(6);
        let drafts: Vec<_> = (0..count).map(|_| self.draft()).collect();
        let store = &self.store;
        let appends = drafts.iter().map(async |(body, same, routes)| {
            let same = same.map(|id| store.same(&id.to_string()));
            store.append(body, same, routes).await.unwrap()
        });
        let receipts = futures_util::future::join_all(appends).await;
        let mut told: Vec<_> = drafts.into_iter().zip(receipts).collect();
        told.sort_by_key(|(_, receipt)| (receipt.duplicate, receipt.id.seq()));
        for ((body, same, routes), receipt) in told {
            self.stored(body, same, &routes, receipt);
        }
    }

    fn draft(&mut self) -> (String, Option<u64>, Vec<&'static str>) {
        let length = if self.chance.below(100) == 0 { 300_000 } else { self.chance.below(2_000) };
        let body = format!("{}{}", self.chance.drawn, "-".repeat(length));
        let same = (self.chance.below(4) > 0).then(|| self.chance.below(IDS as usize) as u64);
        let routes = ROUTES.into_iter().filter(|_| self.chance.below(2) == 0).collect();
        (body, same, routes)
    }

    fn stored(&mut self, body: String, same: Option<u64>, routes: &[&'static str], told: Receipt) {
        let first = same.and_then(|same| self.by_sameness.get(&same)).copied();
        assert_eq!(told.duplicate, first.is_some());
        if let Some(first) = first {
            assert_eq!(told.id, first);
            self.events.get_mut(&first.seq()).unwrap().1.duplicates += 1;
            return;
        }
        let last = self.events.last_key_value().map_or(0, |(seq, _)| *seq);
        assert!(told.id.seq() > last, "numbers go up");
        self.by_sameness.extend(same.map(|same| (same, told.id)));
        let known = Known { spooled: body.len() > 256 * 1024, body, duplicates: 0 };
        self.events.insert(told.id.seq(), (told.id, known));
        for (ordinal, route) in routes.iter().enumerate() {
            let picture = Picture { route, state: State::Pending, attempts: 0 };
            self.deliveries.insert((told.id.seq() << 16) as i64 | ordinal as i64, picture);
        }
    }

    /// Takes what is leased, some of it.
    fn take(&mut self) {
        for _ in 0..self.chance.below(12) {
            let Ok(lease) = self.store.leases.try_recv() else { return };
            self.taken(lease);
        }
    }

    fn taken(&mut self, lease: Lease) {
        let picture = self.deliveries.get_mut(&lease.key).unwrap();
        assert_eq!(picture.state, State::Pending, "{lease:?}");
        assert_eq!((&*lease.route, lease.attempt), (picture.route, picture.attempts + 1));
        assert!(lease.due_at <= self.store.ledger.now(), "early: {lease:?}");
        picture.state = State::Leased;
        let (id, event) = self.store.ledger.event(&lease).unwrap();
        let (known_id, known) = &self.events[&((lease.key >> 16) as u64)];
        assert_eq!(id, *known_id);
        assert!(event.body() == known.body.as_bytes());
        self.out.push(lease);
    }

    fn settle(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let lease = self.out.swap_remove(self.chance.below(self.out.len()));
        let picture = self.deliveries.get_mut(&lease.key).unwrap();
        let before = Picture { state: State::Pending, ..picture.clone() };
        self.settled.entry(lease.key).or_insert(before);
        let soon = self.store.ledger.now() + self.chance.below(30) as u64;
        let (outcome, next) = match self.chance.below(10) {
            0 => {
                picture.state = State::Parked;
                return self.store.ledger.settle(lease, Settlement::Parked("missing".to_owned()));
            }
            1 => (Outcome::Reject("no".to_owned()), Next::Dead),
            2..5 => (Outcome::Trap("broke".to_owned()), Next::RetryAt(soon)),
            _ => (Outcome::Ack, Next::Done),
        };
        picture.attempts += 1;
        picture.state = next.state();
        self.store.ledger.settle(lease, attempted(outcome, next));
    }

    async fn unpark(&mut self) {
        self.synced().await;
        let route = ROUTES[self.chance.below(ROUTES.len())];
        self.store.ledger.unpark(vec![route.into()]);
        // An event's commit is also that of what was asked before it.
        let receipt = self.store.append("after it", None, &[]).await.unwrap();
        self.stored("after it".to_owned(), None, &[], receipt);
        let parked = |picture: &&mut Picture| picture.state == State::Parked;
        for picture in self.deliveries.values_mut().filter(parked) {
            if picture.route == route {
                picture.state = State::Pending;
            }
        }
    }

    /// Waits until all that was settled is on the disk.
    async fn synced(&mut self) {
        let count = |state| self.deliveries.values().filter(|it| it.state == state).count() as i64;
        let expected = [State::Done, State::Dead, State::Parked].map(count);
        let unsettled = self.deliveries.len() as i64 - expected.iter().sum::<i64>();
        let shown =
            |state: State| self.store.metrics.deliveries.with_label_values(&[state.name()]).get();
        until("what is settled to be recorded", || {
            [State::Done, State::Dead, State::Parked].map(shown) == expected
                && shown(State::Pending) + shown(State::Leased) == unsettled
                && self.settled.keys().all(|key| self.row(*key).1 == self.deliveries[key].attempts)
        })
        .await;
        self.settled.clear();
    }

    /// State and number of attempts as they are on the disk.
    fn row(&self, key: i64) -> (State, u32) {
        let id = self.events[&((key >> 16) as u64)].0;
        let (event, _) = self.store.ledger.reader().show(id).unwrap();
        let DeliveryRow { state, attempts, .. } = &event.deliveries[(key & 0xffff) as usize];
        (*state, attempts.len() as u32)
    }

    /// What was not on the disk is as it was before; the rest is as it must be.
    async fn crash(mut self) -> Self {
        self.swept().await;
        self.store = self.store.crash();
        self.forget_leases();
        for (key, before) in std::mem::take(&mut self.settled) {
            let (state, attempts) = self.row(key);
            let after = &self.deliveries[&key];
            let found = Picture { state, attempts, ..before };
            let between = before.attempts..=after.attempts;
            assert!(between.contains(&attempts), "{before:?}, {found:?}, {after:?}");
            if found != *after {
                assert_eq!(state, State::Pending, "{before:?}, {found:?}, {after:?}");
            }
            self.deliveries.insert(key, found);
        }
        self.synced().await;
        self
    }

    fn forget_leases(&mut self) {
        self.out.clear();
        for picture in self.deliveries.values_mut().filter(|it| it.state == State::Leased) {
            picture.state = State::Pending;
        }
    }

    /// Looks at everything there is.
    async fn compare(&mut self) {
        self.synced().await;
        let page = Filter { limit: usize::MAX, ..Filter::default() };
        let page = self.store.ledger.reader().list(&page).unwrap();
        assert_eq!(page.items.len(), self.events.len());
        let mut deliveries = self.deliveries.iter();
        for (row, (id, known)) in page.items.iter().rev().zip(self.events.values()) {
            assert_eq!((row.id, row.duplicates), (*id, known.duplicates));
            for found in &row.deliveries {
                let (key, expected) = deliveries.next().unwrap();
                assert_eq!(found.attempts.len(), expected.attempts as usize, "{key}");
                assert_eq!(found.route, expected.route);
                let pending = [State::Pending, State::Leased].contains(&expected.state);
                assert_eq!(found.state, if pending { State::Pending } else { expected.state });
                assert!(found.attempts.iter().zip(1..).all(|(attempt, n)| attempt.n == n));
            }
        }
        assert_eq!(deliveries.next(), None);
        for state in [State::Done, State::Dead, State::Parked] {
            let sql = format!("SELECT value FROM ledger WHERE name='{}'", state.name());
            let kept = self.deliveries.values().filter(|it| it.state == state).count();
            assert_eq!(self.store.ask(&sql), kept as i64, "{state:?}");
        }
        let pending = self.store.ask("SELECT value FROM ledger WHERE name='pending'");
        assert_eq!(pending, self.store.ask("SELECT count(*) FROM queue"));
        self.swept().await;
    }

    /// Waits until the bodies of duplicates are removed.
    async fn swept(&self) {
        let spooled = self.events.values().filter(|(_, known)| known.spooled).count();
        let bodies = self.store.path("bodies");
        until("duplicates' bodies to be removed", || files(&bodies).len() == spooled).await;
    }

    /// In the end everything is settled.
    async fn end(mut self) {
        for route in ROUTES {
            self.store.ledger.unpark(vec![route.into()]);
        }
        let open = |picture: &&mut Picture| picture.state == State::Parked;
        self.deliveries.values_mut().filter(open).for_each(|it| it.state = State::Pending);
        let mut ended = HashSet::new();
        loop {
            while let Some(lease) = self.out.pop() {
                assert!(ended.insert(lease.key), "{lease:?} again");
                let picture = self.deliveries.get_mut(&lease.key).unwrap();
                picture.attempts += 1;
                picture.state = State::Done;
                self.store.ack(lease);
            }
            if self.deliveries.values().all(|picture| picture.state != State::Pending) {
                break;
            }
            let lease = self.store.lease().await;
            self.taken(lease);
        }
        self.compare().await;
        assert_eq!(self.store.ask("SELECT count(*) FROM queue"), 0);
    }
}

#[tokio::test]
async fn a_random_walk_loses_and_repeats_nothing() {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed = Seed(given.unwrap_or_else(wall_ms));
    let mut walk = Walk::new(seed.0);
    for _ in 0..STEPS {
        walk = walk.step().await;
    }
    walk.end().await;
}
