//! A delivery's states, what an attempt came to, and what follows from it.

use std::hash::Hasher;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
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

/// A handler's answer to the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The header fields, as the handler gave them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Header fields of a reply at the most.
    pub const FIELDS: usize = 64;
    /// Bytes of a reply's header fields at the most, names and values.
    pub const FIELD_BYTES: usize = 16 * 1024;

    /// Fields that are the connection's, or the server's own.
    const RESERVED: [&str; 9] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "date",
    ];

    /// Whether a field of that name is not the handler's to set.
    pub fn is_reserved(name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        Self::RESERVED.contains(&&*lower) || lower.starts_with("hookyard-")
    }

    /// Whether it can be sent.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if !(200..=599).contains(&self.status) {
            return Err(format!("the status {} is not in 200 to 599", self.status));
        }
        let bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.headers.len() > Self::FIELDS || bytes > Self::FIELD_BYTES {
            let (fields, most) = (Self::FIELDS, Self::FIELD_BYTES);
            return Err(format!("it has more than {fields} header fields or {most} bytes of them"));
        }
        self.headers.iter().try_for_each(|(name, value)| check_field(name, value))
    }
}

fn check_field(name: &str, value: &[u8]) -> Result<(), String> {
    if Reply::is_reserved(name) {
        let lower = name.to_ascii_lowercase();
        return Err(format!("the header field {lower} is not the handler's to set"));
    }
    let is_field =
        HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_bytes(value).is_ok();
    if is_field {
        Ok(())
    } else {
        Err("a header field has a name or value that is none".to_owned())
    }
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Handled.
    Ack,
    /// Handled, with an answer for a sender who waits; nobody waits on an async route.
    Reply(Reply),
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
            Self::Reply(_) => "reply",
            Self::Retry { .. } => "retry",
            Self::Reject(_) => "reject",
            Self::Trap(_) => "trap",
            Self::Timeout(_) => "timeout",
            Self::Limit(_) => "limit",
        }
    }

    /// Whether it says that the route may not work. A rejection is about its event alone.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Ack | Self::Reply(_) | Self::Reject(_) => false,
            Self::Retry { .. } | Self::Trap(_) | Self::Timeout(_) | Self::Limit(_) => true,
        }
    }

    /// Why the event is not handled, in words; `None` where it is.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Ack | Self::Reply(_) => None,
            Self::Retry { reason, .. } | Self::Reject(reason) => Some(reason.clone()),
            Self::Trap(what) | Self::Limit(what) => Some(what.clone()),
            Self::Timeout(after) => Some(format!("no outcome within {} ms", millis(*after))),
        }
    }
}

/// How much of a route may wait to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries at the most; at least 1.
    pub events: u64,
    /// Bytes of their events at the most, but for a single larger event.
    pub bytes: u64,
    /// What becomes of those that come after that.
    pub full: Full,
}

/// What becomes of an event that a route has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Its sender is asked to come again.
    Refuse,
    /// Its delivery is a dead letter at once.
    Dead,
}

impl Backlog {
    /// Whether an event of so many bytes may come to these.
    pub fn has_room(&self, events: i64, bytes: i64, more: i64) -> bool {
        let [events, bytes, more] = [events, bytes, more].map(|count| count.max(0).unsigned_abs());
        events < self.events && (events == 0 || bytes.saturating_add(more) <= self.bytes)
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        Outcome::Ack | Outcome::Reply(_) => return Next::Done,
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

/// Decides what follows from the one attempt of a sync route: the sender waits for it, and tries
/// again by itself.
pub fn next_sync(outcome: &Outcome) -> Next {
    match outcome {
        Outcome::Ack | Outcome::Reply(_) => Next::Done,
        _ => Next::Dead,
    }
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
        let reply = Reply { status: 404, headers: Vec::new(), body: Vec::new() };
        let cases = [
            (1, Outcome::Ack, 0.0, Next::Done),
            (20, Outcome::Reply(reply), 0.0, Next::Done),
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
    fn a_route_may_not_work_when_its_attempts_break_or_want_to_be_made_again() {
        let reply = Reply { status: 500, headers: Vec::new(), body: Vec::new() };
        for (outcome, failed) in [
            (Outcome::Ack, false),
            (Outcome::Reply(reply), false),
            (Outcome::Reject("no".into()), false),
            (retry(None), true),
            (Outcome::Trap("x".into()), true),
            (Outcome::Timeout(Duration::ZERO), true),
            (Outcome::Limit("memory".into()), true),
        ] {
            assert_eq!(outcome.is_failure(), failed, "{outcome:?}");
        }
    }

    #[test]
    fn a_reply_is_checked_at_its_edges() {
        let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let ok = || Reply { status: 200, headers: Vec::new(), body: Vec::new() };
        let with = |name: &str, value: &[u8]| Reply { headers: vec![field(name, value)], ..ok() };
        let wide =
            |fields, bytes| Reply { headers: vec![field("x", &vec![b'a'; bytes]); fields], ..ok() };
        for (reply, good) in [
            (ok(), true),
            (Reply { status: 199, ..ok() }, false),
            (Reply { status: 599, ..ok() }, true),
            (Reply { status: 600, ..ok() }, false),
            (with("X-A", b"\xff"), true),
            (with("Connection", b"close"), false),
            (with("Hookyard-Duplicate", b"true"), false),
            (with("x a", b""), false),
            (with("x", b"a\r\nset-cookie: b"), false),
            (wide(Reply::FIELDS, 1), true),
            (wide(Reply::FIELDS + 1, 1), false),
            (wide(1, Reply::FIELD_BYTES - 1), true),
            (wide(1, Reply::FIELD_BYTES), false),
        ] {
            let checked = reply.check();
            assert_eq!(checked.is_ok(), good, "{checked:?}");
        }
    }

    #[test]
    fn the_default_schedule_lasts_about_three_days() {
        let total: Duration = (1..POLICY.attempts).map(|n| POLICY.wait(n, 0.5)).sum();
        let days = total.as_secs_f64() / 86_400.0;
        assert!((2.5..3.2).contains(&days), "{days}");
    }

    #[test]
    fn a_backlog_has_room_up_to_its_edges() {
        let backlog = Backlog { events: 3, bytes: 100, full: Full::Refuse };
        for (events, bytes, more, expected) in [
            (0, 0, 0, true),
            (2, 50, 50, true),
            (2, 50, 51, false),
            (3, 0, 0, false),
            (0, 0, 101, true),
            (1, 0, 101, false),
            (2, i64::MAX, i64::MAX, false),
        ] {
            let room = backlog.has_room(events, bytes, more);
            assert_eq!(room, expected, "{events} {bytes} {more}");
        }
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
