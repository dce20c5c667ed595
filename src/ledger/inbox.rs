//! What waits for the writer: bounded, and woken for only when it pays.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::replay::Replay;
use super::{Again, Append, AppendError, Lease, Pause, Ruling, Settle, Staged};

/// Operations in one commit at the most.
const COMMIT_OPERATIONS: usize = 1_024;
/// Bytes of events in one commit at the most, but for a single larger event.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// Events that may wait for a commit; more are refused.
const WAITING_EVENTS: usize = 16_384;
/// Bytes that waiting events may hold, but for a single larger event; more are refused. A request
/// counts its body for as long as its client stays, and here it may stay longer.
const WAITING_BYTES: usize = 256 * 1024 * 1024;
/// Settlements ride in the commits of appends; this many are worth a commit of their own.
const SETTLES_WORTH_A_COMMIT: usize = 64;
/// No settlement waits longer than this for a commit.
const SETTLE_WAIT: Duration = Duration::from_millis(2);

/// The queue before the writer.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    appends: VecDeque<Append>,
    /// What the appends hold.
    bytes: usize,
    settles: VecDeque<Settle>,
    oldest_settle: Option<Instant>,
    /// Others may wait for one of the settlements.
    urgent: bool,
    again: Vec<Again>,
    pauses: Vec<Pause>,
    replays: Vec<Replay>,
    given_back: Vec<Lease>,
    rulings: Vec<Ruling>,
    closed: bool,
    writer_sleeps: bool,
}

/// What the writer took for one commit.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events to store.
    pub appends: Vec<Append>,
    /// Leased deliveries to settle.
    pub settles: Vec<Settle>,
    /// Further attempts of deliveries that failed on sync routes.
    pub again: Vec<Again>,
    /// Routes to pause or resume.
    pub pauses: Vec<Pause>,
    /// Deliveries to be made pending again.
    pub replays: Vec<Replay>,
    /// Leased deliveries of which no attempt was made.
    pub given_back: Vec<Lease>,
    /// How routes are to be treated from now on; the last one says.
    pub rulings: Vec<Ruling>,
    /// Nothing will come any more, and nothing is left.
    pub last: bool,
}

impl Batch {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty()
            && self.settles.is_empty()
            && self.again.is_empty()
            && self.pauses.is_empty()
            && self.replays.is_empty()
    }

    /// See [`Append::leave_bodies`].
    pub fn leave_bodies(&mut self) {
        self.appends.iter_mut().for_each(Append::leave_bodies);
        let again = self.again.iter_mut().filter_map(|again| again.settled.effects.as_mut());
        let settles = self.settles.iter_mut().filter_map(|settle| settle.effects.as_mut());
        again.chain(settles.map(|effects| &mut effects.staged)).for_each(Staged::leave_bodies);
    }
}

impl Inbox {
    /// Puts an event in, unless too many wait or the writer has gone.
    pub fn append(&self, append: Append) -> Result<(), AppendError> {
        let mut waiting = self.lock();
        if waiting.closed || waiting.is_full(append.held()) {
            return Err(AppendError::Busy);
        }
        waiting.bytes += append.held();
        waiting.appends.push_back(append);
        self.wake_writer(waiting);
        Ok(())
    }

    /// Puts a settlement in; there are never more than leases. One that others may wait for does
    /// not wait itself.
    pub fn settle(&self, settle: Settle) {
        let mut waiting = self.lock();
        let urgent = settle.lease.row.order.is_some();
        waiting.settles.push_back(settle);
        let first = waiting.oldest_settle.is_none();
        waiting.oldest_settle.get_or_insert_with(Instant::now);
        waiting.urgent |= urgent;
        if first || urgent || waiting.settles.len() == SETTLES_WORTH_A_COMMIT {
            self.wake_writer(waiting);
        }
    }

    fn put(&self, put: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.lock();
        put(&mut waiting);
        self.wake_writer(waiting);
    }

    /// Puts a further attempt in; there are never more than handlers' places.
    pub fn again(&self, again: Again) {
        self.put(|waiting| waiting.again.push(again));
    }

    /// Asks for a route to be paused or resumed.
    pub fn pause(&self, pause: Pause) {
        self.put(|waiting| waiting.pauses.push(pause));
    }

    /// Asks for deliveries to be made pending again.
    pub fn replay(&self, replay: Replay) {
        self.put(|waiting| waiting.replays.push(replay));
    }

    /// Takes a lease back; there are never more than were given.
    pub fn give_back(&self, lease: Lease) {
        self.put(|waiting| waiting.given_back.push(lease));
    }

    /// Tells how routes are to be treated from now on.
    pub fn rule(&self, ruling: Ruling) {
        self.put(|waiting| waiting.rulings.push(ruling));
    }

    /// Takes no more events; the writer ends when it has taken the rest.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.wake_writer(waiting);
    }

    /// Waits for something worth a commit, until `deadline` at the latest, and takes it.
    pub fn take(&self, deadline: Option<Instant>) -> Batch {
        let mut waiting = self.lock();
        while !waiting.is_worth_a_turn() {
            let settle_by = waiting.oldest_settle.map(|since| since + SETTLE_WAIT);
            let by = [deadline, settle_by].into_iter().flatten().min();
            let left = by.map(|by| by.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            waiting.writer_sleeps = true;
            waiting = match left {
                None => self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            waiting.writer_sleeps = false;
        }
        waiting.take()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A wake-up is a system call: only a sleeping writer gets one, after the lock is free.
    fn wake_writer(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let sleeps = std::mem::take(&mut waiting.writer_sleeps);
        drop(waiting);
        if sleeps {
            self.wake.notify_one();
        }
    }
}

impl Waiting {
    fn is_full(&self, more: usize) -> bool {
        self.appends.len() >= WAITING_EVENTS
            || (self.bytes > 0 && self.bytes + more > WAITING_BYTES)
    }

    fn is_worth_a_turn(&self) -> bool {
        !self.appends.is_empty()
            || !self.again.is_empty()
            || !self.pauses.is_empty()
            || !self.replays.is_empty()
            || !self.given_back.is_empty()
            || !self.rulings.is_empty()
            || self.urgent
            || self.settles.len() >= SETTLES_WORTH_A_COMMIT
            || self.closed
    }

    fn take(&mut self) -> Batch {
        let mut batch = Batch {
            again: std::mem::take(&mut self.again),
            pauses: std::mem::take(&mut self.pauses),
            replays: std::mem::take(&mut self.replays),
            given_back: std::mem::take(&mut self.given_back),
            rulings: std::mem::take(&mut self.rulings),
            ..Batch::default()
        };
        let mut bytes = 0;
        while batch.appends.len() < COMMIT_OPERATIONS
            && let Some(next) = self.appends.pop_front_if(|next| {
                batch.appends.is_empty() || bytes + next.bytes() <= COMMIT_BYTES
            })
        {
            bytes += next.bytes();
            self.bytes -= next.held();
            batch.appends.push(next);
        }
        while batch.settles.len() < COMMIT_OPERATIONS
            && let Some(next) = self.settles.pop_front_if(|next| {
                batch.settles.is_empty() || bytes + next.bytes() <= COMMIT_BYTES
            })
        {
            bytes += next.bytes();
            batch.settles.push(next);
        }
        self.oldest_settle = (!self.settles.is_empty()).then(Instant::now);
        self.urgent &= !self.settles.is_empty();
        batch.last = self.closed && self.appends.is_empty() && self.settles.is_empty();
        batch
    }
}
