//! What the writer is given to do, and what it gives back.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;

use super::Sameness;
use super::body::Packed;
use super::dedupe::Order;
use super::kept::Share;
use super::queue::Row;
use super::routes::Rule;
use super::schema::ORDINAL_BITS;
use crate::delivery::{Backlog, Full, Next, Outcome};
use crate::effects::Changes;
use crate::event::{Event, EventId};

/// Why an event was not stored. Nothing of it was.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum AppendError {
    /// Too many events wait for the disk.
    #[error("too many events wait for the disk")]
    Busy,
    /// The disk does not take it.
    #[error("the ledger cannot be written")]
    Unavailable,
    /// What its attempt read of the handler's state has changed: it must be made again.
    #[error("the handler's state has changed")]
    Outdated,
    /// A route that takes it has as many unsettled deliveries as it may have.
    #[error("a route's backlog is full")]
    Full,
}

/// A route that takes an event.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub route: Arc<str>,
    /// What orders the event among the route's others, if anything does.
    pub order: Option<Order>,
    /// How many of them may wait.
    pub backlog: Backlog,
}

impl Target {
    /// Whether an event of so many bytes may come to these unsettled ones and their bytes.
    pub fn has_room(&self, (events, bytes): (i64, i64), more: i64) -> bool {
        self.backlog.has_room(events, bytes, more)
    }

    /// Whether a sender is asked to come again where there is no room.
    pub fn refuses(&self) -> bool {
        self.backlog.full == Full::Refuse
    }
}

/// An event is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its id; the first one's if it is a duplicate.
    pub id: EventId,
    /// Whether the same event was stored before.
    pub duplicate: bool,
}

/// An event on its way to the writer.
#[derive(Debug)]
pub struct Append {
    pub(super) id: EventId,
    pub(super) event: Arc<Event>,
    /// The event's attributes as its row keeps them.
    pub(super) attributes: String,
    pub(super) body: Packed,
    pub(super) same: Option<Sameness>,
    /// Boxed, as few have it and all are moved about.
    pub(super) settled: Option<Box<Settled>>,
    pub(super) targets: Vec<Target>,
    /// Who waits for it; nobody for an emitted one.
    pub(super) reply: Option<oneshot::Sender<Answer>>,
}

/// What came of an event, and what it was made of: its memory is freed best by the thread that took
/// it, since two that share an allocator's arena wait for each other.
#[derive(Debug)]
pub struct Answer {
    pub(super) receipt: Result<Receipt, AppendError>,
    pub(super) _made_of: Option<Append>,
}

/// The effects of an attempt, ready to be committed with what settles its delivery.
#[derive(Debug)]
pub struct Staged {
    /// What it did to its handler's state.
    pub changes: Changes,
    /// The events that it emitted; see [`Ledger::emitted`](super::Ledger::emitted).
    pub emitted: Vec<Append>,
}

impl Staged {
    /// Bytes that they add to a commit.
    pub fn bytes(&self) -> usize {
        let entries = self.changes.writes.iter();
        let written = entries.map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        written.chain(self.emitted.iter().map(Append::bytes)).sum()
    }

    /// See [`Append::leave_bodies`].
    pub fn leave_bodies(&mut self) {
        self.emitted.iter_mut().for_each(Append::leave_bodies);
    }
}

/// A delivery whose one attempt was made before its event was stored: on a sync route.
#[derive(Debug)]
pub struct Settled {
    /// The route's name.
    pub route: Arc<str>,
    /// The attempt.
    pub attempt: Attempt,
    /// What follows from it.
    pub next: Next,
    /// Its effects, if it had any.
    pub effects: Option<Staged>,
}

/// Another attempt of a stored delivery that failed on a sync route.
#[derive(Debug)]
pub struct Again {
    pub(super) key: i64,
    pub(super) n: u32,
    pub(super) settled: Settled,
    pub(super) reply: oneshot::Sender<Result<(), AppendError>>,
}

impl Append {
    /// An event that nobody waits for and that goes nowhere.
    pub fn bare(id: EventId, event: Arc<Event>, body: Packed) -> Self {
        let attributes = serde_json::to_string(event.attributes()).unwrap_or_default();
        let (same, settled, targets, reply) = (None, None, Vec::new(), None);
        Self { id, event, attributes, body, same, settled, targets, reply }
    }

    /// Bytes that it adds to a commit.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.event.headers().as_bytes().len()
    }

    /// The number of its first delivery that waits for an attempt: a settled one comes before.
    pub fn first_waiting(&self) -> usize {
        usize::from(self.settled.is_some())
    }

    /// Leaves the files of its body, and of what its attempt emitted, to be swept unless events own
    /// them after all.
    pub fn leave_bodies(&mut self) {
        if let Packed::Spooled(file) = &mut self.body {
            file.leave();
        }
        let staged = self.settled.as_mut().and_then(|settled| settled.effects.as_mut());
        staged.into_iter().for_each(Staged::leave_bodies);
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.bytes() + self.event.body().len()
    }

    /// What it counts for in a backlog.
    pub fn size(&self) -> i64 {
        size(&self.event)
    }
}

/// Bytes of an event, which it counts for in a backlog.
pub fn size(event: &Event) -> i64 {
    let bytes = event.headers().as_bytes().len() + event.body().len();
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A due delivery, taken for one attempt. It is pending in the ledger until it is settled.
#[derive(Debug)]
pub struct Lease {
    pub(super) row: Row,
    /// The route's name.
    pub route: Arc<str>,
    pub(super) event: Option<(EventId, Arc<Event>)>,
}

impl Lease {
    /// A number that is the delivery's own.
    pub fn delivery(&self) -> u64 {
        self.row.delivery.unsigned_abs()
    }

    /// The number of its event.
    pub fn event_number(&self) -> u64 {
        self.delivery() >> ORDINAL_BITS
    }

    /// The attempt's number; 1 is the first.
    pub fn attempt(&self) -> u32 {
        self.row.attempt
    }
}

/// One attempt as it is kept.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it began, in milliseconds since 1970.
    pub started_at: u64,
    /// How long it took.
    pub duration: Duration,
    /// What it came to.
    pub outcome: Outcome,
    /// The handler's version: the first half of its file's SHA-256 in hex.
    pub version: Arc<str>,
    /// Its log lines as a JSON array; `None` when it wrote none.
    pub logs: Option<String>,
}

impl Attempt {
    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        let outcome = match &self.outcome {
            Outcome::Reply(reply) => reply.body.len(),
            Outcome::Retry { reason: text, .. }
            | Outcome::Reject(text)
            | Outcome::Trap(text)
            | Outcome::Limit(text) => text.len(),
            Outcome::Ack | Outcome::Timeout(_) => 0,
        };
        size_of::<Settle>() + outcome + self.logs.as_ref().map_or(0, String::len)
    }
}

/// What a leased delivery came to.
#[derive(Debug)]
pub struct Settle {
    pub(super) lease: Lease,
    pub(super) attempt: Attempt,
    pub(super) next: Next,
    /// Boxed, as few have them and all are moved about.
    pub(super) effects: Option<Box<Effects>>,
    pub(super) _held: Option<Share>,
}

impl Settle {
    /// Bytes that its effects add to a commit.
    pub fn bytes(&self) -> usize {
        self.effects.as_ref().map_or(0, |effects| effects.staged.bytes())
    }
}

/// The effects of an attempt, and who waits for them to be committed. The lease comes back when
/// what the attempt read has changed.
#[derive(Debug)]
pub struct Effects {
    pub(super) staged: Staged,
    pub(super) reply: oneshot::Sender<Result<(), Lease>>,
}

/// A route is to be paused, or resumed.
#[derive(Debug)]
pub struct Pause {
    pub(super) route: Arc<str>,
    pub(super) paused: bool,
    pub(super) reply: oneshot::Sender<Result<(), AppendError>>,
}

/// How routes are to be treated from now on.
#[derive(Debug)]
pub struct Ruling {
    pub(super) rules: Vec<Rule>,
    pub(super) reply: oneshot::Sender<()>,
}
