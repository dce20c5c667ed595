//! When a route that fails steadily is left alone: its deliveries wait, rather than spend their
//! attempts on what will not work. Now and then one attempt is made, to see.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::millis;

/// How often a route must fail, and for how long it is left alone then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Failures in a row; `None`: it is never left alone.
    pub failures: Option<NonZeroU32>,
    /// And so long since the first of them: a burst of bad events is no steady failure.
    pub after: Duration,
    /// Until the first trial. It doubles with each trial that fails.
    pub first: Duration,
    /// No longer than this.
    pub max: Duration,
}

/// How a route is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Attempts are made as they come; so many failed in a row.
    Closed {
        /// 0: the last one did not.
        failures: u32,
        /// When the first of them did, in milliseconds since 1970.
        since: u64,
    },
    /// None is made before that stamp, and then one at a time, until one does not fail.
    Open {
        /// In milliseconds since 1970.
        trial_at: u64,
        /// How many trials there will have been then.
        trial: u32,
    },
}

/// A trial may be moved up, and nobody is woken for that: whoever waits for one looks again after
/// this.
const LOOK: Duration = Duration::from_secs(1);

/// All is well.
const CLOSED: State = State::Closed { failures: 0, since: 0 };

impl State {
    /// How many attempts may be under way at once.
    pub fn most(self, now: u64) -> usize {
        match self {
            Self::Closed { .. } => usize::MAX,
            Self::Open { trial_at, .. } => usize::from(trial_at <= now),
        }
    }
}

/// How a route is doing after an attempt that ended at the stamp `now`.
pub fn next(policy: &Policy, state: State, failed: bool, now: u64) -> State {
    let Some(most) = policy.failures.filter(|_| failed) else { return CLOSED };
    match state {
        State::Closed { failures, since } => {
            let since = if failures == 0 { now } else { since };
            let failures = failures.saturating_add(1);
            if failures >= most.get() && now.saturating_sub(since) >= millis(policy.after) {
                open(policy, 1, now)
            } else {
                State::Closed { failures, since }
            }
        }
        // It was begun before.
        State::Open { trial_at, .. } if now < trial_at => state,
        State::Open { trial, .. } => open(policy, trial.saturating_add(1), now),
    }
}

fn open(policy: &Policy, trial: u32, now: u64) -> State {
    let doubled = 1_u32.checked_shl(trial - 1).unwrap_or(u32::MAX);
    let wait = policy.first.saturating_mul(doubled).min(policy.max);
    State::Open { trial_at: now.saturating_add(millis(wait)), trial }
}

/// How all routes are doing. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Breakers(Arc<Mutex<HashMap<Arc<str>, State>>>);

impl Breakers {
    /// How a route is doing.
    pub fn state(&self, route: &str) -> State {
        self.lock().get(route).copied().unwrap_or(CLOSED)
    }

    /// When a route that is left alone gets its next attempt, as a stamp.
    pub fn trial_at(&self, route: &str) -> Option<u64> {
        match self.state(route) {
            State::Closed { .. } => None,
            State::Open { trial_at, .. } => Some(trial_at),
        }
    }

    /// Takes note of an attempt; gives how the route was doing, and how it is.
    pub fn note(&self, route: &Arc<str>, policy: &Policy, failed: bool, now: u64) -> [State; 2] {
        let mut routes = self.lock();
        let before = routes.get(route).copied().unwrap_or(CLOSED);
        let after = next(policy, before, failed, now);
        if after != CLOSED {
            routes.insert(route.clone(), after);
        } else if before != CLOSED {
            routes.remove(route);
        }
        [before, after]
    }

    /// Something has changed that may have mended routes: those that are left alone and for which
    /// `may_work` says so get their next trial at once.
    pub fn try_again(&self, now: u64, may_work: impl Fn(&str) -> bool) {
        for (route, state) in self.lock().iter_mut() {
            if let State::Open { trial_at, .. } = state
                && may_work(route)
            {
                *trial_at = now.min(*trial_at);
            }
        }
    }

    /// How long to wait before a trial of any route may be due, if one is to come.
    pub fn next_trial(&self, now: u64) -> Option<Duration> {
        let routes = self.lock();
        let trial = |state: &State| match state {
            State::Open { trial_at, .. } if *trial_at > now => Some(trial_at - now),
            _ => None,
        };
        let wait = routes.values().filter_map(trial).min().map(Duration::from_millis);
        wait.map(|wait| wait.min(LOOK))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        failures: NonZeroU32::new(3),
        after: Duration::from_millis(50),
        first: Duration::from_millis(100),
        max: Duration::from_millis(250),
    };

    /// The first of them failed at 950.
    const fn closed(failures: u32) -> State {
        State::Closed { failures, since: if failures == 0 { 0 } else { 950 } }
    }

    const fn opened(trial_at: u64, trial: u32) -> State {
        State::Open { trial_at, trial }
    }

    #[test]
    fn how_a_route_is_doing_after_an_attempt() {
        for (before, failed, now, after) in [
            (closed(0), true, 950, closed(1)),
            (closed(1), true, 1_000, closed(2)),
            (closed(2), false, 1_000, closed(0)),
            (closed(2), true, 999, closed(3)),
            (closed(2), true, 1_000, opened(1_100, 1)),
            (closed(9), true, 1_000, opened(1_100, 1)),
            (opened(1_100, 1), true, 1_099, opened(1_100, 1)),
            (opened(1_100, 1), true, 1_100, opened(1_300, 2)),
            (opened(1_300, 2), true, 1_300, opened(1_550, 3)),
            (opened(1_550, 99), true, 1_550, opened(1_800, 100)),
            (opened(1_100, 1), false, 1_050, closed(0)),
            (opened(1_100, 7), false, 9_000, closed(0)),
        ] {
            assert_eq!(next(&POLICY, before, failed, now), after, "{before:?} {failed} {now}");
        }
        let off = Policy { failures: None, ..POLICY };
        assert_eq!(next(&off, closed(2), true, 0), closed(0));
        assert_eq!(next(&off, opened(5, 1), true, 0), closed(0), "it was turned off meanwhile");
    }

    #[test]
    fn an_open_route_gets_one_attempt_at_a_time_once_it_is_time() {
        for (state, now, most) in [
            (closed(2), 0, usize::MAX),
            (opened(100, 1), 99, 0),
            (opened(100, 1), 100, 1),
            (opened(100, 1), 5_000, 1),
        ] {
            assert_eq!(state.most(now), most, "{state:?} {now}");
        }
    }

    #[test]
    fn routes_do_well_or_ill_by_themselves() {
        let breakers = Breakers::default();
        let [a, b]: [Arc<str>; 2] = ["a".into(), "b".into()];
        for at in [900, 950, 1_000] {
            breakers.note(&a, &POLICY, true, at);
        }
        assert_eq!((breakers.state("a"), breakers.state("b")), (opened(1_100, 1), closed(0)));
        assert_eq!(breakers.next_trial(1_060), Some(Duration::from_millis(40)));
        assert_eq!(breakers.next_trial(1_100), None);
        assert_eq!(breakers.next_trial(0), Some(LOOK));
        assert_eq!(breakers.note(&b, &POLICY, false, 0), [closed(0), closed(0)]);
        assert_eq!(breakers.note(&a, &POLICY, false, 0), [opened(1_100, 1), closed(0)]);
        assert_eq!(breakers.0.lock().unwrap().len(), 0);
    }

    #[test]
    fn a_route_that_may_work_again_is_tried_at_once() {
        let breakers = Breakers::default();
        let [a, b, well]: [Arc<str>; 3] = ["a".into(), "b".into(), "well".into()];
        for at in [900, 950, 1_000] {
            breakers.note(&a, &POLICY, true, at);
            breakers.note(&b, &POLICY, true, at);
        }
        breakers.note(&well, &POLICY, true, 1_000);
        breakers.try_again(1_010, |route| route != "b");
        assert_eq!(
            (breakers.state("a"), breakers.state("b")),
            (opened(1_010, 1), opened(1_100, 1))
        );
        assert_eq!(breakers.state("well"), State::Closed { failures: 1, since: 1_000 });
        breakers.try_again(1_200, |_| true);
        assert_eq!(
            (breakers.state("a"), breakers.state("b")),
            (opened(1_010, 1), opened(1_100, 1))
        );
    }
}
