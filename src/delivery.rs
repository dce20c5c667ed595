//! A delivery's states, what an attempt came to, and what follows from it.

use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::clock::millis;

/// Where one event on one route stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits until it is due.
    Pending,
    /// An attempt has it.
    Leased,
    /// Handled.
    Done,
    /// Out of attempts, or rejected: a dead letter.
    Dead,
    /// Cannot run now: its route or handler is missing.
    Parked,
}

impl State {
    /// Every state, in the order in which metrics list them.
    pub const ALL: [State; 5] = [Self::Pending, Self::Leased, Self::Done, Self::Dead, Self::Parked];

    /// The state's name in the API, metrics and pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Parked => "parked",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Handled.
    Ack,
    /// Handled, with an answer for a sender who waits; nobody waits on an async route.
    Reply {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// The handler asks for another attempt.
    Retry {
        /// Not before this has passed; the route's schedule says when it is absent.
        after: Option<Duration>,
        /// In the handler's words.
        reason: String,
    },
    /// The handler wants no further attempt.
    Reject(String),
    /// The handler broke.
    Trap(String),
    /// The attempt took longer than the route's `timeout`.
    Timeout(Duration),
    /// The attempt ran into a limit of its handler.
    Limit(String),
}

impl Outcome {
    /// The outcome's name in the API and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Reply { .. } => "reply",
            Self::Retry { .. } => "retry",
            Self::Reject(_) => "reject",
            Self::Trap(_) => "trap",
            Self::Timeout(_) => "timeout",
            Self::Limit(_) => "limit",
        }
    }

    /// Why the event is not handled, in words; `None` where it is.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Ack | Self::Reply { .. } => None,
            Self::Retry { reason, .. } | Self::Reject(reason) => Some(reason.clone()),
            Self::Trap(what) | Self::Limit(what) => Some(what.clone()),
            Self::Timeout(after) => Some(format!("no outcome within {} ms", millis(*after))),
        }
    }
}

/// When a failed delivery is tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// The wait after the first attempt.
    pub first: Duration,
    /// Each wait is the one before times this; at least 1.
    pub factor: f64,
    /// No wait is longer.
    pub max: Duration,
}

impl RetryPolicy {
    /// How far below its length a wait may fall by jitter, as a share of it.
    const JITTER: f64 = 0.2;

    /// The wait after attempt `n` (1 is the first), shortened by jitter, which is in `0.0..1.0`.
    fn wait(&self, n: u32, jitter: f64) -> Duration {
        let exponent = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(exponent);
        let longest = self.max.as_secs_f64();
        Duration::from_secs_f64(seconds.min(longest) * (1.0 - Self::JITTER * jitter))
    }
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is handled.
    Done,
    /// It is due again at this stamp, in milliseconds since 1970.
    RetryAt(u64),
    /// It is a dead letter.
    Dead,
}

impl Next {
    /// The state that the delivery is in from now on.
    pub fn state(&self) -> State {
        match self {
            Self::Done => State::Done,
            Self::RetryAt(_) => State::Pending,
            Self::Dead => State::Dead,
        }
    }
}

/// Decides what follows from attempt `n` (1 is the first) that ended at the stamp `now`.
pub fn next(policy: &RetryPolicy, n: u32, outcome: &Outcome, now: u64, jitter: f64) -> Next {
    let asked = match outcome {
        Outcome::Ack | Outcome::Reply { .. } => return Next::Done,
        Outcome::Reject(_) => return Next::Dead,
        Outcome::Retry { after, .. } => *after,
        Outcome::Trap(_) | Outcome::Timeout(_) | Outcome::Limit(_) => None,
    };
    if n >= policy.attempts {
        return Next::Dead;
    }
    let wait = match asked {
        Some(after) => after.min(policy.max),
        None => policy.wait(n, jitter),
    };
    Next::RetryAt(now.saturating_add(millis(wait)))
}

/// A jitter in `0.0..1.0` that is the delivery's own: a crowd that failed together spreads out.
pub fn jitter(delivery: u64, n: u32) -> f64 {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(delivery);
    hasher.write_u32(n);
    f64::from((hasher.finish() >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 20,
        first: Duration::from_secs(5),
        factor: 3.0,
        max: Duration::from_secs(6 * 3600),
    };

    fn retry(after: Option<u64>) -> Outcome {
        Outcome::Retry { after: after.map(Duration::from_millis), reason: "later".into() }
    }

    #[test]
    fn what_follows_from_an_attempt() {
        let (trap, timeout) = (Outcome::Trap("x".into()), Outcome::Timeout(Duration::ZERO));
        let limit = Outcome::Limit("memory".into());
        let cases = [
            (1, Outcome::Ack, 0.0, Next::Done),
            (20, Outcome::Reply { status: 404 }, 0.0, Next::Done),
            (1, Outcome::Reject("no".into()), 0.0, Next::Dead),
            (1, retry(None), 0.0, Next::RetryAt(1_000 + 5_000)),
            (2, retry(None), 0.0, Next::RetryAt(1_000 + 15_000)),
            (3, trap.clone(), 0.0, Next::RetryAt(1_000 + 45_000)),
            (1, timeout, 0.5, Next::RetryAt(1_000 + 4_500)),
            (19, limit.clone(), 0.0, Next::RetryAt(1_000 + 21_600_000)),
            (20, limit, 0.0, Next::Dead),
            (20, trap, 0.0, Next::Dead),
            (20, retry(Some(1)), 0.0, Next::Dead),
            (1, retry(Some(250)), 0.9, Next::RetryAt(1_250)),
            (1, retry(Some(0)), 0.0, Next::RetryAt(1_000)),
            (1, retry(Some(u64::MAX)), 0.0, Next::RetryAt(1_000 + 21_600_000)),
        ];
        for (n, outcome, jitter, expected) in cases {
            assert_eq!(next(&POLICY, n, &outcome, 1_000, jitter), expected, "{n} {outcome:?}");
        }
    }

    #[test]
    fn the_default_schedule_lasts_about_three_days() {
        let total: Duration = (1..POLICY.attempts).map(|n| POLICY.wait(n, 0.5)).sum();
        let days = total.as_secs_f64() / 86_400.0;
        assert!((2.5..3.2).contains(&days), "{days}");
    }

    #[test]
    fn a_single_attempt_is_never_repeated() {
        let once = RetryPolicy { attempts: 1, ..POLICY };
        assert_eq!(next(&once, 1, &retry(None), 0, 0.0), Next::Dead);
    }

    #[test]
    fn jitter_stays_in_range_and_differs() {
        let all: Vec<f64> = (0..1_000).map(|delivery| jitter(delivery, 1)).collect();
        assert!(all.iter().all(|j| (0.0..1.0).contains(j)));
        let mean = all.iter().sum::<f64>() / 1_000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }
}
