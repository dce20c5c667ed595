//! A long random walk over a ledger and a plain picture of it, which must stay alike.

mod picture;

use std::collections::HashSet;

use super::*;
use crate::delivery::{self, State};
use crate::ledger::read::DeliveryRow;
use crate::ledger::search::Filter;
use picture::{Draft, Picture, Pictures, ROUTES};

/// Steps of one walk, instead of some.
const STEPS: &str = "HOOKYARD_STEPS";
/// Events with fewer different ids than there are events: some are duplicates.
const IDS: usize = 400;
/// Values of what deliveries are ordered by.
const VALUES: usize = 5;
/// The seed to walk with, instead of one of the day.
const SEED: &str = "HOOKYARD_SEED";

const AN_HOUR: u64 = 3_600_000;

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

struct Walk {
    store: Store,
    chance: Chance,
    must: Pictures,
    out: Vec<Lease>,
    /// Settled, and perhaps not on the disk yet: how they were before.
    settled: std::collections::BTreeMap<i64, Picture>,
    /// Hours that the clock has been set forward.
    hours: i64,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let store = Store::new();
        let (must, chance) = (Pictures::default(), Chance { seed, drawn: 0 });
        Self { store, chance, must, out: Vec::new(), settled: Default::default(), hours: 0 }
    }

    async fn step(self) -> Self {
        let mut walk = self;
        match walk.chance.below(1_000) {
            0..300 => walk.append().await,
            300..600 => walk.take(),
            600..960 => walk.settle(),
            960..970 => walk.pause().await,
            970..975 => walk.remove().await,
            975..980 => walk.flip().await,
            980..986 => walk.compare().await,
            986..988 => walk = walk.retain().await,
            988..994 => walk = walk.crash().await,
            _ => {
                walk.synced().await;
                let stamps = walk.another_clock();
                walk.store = walk.store.reopen_at(stamps);
                walk.opened().await;
            }
        }
        walk
    }

    /// The clock stands still, or is set back or forward an hour.
    fn another_clock(&mut self) -> Stamps {
        self.hours += self.chance.below(3) as i64 - 1;
        Stamps::start_at(wall_ms().saturating_add_signed(self.hours * AN_HOUR as i64))
    }

    /// Stores some events at once, which may be each other's duplicates.
    async fn append(&mut self) {
        let alone = self.chance.below(30) == 0;
        let count = if alone { 1 } else { 1 + self.chance.below(6) };
        let drafts: Vec<_> = (0..count).map(|_| self.draft(alone)).collect();
        let store = &self.store;
        let ordered = self.must.orders(picture::ORDERED);
        let appends = drafts.iter().map(async |draft| store.append_draft(draft, ordered).await);
        let receipts = futures_util::future::join_all(appends).await;
        for (draft, told) in drafts.into_iter().zip(receipts) {
            self.must.stored(draft, told);
        }
    }

    fn draft(&mut self, large: bool) -> Draft {
        let length = if large { 300_000 } else { self.chance.below(2_000) };
        let body = format!("{}{}", self.chance.drawn, "-".repeat(length));
        let same = (self.chance.below(4) > 0).then(|| self.chance.below(IDS) as u64);
        let routes = (0..ROUTES.len()).filter(|_| self.chance.below(2) == 0).collect();
        Draft { body, same, routes, value: self.chance.below(VALUES) as u64 }
    }

    /// Takes what is leased, some of it.
    fn take(&mut self) {
        for _ in 0..self.chance.below(12) {
            let Ok(lease) = self.store.leases.try_recv() else { return };
            self.taken(lease);
        }
    }

    /// As dispatch does, an attempt begins unless its route is held.
    fn taken(&mut self, lease: Lease) {
        let key = lease.row.delivery;
        let is_held = self.store.ledger.held(&lease.route).is_some();
        assert_eq!(is_held, self.must.is_held(self.must.deliveries[&key].route));
        if is_held || self.chance.below(50) == 0 {
            return self.store.ledger.give_back(lease);
        }
        assert!(lease.row.due_at <= self.store.ledger.now(), "early: {lease:?}");
        self.must.taken(key, &lease.route, lease.attempt());
        let (id, event, _) = self.store.ledger.event(&lease).unwrap();
        let (known_id, known) = &self.must.events[&((key >> 16) as u64)];
        assert_eq!(id, *known_id);
        assert!(event.body() == known.body.as_bytes());
        self.out.push(lease);
    }

    fn settle(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let lease = self.out.swap_remove(self.chance.below(self.out.len()));
        let picture = self.must.deliveries.get_mut(&lease.row.delivery).unwrap();
        let before = Picture { state: State::Pending, ..picture.clone() };
        self.settled.entry(lease.row.delivery).or_insert(before);
        let soon = self.store.ledger.now() + self.chance.below(30) as u64;
        let (outcome, next) = match self.chance.below(10) {
            0 => (Outcome::Reject("no".to_owned()), Next::Dead),
            1 => (Outcome::Trap("broke".to_owned()), Next::RetryAt(soon + AN_HOUR)),
            2..5 => (Outcome::Trap("broke".to_owned()), Next::RetryAt(soon)),
            _ => (Outcome::Ack, Next::Done),
        };
        picture.attempts += 1;
        picture.state = next.state();
        self.store.ledger.settle(lease, attempt(outcome), next);
    }

    /// Pauses a route by request, or resumes it.
    async fn pause(&mut self) {
        let route = self.chance.below(ROUTES.len());
        let paused = &mut self.must.held[route].0;
        *paused = !*paused;
        self.store.ledger.pause(ROUTES[route].0.into(), *paused).await.unwrap();
    }

    /// Removes a route, or brings it back.
    async fn remove(&mut self) {
        let route = self.chance.below(ROUTES.len());
        self.must.held[route].1 ^= true;
        self.rule().await;
    }

    /// Takes the order away from a route that has it, or gives it back, at times before all is
    /// freed.
    async fn flip(&mut self) {
        self.must.flip();
        self.rule().await;
    }

    async fn rule(&self) {
        let routes = ROUTES.iter().zip(self.must.held);
        let there = routes.filter(|(_, (_, removed))| !removed);
        let rule = |name| Rule { ordered: self.must.orders(name), ..rule(name, None) };
        self.store.ledger.rule(there.map(|((name, _), _)| rule(name)).collect()).await;
    }

    /// Removes everything that is settled.
    async fn retain(mut self) -> Self {
        self.synced().await;
        let newest = wall_ms();
        until("all to have some age", || wall_ms() > newest).await;
        self.hours = 0;
        let store = self.store.reopen_with(|o| Options { retention: NOTHING, ..o });
        let (removed, expected) = (&store.metrics.events_removed, self.must.remove_settled());
        until("what is settled to be removed", || removed.get() >= expected).await;
        self.store = store.reopen();
        assert_eq!(self.store.ask("SELECT count(*) FROM event"), self.must.events.len() as i64);
        self.opened().await;
        self
    }

    /// Waits until all that was settled is on the disk.
    async fn synced(&mut self) {
        let expected = [State::Done, State::Dead].map(|state| self.must.count(state));
        let unsettled = self.must.deliveries.len() as i64 - expected.iter().sum::<i64>();
        let shown =
            |state: State| self.store.metrics.deliveries.with_label_values(&[state.name()]).get();
        let rest = [State::Pending, State::Leased, State::Parked];
        until("what is settled to be recorded", || {
            [State::Done, State::Dead].map(shown) == expected
                && rest.map(shown).iter().sum::<i64>() == unsettled
                && self
                    .settled
                    .keys()
                    .all(|key| self.row(*key).1 == self.must.deliveries[key].attempts)
        })
        .await;
        self.settled.clear();
    }

    /// State and number of attempts as they are on the disk.
    fn row(&self, key: i64) -> (State, u32) {
        let id = self.must.events[&((key >> 16) as u64)].0;
        let (event, _) = self.store.ledger.reader().show(id).unwrap();
        let DeliveryRow { state, attempts, .. } = &event.deliveries[(key & 0xffff) as usize];
        (*state, attempts.len() as u32)
    }

    /// What was not on the disk is as it was before; the rest is as it must be.
    async fn crash(mut self) -> Self {
        self.swept().await;
        let stamps = self.another_clock();
        self.store = self.store.crash_at(stamps);
        self.must.forget_leases();
        for (key, before) in std::mem::take(&mut self.settled) {
            let (state, attempts) = self.row(key);
            let after = &self.must.deliveries[&key];
            let unsettled = !matches!(state, State::Done | State::Dead);
            let found = Picture {
                state: if unsettled { State::Pending } else { state },
                attempts,
                ..before
            };
            let between = before.attempts..=after.attempts;
            assert!(between.contains(&attempts), "{before:?}, {found:?}, {after:?}");
            assert!(found == *after || unsettled, "{before:?}, {found:?}, {after:?}");
            self.must.deliveries.insert(key, found);
        }
        self.opened().await;
        self.synced().await;
        self
    }

    /// After a start: everything may be leased anew, once it is known which routes there are.
    async fn opened(&mut self) {
        self.out.clear();
        self.must.forget_leases();
        self.rule().await;
    }

    /// Looks at everything there is.
    async fn compare(&mut self) {
        self.synced().await;
        let page = Filter { limit: usize::MAX, ..Filter::default() };
        let page = self.store.ledger.reader().list(&page).unwrap();
        assert_eq!(page.items.len(), self.must.events.len());
        let mut deliveries = self.must.deliveries.iter();
        for (row, (id, known)) in page.items.iter().rev().zip(self.must.events.values()) {
            assert_eq!((row.id, row.duplicates), (*id, known.duplicates));
            for found in &row.deliveries {
                let (key, expected) = deliveries.next().unwrap();
                self.same(*key, expected, found);
            }
        }
        assert_eq!(deliveries.next(), None);
        self.counted();
        self.swept().await;
    }

    fn same(&self, key: i64, expected: &Picture, found: &DeliveryRow) {
        assert_eq!(found.attempts.len(), expected.attempts as usize, "{key}");
        assert_eq!(found.route, expected.name());
        assert!(found.attempts.iter().zip(1..).all(|(attempt, n)| attempt.n == n));
        if expected.state != State::Pending {
            assert_eq!(found.state, expected.state, "{key}");
            return;
        }
        // It may be on its way to an attempt.
        let held = self.must.is_held(expected.route);
        let stays = if held { State::Parked } else { State::Pending };
        assert!([stays, State::Leased].contains(&found.state), "{key}: {found:?}");
    }

    /// The ledger's own counts are right.
    fn counted(&self) {
        for state in [State::Done, State::Dead] {
            let sql = format!("SELECT value FROM ledger WHERE name='{}'", state.name());
            assert_eq!(self.store.ask(&sql), self.must.count(state), "{state:?}");
        }
        for (place, (name, _)) in ROUTES.iter().enumerate() {
            let of = format!("FROM route WHERE name='{name}'");
            let kept = self.store.ask(&format!("SELECT coalesce(sum(events), 0) {of}"));
            assert_eq!(kept, self.must.unsettled(place) as i64, "{name}");
            let bytes = self.store.ask(&format!("SELECT coalesce(sum(bytes), 0) {of}"));
            assert_eq!(bytes > 0, kept > 0, "{name}");
        }
        let (waiting, kept) =
            (self.store.ask("SELECT count(*) FROM waiting"), self.must.kept_in_order());
        assert!(kept.contains(&waiting), "{waiting} of {kept:?}");
    }

    /// Waits until the bodies of duplicates are removed.
    async fn swept(&self) {
        let spooled = self.must.events.values().filter(|(_, known)| known.spooled).count();
        let bodies = self.store.path("bodies");
        until("bodies that no event owns to be removed", || files(&bodies).len() == spooled).await;
    }

    /// In the end everything is settled.
    async fn end(mut self) {
        self.synced().await;
        let later = wall_ms().saturating_add_signed((self.hours + 2) * AN_HOUR as i64);
        self.store = self.store.reopen_at(Stamps::start_at(later));
        for (route, _) in ROUTES {
            self.store.ledger.pause(route.into(), false).await.unwrap();
        }
        self.must.held = Default::default();
        self.opened().await;
        let mut ended = HashSet::new();
        loop {
            while let Some(lease) = self.out.pop() {
                assert!(ended.insert(lease.row.delivery), "{lease:?} again");
                let picture = self.must.deliveries.get_mut(&lease.row.delivery).unwrap();
                picture.attempts += 1;
                picture.state = State::Done;
                self.store.ack(lease);
            }
            if self.must.deliveries.values().all(Picture::is_settled) {
                break;
            }
            let lease = self.store.lease().await;
            self.taken(lease);
        }
        self.compare().await;
        assert_eq!(self.store.ask("SELECT count(*) FROM queue"), 0);
    }
}

impl Store {
    async fn append_draft(&self, draft: &Draft, ordered: bool) -> Option<Receipt> {
        let targets = draft.routes.iter().map(|route| {
            let (name, backlog) = ROUTES[*route];
            let ordered = ordered && name == picture::ORDERED;
            let order = ordered.then(|| self.ledger.order(&draft.value.to_string()));
            Target { route: name.into(), order, backlog }
        });
        let same = draft.same.map(|id| self.same(&id.to_string()));
        let stored = self.ledger.append(event(draft.body.as_bytes()), same, targets.collect());
        match stored.await {
            Err(AppendError::Full) => None,
            told => Some(told.unwrap()),
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn a_random_walk_loses_and_repeats_nothing() {
    let seed = Seed(variable(SEED).unwrap_or_else(wall_ms));
    let mut walk = Walk::new(seed.0);
    for _ in 0..variable(STEPS).unwrap_or(2_000) {
        walk = walk.step().await;
    }
    walk.end().await;
}
