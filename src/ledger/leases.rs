//! Which deliveries are out for an attempt. Kept in memory only: after a restart every pending
//! delivery is leased anew.

use std::collections::HashMap;

/// Deliveries that may be out at once; the others stay in the queue.
const LEASES: usize = 2_048;
/// The queue is read again when fewer than this many are out.
const LEASES_LOW: usize = LEASES / 2;
/// Bytes of bodies that may travel with leases; beyond it an attempt reads its event itself.
const LEASED_BYTES: usize = 64 * 1024 * 1024;

/// The deliveries that are out, and when to look for more.
#[derive(Debug)]
pub struct Leases {
    out: HashMap<i64, usize>,
    bytes: usize,
    /// The queue may hold due deliveries that are not out.
    behind: bool,
    /// The earliest stamp at which a delivery of the queue becomes due, if known.
    next_due: Option<u64>,
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

impl Leases {
    /// Nothing is out, and the queue has not been read yet.
    pub fn new() -> Self {
        Self { out: HashMap::new(), bytes: 0, behind: true, next_due: None }
    }

    /// How many are out.
    pub fn count(&self) -> usize {
        self.out.len()
    }

    /// Whether this delivery is out.
    pub fn is_out(&self, delivery: i64) -> bool {
        self.out.contains_key(&delivery)
    }

    /// Leases a fresh delivery whose event takes `bytes`. While older ones wait in the queue it
    /// has to wait behind them.
    pub fn fresh(&mut self, delivery: i64, bytes: usize) -> Handover {
        if self.behind || self.out.len() >= LEASES {
            self.behind = true;
            return Handover::Queued;
        }
        let travels = self.bytes + bytes <= LEASED_BYTES;
        let bytes = if travels { bytes } else { 0 };
        self.out.insert(delivery, bytes);
        self.bytes += bytes;
        if travels { Handover::WithEvent } else { Handover::KeyOnly }
    }

    /// Leases a delivery that was read from the queue.
    pub fn queued(&mut self, delivery: i64) {
        self.out.insert(delivery, 0);
    }

    /// Takes a delivery back.
    pub fn end(&mut self, delivery: i64) {
        self.bytes -= self.out.remove(&delivery).unwrap_or(0);
    }

    /// Notes that a delivery becomes due at the stamp `at`.
    pub fn due(&mut self, at: u64) {
        self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
    }

    /// Notes that deliveries came into the queue that are due.
    pub fn behind(&mut self) {
        self.behind = true;
    }

    /// How many deliveries to lease from the queue now; 0 when there is no need or no room.
    pub fn wanted(&mut self, now: u64) -> usize {
        if self.next_due.is_some_and(|at| at <= now) {
            self.next_due = None;
            self.behind = true;
        }
        if self.behind && self.out.len() < LEASES_LOW { LEASES - self.out.len() } else { 0 }
    }

    /// Notes what reading the queue showed: whether all that is due is out now, and when the
    /// next becomes due.
    pub fn read(&mut self, all_due_are_out: bool, next_due: Option<u64>) {
        self.behind = !all_due_are_out;
        if let Some(at) = next_due {
            self.due(at);
        }
    }

    /// The stamp at which to look at the queue again by itself.
    pub fn look_again_at(&self) -> Option<u64> {
        self.next_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught_up() -> Leases {
        let mut leases = Leases::new();
        leases.read(true, None);
        leases
    }

    #[test]
    fn a_new_ledger_reads_its_queue_first() {
        let mut leases = Leases::new();
        assert_eq!(leases.fresh(1, 10), Handover::Queued);
        assert_eq!(leases.wanted(0), LEASES);
        leases.queued(1);
        leases.read(true, None);
        assert_eq!((leases.wanted(0), leases.fresh(2, 10)), (0, Handover::WithEvent));
    }

    #[test]
    fn what_does_not_fit_waits_in_the_queue_and_keeps_its_turn() {
        let mut leases = caught_up();
        for delivery in 0..LEASES as i64 {
            assert_eq!(leases.fresh(delivery, 1), Handover::WithEvent);
        }
        assert_eq!(leases.fresh(9_999, 1), Handover::Queued);
        leases.end(0);
        assert_eq!(leases.fresh(10_000, 1), Handover::Queued, "9999 came first");
        assert_eq!(leases.wanted(0), 0, "enough are out");
        (1..=LEASES_LOW as i64).for_each(|delivery| leases.end(delivery));
        assert_eq!(leases.wanted(0), LEASES - leases.count());
    }

    #[test]
    fn bodies_travel_while_there_is_room() {
        let mut leases = caught_up();
        assert_eq!(leases.fresh(1, LEASED_BYTES), Handover::WithEvent);
        assert_eq!(leases.fresh(2, 1), Handover::KeyOnly);
        leases.end(2);
        leases.end(1);
        assert_eq!(leases.fresh(3, 1), Handover::WithEvent);
    }

    #[test]
    fn a_retry_is_looked_for_when_it_is_due() {
        let mut leases = caught_up();
        leases.due(200);
        leases.due(100);
        assert_eq!((leases.look_again_at(), leases.wanted(99)), (Some(100), 0));
        assert_eq!(leases.wanted(100), LEASES);
        leases.read(true, Some(200));
        assert_eq!((leases.look_again_at(), leases.wanted(150)), (Some(200), 0));
    }
}
