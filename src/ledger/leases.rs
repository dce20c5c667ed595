//! Which deliveries are out for an attempt, route by route. Kept in memory only: after a restart
//! every pending delivery is leased anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Deliveries of one route that may be out at once; the others stay in the queue. The routes do
/// not share, so that none waits for another.
pub const LEASES: usize = 1_024;
/// A route's queue is read again when fewer than this many are out.
const LEASES_LOW: usize = LEASES / 2;
/// Deliveries that are leased from the queue between two commits at the most.
const LEASES_A_TURN: usize = 2 * LEASES;
/// Bytes of events that may travel with leases; beyond it an attempt reads its event itself.
const LEASED_BYTES: usize = 64 * 1024 * 1024;

/// The keys of the deliveries that are out, for whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Out(Arc<Mutex<HashMap<i64, usize>>>);

impl Out {
    /// Whether this delivery is out.
    pub fn contains(&self, delivery: i64) -> bool {
        self.lock().contains_key(&delivery)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The deliveries that are out, and when to look for more.
#[derive(Debug)]
pub struct Leases {
    out: Out,
    bytes: usize,
    routes: BTreeMap<i64, Line>,
    /// The route whose queue was read last.
    last: i64,
}

/// What is out of one route.
#[derive(Debug, Default)]
struct Line {
    out: usize,
    held: bool,
    /// The queue may hold due deliveries that are not out.
    behind: bool,
    /// The earliest stamp at which a delivery of the queue becomes due, if known.
    next_due: Option<u64>,
}

impl Line {
    fn due(&mut self, at: u64) {
        self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
    }

    fn wanted(&mut self, now: u64) -> usize {
        if self.next_due.is_some_and(|at| at <= now) {
            self.next_due = None;
            self.behind = true;
        }
        let reads = self.behind && !self.held && self.out < LEASES_LOW;
        if reads { LEASES - self.out } else { 0 }
    }
}

/// How a fresh delivery leaves the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// With its event.
    WithEvent,
    /// Without: the attempt reads it.
    KeyOnly,
    /// Not now: it stays in the queue.
    Queued,
}

/// A part of the queue that is to be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The route's number.
    pub route: i64,
    /// How many of it are out.
    pub out: usize,
    /// How many may be leased.
    pub room: usize,
}

impl Leases {
    /// Nothing is out, and there is nothing that could be.
    pub fn new(out: Out) -> Self {
        Self { out, bytes: 0, routes: BTreeMap::new(), last: 0 }
    }

    /// How many are out.
    pub fn count(&self) -> usize {
        self.out.lock().len()
    }

    /// How many of a route are out.
    pub fn count_of(&self, route: i64) -> usize {
        self.routes.get(&route).map_or(0, |line| line.out)
    }

    /// Whether this delivery is out.
    pub fn is_out(&self, delivery: i64) -> bool {
        self.out.contains(delivery)
    }

    /// Leases a fresh delivery whose event takes `bytes`. While older ones of its route wait in
    /// the queue it has to wait behind them.
    pub fn fresh(&mut self, route: i64, delivery: i64, bytes: usize) -> Handover {
        let line = self.routes.entry(route).or_default();
        if line.held || line.behind || line.out >= LEASES {
            line.behind = true;
            return Handover::Queued;
        }
        line.out += 1;
        let travels = self.bytes + bytes <= LEASED_BYTES;
        let bytes = if travels { bytes } else { 0 };
        self.out.lock().insert(delivery, bytes);
        self.bytes += bytes;
        if travels { Handover::WithEvent } else { Handover::KeyOnly }
    }

    /// Leases a delivery that was read from the queue.
    pub fn queued(&mut self, route: i64, delivery: i64) {
        self.routes.entry(route).or_default().out += 1;
        self.out.lock().insert(delivery, 0);
    }

    /// Takes a delivery back.
    pub fn end(&mut self, route: i64, delivery: i64) {
        if let Some(bytes) = self.out.lock().remove(&delivery) {
            self.bytes -= bytes;
            self.routes.entry(route).or_default().out -= 1;
        }
    }

    /// Notes that a delivery of a route becomes due at the stamp `at`.
    pub fn due(&mut self, route: i64, at: u64) {
        self.routes.entry(route).or_default().due(at);
    }

    /// Notes that a route's queue may hold deliveries that are due.
    pub fn behind(&mut self, route: i64) {
        self.routes.entry(route).or_default().behind = true;
    }

    /// Leases no more of a route, or does so again.
    pub fn hold(&mut self, route: i64, held: bool) {
        let line = self.routes.entry(route).or_default();
        line.behind |= line.held && !held;
        line.held = held;
    }

    /// The parts of the queue to read now: of each route that has need and room, the routes in
    /// turn, and in all no more than may be leased between two commits.
    pub fn wanted(&mut self, now: u64) -> Vec<Wanted> {
        let mut left = LEASES_A_TURN;
        let mut all = Vec::new();
        for turn in [self.last + 1..=i64::MAX, i64::MIN..=self.last] {
            for (route, line) in self.routes.range_mut(turn) {
                let room = line.wanted(now).min(left);
                left -= room;
                if room > 0 {
                    all.push(Wanted { route: *route, out: line.out, room });
                }
            }
        }
        self.last = all.last().map_or(self.last, |wanted| wanted.route);
        all
    }

    /// Notes what reading a route's queue showed: whether all that is due is out now, and when the
    /// next becomes due.
    pub fn read(&mut self, route: i64, all_due_are_out: bool, next_due: Option<u64>) {
        let line = self.routes.entry(route).or_default();
        line.behind = !all_due_are_out;
        if let Some(at) = next_due {
            line.due(at);
        }
    }

    /// The stamp at which to look at the queue again by itself; 0 is now.
    pub fn look_again_at(&self) -> Option<u64> {
        let free = self.routes.values().filter(|line| !line.held);
        let at = |line: &Line| {
            let at_once = (line.behind && line.out < LEASES_LOW).then_some(0);
            at_once.or(line.next_due)
        };
        free.filter_map(at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: i64 = 1;

    fn fill(leases: &mut Leases, route: i64) {
        for delivery in 0..LEASES as i64 {
            let key = route << 32 | delivery;
            assert_eq!(leases.fresh(route, key, 1), Handover::WithEvent);
        }
    }

    fn wanted(leases: &mut Leases, now: u64) -> usize {
        leases.wanted(now).iter().map(|wanted| wanted.room).sum()
    }

    #[test]
    fn what_a_ledger_held_when_it_was_opened_is_read_first() {
        let mut leases = Leases::new(Out::default());
        leases.behind(R);
        assert_eq!(leases.look_again_at(), Some(0));
        assert_eq!(leases.fresh(R, 1, 10), Handover::Queued);
        assert_eq!(leases.wanted(0), [Wanted { route: R, out: 0, room: LEASES }]);
        leases.queued(R, 1);
        leases.read(R, true, None);
        assert_eq!((wanted(&mut leases, 0), leases.look_again_at()), (0, None));
        assert_eq!(leases.fresh(R, 2, 10), Handover::WithEvent);
    }

    #[test]
    fn what_does_not_fit_waits_in_the_queue_and_keeps_its_turn() {
        let mut leases = Leases::new(Out::default());
        fill(&mut leases, 0);
        assert_eq!(leases.fresh(0, 9_999, 1), Handover::Queued);
        leases.end(0, 0);
        assert_eq!(leases.fresh(0, 10_000, 1), Handover::Queued, "9999 came first");
        assert_eq!(wanted(&mut leases, 0), 0, "enough are out");
        (1..=LEASES_LOW as i64).for_each(|delivery| leases.end(0, delivery));
        assert_eq!(wanted(&mut leases, 0), LEASES - leases.count());
    }

    #[test]
    fn one_routes_leases_take_nothing_from_anothers() {
        let mut leases = Leases::new(Out::default());
        fill(&mut leases, R);
        assert_eq!(leases.fresh(R, 1, 1), Handover::Queued);
        assert_eq!(leases.fresh(R + 1, 2, 1), Handover::WithEvent);
    }

    #[test]
    fn routes_that_are_behind_take_turns() {
        let mut leases = Leases::new(Out::default());
        (1..=5).for_each(|route| leases.behind(route));
        let routes = |all: Vec<Wanted>| all.iter().map(|wanted| wanted.route).collect::<Vec<_>>();
        assert_eq!(routes(leases.wanted(0)), [1, 2]);
        assert_eq!(routes(leases.wanted(0)), [3, 4]);
        assert_eq!(routes(leases.wanted(0)), [5, 1]);
    }

    #[test]
    fn a_held_route_is_left_alone_until_it_is_freed() {
        let mut leases = Leases::new(Out::default());
        leases.hold(R, true);
        assert_eq!(leases.fresh(R, 1, 1), Handover::Queued);
        leases.due(R, 5);
        assert_eq!((wanted(&mut leases, 9), leases.look_again_at()), (0, None));
        leases.hold(R, false);
        assert_eq!(wanted(&mut leases, 9), LEASES);
    }

    #[test]
    fn bodies_travel_while_there_is_room() {
        let mut leases = Leases::new(Out::default());
        assert_eq!(leases.fresh(R, 1, LEASED_BYTES), Handover::WithEvent);
        assert_eq!(leases.fresh(R, 2, 1), Handover::KeyOnly);
        leases.end(R, 2);
        leases.end(R, 1);
        leases.end(R, 1);
        assert_eq!(leases.fresh(R, 3, 1), Handover::WithEvent);
    }

    #[test]
    fn a_retry_is_looked_for_when_it_is_due() {
        let mut leases = Leases::new(Out::default());
        leases.due(R, 200);
        leases.due(R, 100);
        assert_eq!((leases.look_again_at(), wanted(&mut leases, 99)), (Some(100), 0));
        assert_eq!(wanted(&mut leases, 100), LEASES);
        leases.read(R, true, Some(200));
        assert_eq!((leases.look_again_at(), wanted(&mut leases, 150)), (Some(200), 0));
    }
}
