//! Whose attempt is next: routes take turns, and none takes every place.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::Receiver;
use futures_util::future::{Either, pending};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::ledger::Lease;

/// A route may hold this many times the places that are free. So one alone comes to four fifths of
/// them, many share alike, and whoever comes next finds a place.
const SHARE: usize = 4;

/// Leases that wait for their attempts, and the places for attempts.
pub struct Turns {
    leases: Receiver<Lease>,
    lines: Mutex<Lines<Lease>>,
    /// Something waits in the lines, and whoever saw it took one of it only.
    another: Notify,
}

impl Turns {
    /// Attempts in so many places.
    pub fn new(leases: Receiver<Lease>, places: usize) -> Self {
        Self { leases, lines: Mutex::new(Lines::new(places)), another: Notify::new() }
    }

    /// The next delivery that an attempt may be made of now. `most` says how many attempts of a
    /// route may be under way at once, `changes` after how long it may say more of one.
    pub async fn next(
        &self,
        most: impl Fn(&str) -> usize,
        changes: impl Fn() -> Option<Duration>,
    ) -> Lease {
        loop {
            let another = self.another.notified();
            {
                let mut lines = self.lines();
                while let Ok(lease) = self.leases.try_recv() {
                    lines.wait(lease.route.clone(), lease);
                }
                if let Some(lease) = lines.take(&most) {
                    // Whoever waits heard only of what came, not that it was taken along.
                    if lines.any_wait() {
                        self.another.notify_one();
                    }
                    return lease;
                }
            }
            let change = changes().map_or(Either::Right(pending()), |at| Either::Left(sleep(at)));
            tokio::select! {
                Ok(lease) = self.leases.recv() => self.lines().wait(lease.route.clone(), lease),
                () = another => {}
                () = change => {}
            }
        }
    }

    /// An attempt of that route has ended.
    pub fn end(&self, route: &str) {
        self.lines().end(route);
    }

    /// Gives no more leases.
    pub fn close(&self) {
        self.leases.close();
    }

    fn lines(&self) -> MutexGuard<'_, Lines<Lease>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits and runs of each route.
struct Lines<T> {
    routes: HashMap<Arc<str>, Line<T>>,
    /// The routes of which something waits; the next one is at the front.
    turns: VecDeque<Arc<str>>,
    free: usize,
}

struct Line<T> {
    waiting: VecDeque<T>,
    running: usize,
}

impl<T> Lines<T> {
    fn new(places: usize) -> Self {
        Self { routes: HashMap::new(), turns: VecDeque::new(), free: places }
    }

    fn any_wait(&self) -> bool {
        !self.turns.is_empty()
    }

    fn wait(&mut self, route: Arc<str>, delivery: T) {
        let new = || Line { waiting: VecDeque::new(), running: 0 };
        let line = self.routes.entry(route.clone()).or_insert_with(new);
        if line.waiting.is_empty() {
            self.turns.push_back(route);
        }
        line.waiting.push_back(delivery);
    }

    /// The first that may run, of the routes in turn.
    fn take(&mut self, most: impl Fn(&str) -> usize) -> Option<T> {
        for _ in 0..self.turns.len() {
            let route = self.turns.pop_front()?;
            let line = self.routes.get_mut(&route)?;
            let may_run = may_run(line.running, most(&route), self.free);
            let taken = if may_run { line.waiting.pop_front() } else { None };
            if taken.is_some() {
                line.running += 1;
                self.free -= 1;
            }
            if !line.waiting.is_empty() {
                self.turns.push_back(route);
            }
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    fn end(&mut self, route: &str) {
        let Some(line) = self.routes.get_mut(route) else { return };
        line.running -= 1;
        self.free += 1;
        if line.running == 0 && line.waiting.is_empty() {
            self.routes.remove(route);
        }
    }
}

/// Whether a route with `running` attempts under way, and at the most `most`, may take one of the
/// `free` places.
fn may_run(running: usize, most: usize, free: usize) -> bool {
    running < most && running < SHARE * free
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::FutureExt;
    use http::{HeaderMap, Method};

    use super::*;
    use crate::delivery::{Backlog, Full};
    use crate::event::Event;
    use crate::ledger::{Ledger, Options, Retention, Target};
    use crate::metrics::Metrics;
    use crate::verify::{Request, Scheme, Verifier};

    const NO_LIMIT: usize = usize::MAX;

    fn fill(lines: &mut Lines<u32>, route: &str, count: u32) {
        (0..count).for_each(|n| lines.wait(route.into(), n));
    }

    /// Takes until nothing may run any more.
    fn run(lines: &mut Lines<u32>, most: impl Fn(&str) -> usize) -> usize {
        std::iter::from_fn(|| lines.take(&most)).count()
    }

    #[test]
    fn a_route_may_hold_four_times_what_is_free() {
        for (running, most, free, expected) in [
            (0, NO_LIMIT, 1, true),
            (0, NO_LIMIT, 0, false),
            (3, NO_LIMIT, 1, true),
            (4, NO_LIMIT, 1, false),
            (51, NO_LIMIT, 13, true),
            (52, NO_LIMIT, 12, false),
            (0, 1, 64, true),
            (1, 1, 64, false),
        ] {
            assert_eq!(may_run(running, most, free), expected, "{running} {most} {free}");
        }
    }

    #[test]
    fn one_alone_leaves_room_for_the_next() {
        let mut lines = Lines::new(64);
        fill(&mut lines, "slow", 1_000);
        assert_eq!(run(&mut lines, |_| NO_LIMIT), 52);
        fill(&mut lines, "next", 5);
        assert_eq!(run(&mut lines, |_| NO_LIMIT), 5);
    }

    #[test]
    fn many_come_to_share_alike() {
        let mut lines = Lines::new(64);
        let names = ["a", "b", "c", "d"];
        names.iter().for_each(|route| fill(&mut lines, route, 10_000));
        let mut running: Vec<&str> = Vec::new();
        for n in 0..2_000 {
            while lines.take(|_| NO_LIMIT).is_some() {}
            running.clear();
            running.extend(
                names
                    .iter()
                    .flat_map(|name| std::iter::repeat_n(*name, lines.routes[*name].running)),
            );
            lines.end(running[n * 7 % running.len()]);
        }
        for name in names {
            let share = lines.routes[name].running;
            assert!((12..=16).contains(&share), "{name} has {share}");
        }
    }

    #[test]
    fn no_more_run_than_a_route_allows() {
        let mut lines = Lines::new(64);
        fill(&mut lines, "narrow", 10);
        fill(&mut lines, "wide", 10);
        let most = |route: &str| if route == "narrow" { 2 } else { NO_LIMIT };
        assert_eq!(run(&mut lines, most), 12);
        lines.end("narrow");
        assert_eq!(run(&mut lines, most), 1);
    }

    #[test]
    fn routes_take_turns_and_each_keeps_its_order() {
        let mut lines = Lines::new(64);
        fill(&mut lines, "a", 3);
        lines.wait("b".into(), 7);
        let taken: Vec<u32> = std::iter::from_fn(|| lines.take(|_| NO_LIMIT)).collect();
        assert_eq!(taken, [0, 7, 1, 2]);
    }

    #[test]
    fn a_route_of_which_nothing_is_left_is_forgotten() {
        let mut lines = Lines::new(64);
        fill(&mut lines, "a", 1);
        run(&mut lines, |_| NO_LIMIT);
        lines.end("a");
        assert!(lines.routes.is_empty() && !lines.any_wait());
        assert_eq!(lines.free, 64);
    }

    /// A ledger with leases of one event for so many routes.
    async fn with_leases(folder: &std::path::Path, count: usize) -> Ledger {
        let (long, data) = (Duration::MAX, folder.to_owned());
        let retention = Retention { done: long, dead: long, unrouted: long, bytes: u64::MAX };
        let (dedupe_window, dedupe_memory, min_free) = (long, 1 << 20, 0);
        let options = Options { data, dedupe_window, dedupe_memory, min_free, retention };
        let ledger = Ledger::open(&options, &Metrics::new().unwrap()).unwrap();
        let request = Request {
            method: Method::POST,
            target: "/hooks/s".to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            peer: [127, 0, 0, 1].into(),
        };
        let verifier = Verifier::new(Scheme::Unsigned, Vec::new()).unwrap();
        let verified = verifier.verify(request, 0).unwrap();
        let event = Event::new(verified, "s".into(), "t".into(), 1, None);
        let backlog = Backlog { events: u64::MAX, bytes: u64::MAX, full: Full::Refuse };
        let target = |n| Target { route: format!("{n}").into(), order: None, backlog };
        ledger.append(event, None, (0..count).map(target).collect()).await.unwrap();
        ledger
    }

    #[tokio::test]
    async fn a_thread_that_waits_hears_of_what_another_left_in_the_lines() {
        let (folder, (send, leases)) = (tempfile::tempdir().unwrap(), async_channel::unbounded());
        let ledger = with_leases(folder.path(), 3).await;
        let turns = Turns::new(leases, 64);
        let next = || Box::pin(turns.next(|_| NO_LIMIT, || None));
        let mut waiting = [next(), next(), next()];
        for thread in &mut waiting {
            assert!(thread.now_or_never().is_none());
        }
        for _ in 0..3 {
            send.try_send(ledger.leases().recv().await.unwrap()).unwrap();
        }
        for thread in waiting {
            assert!(thread.now_or_never().is_some(), "it sleeps beside work");
        }
    }
}
