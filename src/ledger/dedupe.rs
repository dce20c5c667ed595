//! Recognising an event that was stored before.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use rusqlite::Connection;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::order::Order;
use crate::clock::{millis, wall_ms};
use crate::event::EventId;

/// Bytes of memory that one remembered id takes, its share of spare room included.
const ENTRY_BYTES: u64 = 96;

/// When the newest remembered id is ahead of the clock by more milliseconds, the clock was set back:
/// requests come in nearly in order.
const SET_BACK: u64 = 60_000;

/// What makes two events the same, as a keyed hash: senders choose ids, so they could choose
/// ids that collide under a hash whose key they know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sameness(u128);

impl Sameness {
    /// The hash as it is kept.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The hash that was kept.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// The key of a ledger's hashes.
#[derive(Clone, Copy)]
pub struct SamenessKey([u8; 16]);

impl SamenessKey {
    /// The key that the ledger keeps.
    pub fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// What orders events that have this value.
    pub fn order(&self, value: &str) -> Order {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(value.as_bytes());
        Order(hasher.finish128().h1.cast_signed())
    }

    /// The sameness of an event of `source` with the sender's `id`, and with that body where the
    /// id alone does not prove it.
    pub fn of(&self, source: &str, id: Option<&str>, body: Option<&[u8]>) -> Sameness {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        for part in [Some(source.as_bytes()), id.map(str::as_bytes), body] {
            hasher.write_u64(part.map_or(u64::MAX, |part| part.len() as u64));
            hasher.write(part.unwrap_or_default());
        }
        Sameness(hasher.finish128().as_u128())
    }
}

/// The ids of a window of time, as many as memory allows; the oldest fall out first.
#[derive(Debug)]
pub struct Seen {
    window: u64,
    most: usize,
    ids: HashMap<u128, EventId, BuildHasherDefault<Taken>>,
    order: VecDeque<(u64, u128)>,
}

impl Seen {
    /// Remembers ids for `window`, in at most `memory` bytes.
    pub fn new(window: Duration, memory: u64) -> Self {
        let most = usize::try_from(memory / ENTRY_BYTES).unwrap_or(usize::MAX).max(1);
        Self { window: millis(window), most, ids: HashMap::default(), order: VecDeque::new() }
    }

    /// Reads back the ids of the window from the ledger with that tag, newest first, as many as
    /// memory allows: there may be a million, and a start must not wait for them to be sorted.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_back(&mut self, db: &Connection, tag: u32) -> rusqlite::Result<()> {
        let now = wall_ms();
        let since = now.saturating_sub(self.window);
        let mut select =
            db.prepare("SELECT seq, received_at, hash FROM dedupe ORDER BY seq DESC LIMIT ?")?;
        let mut rows = select.query([self.most])?;
        while let Some(row) = rows.next()? {
            let (seq, at) = (row.get(0)?, row.get(1)?);
            let Sameness(hash) = Sameness::from_bytes(row.get(2)?);
            if at >= since
                && let Entry::Vacant(vacant) = self.ids.entry(hash)
            {
                vacant.insert(EventId::new(at, tag, seq));
                self.order.push_front((at.min(now), hash));
            }
        }
        Ok(())
    }

    /// The first event of that sameness, if it came in within the window before `now`.
    pub fn first(&mut self, same: Sameness, now: u64) -> Option<EventId> {
        self.forget(now);
        self.ids.get(&same.0).copied()
    }

    /// Remembers an event that came in at `at`.
    pub fn insert(&mut self, same: Sameness, id: EventId, at: u64) {
        if let Entry::Vacant(vacant) = self.ids.entry(same.0) {
            vacant.insert(id);
            self.order.push_back((at, same.0));
        }
        if self.order.len() > self.most
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    /// Takes back the ids inserted last, newest first: their commit failed.
    pub fn take_back(&mut self, count: usize) {
        for _ in 0..count {
            if let Some((_, newest)) = self.order.pop_back() {
                self.ids.remove(&newest);
            }
        }
    }

    /// How far back, in seconds, a repeated id is recognised at `now`.
    pub fn horizon(&self, now: u64) -> u64 {
        let full = self.order.len() >= self.most;
        let reach = self.order.front().filter(|_| full).map(|(at, _)| now.saturating_sub(*at));
        reach.unwrap_or(self.window).min(self.window) / 1_000
    }

    /// The number of the oldest event that is remembered.
    pub fn oldest(&self) -> Option<u64> {
        let (_, oldest) = self.order.front()?;
        self.ids.get(oldest).map(|id| id.seq())
    }

    fn forget(&mut self, now: u64) {
        if self.order.back().is_some_and(|(at, _)| *at > now.saturating_add(SET_BACK)) {
            self.order.iter_mut().for_each(|(at, _)| *at = now.min(*at));
        }
        while let Some((at, oldest)) = self.order.front().copied()
            && at.saturating_add(self.window) < now
        {
            self.order.pop_front();
            self.ids.remove(&oldest);
        }
    }
}

/// The keys are keyed hashes already: their low half is as good as another hash of them.
#[derive(Debug, Default, Clone, Copy)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.rchunks(8).take(1) {
            self.0 = chunk.iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte));
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(n: u128) -> Sameness {
        Sameness(n)
    }

    fn id(seq: u64) -> EventId {
        EventId::new(0, 0, seq)
    }

    #[test]
    fn an_id_is_known_within_the_window_only() {
        let mut seen = Seen::new(Duration::from_millis(100), 1 << 20);
        seen.insert(same(1), id(1), 1_000);
        assert_eq!(seen.first(same(1), 1_100), Some(id(1)));
        assert_eq!(seen.first(same(2), 1_100), None);
        assert_eq!(seen.first(same(1), 1_101), None);
    }

    #[test]
    fn under_a_clock_that_was_set_back_an_id_is_known_no_longer_than_the_window() {
        let mut seen = Seen::new(Duration::from_millis(100), 1 << 20);
        seen.insert(same(1), id(1), 10 * SET_BACK);
        seen.insert(same(2), id(2), 10 * SET_BACK);
        assert_eq!(seen.first(same(1), 1_000), Some(id(1)));
        seen.insert(same(3), id(3), 1_000);
        assert_eq!((seen.first(same(2), 1_100), seen.oldest()), (Some(id(2)), Some(1)));
        assert_eq!((seen.first(same(2), 1_101), seen.oldest()), (None, None));
    }

    #[test]
    fn the_oldest_falls_out_when_memory_is_full() {
        let mut seen = Seen::new(Duration::from_secs(60), 2 * ENTRY_BYTES);
        assert_eq!(seen.horizon(10_000), 60);
        for n in 1..=3 {
            seen.insert(same(n), id(n as u64), 1_000 * n as u64);
        }
        let known: Vec<_> = (1..=3).map(|n| seen.first(same(n), 10_000)).collect();
        assert_eq!(known, [None, Some(id(2)), Some(id(3))]);
        assert_eq!(seen.horizon(10_000), 8);
    }

    #[test]
    fn as_many_of_the_newest_are_read_back_as_memory_allows() {
        let db = Connection::open_in_memory().unwrap();
        let table = "CREATE TABLE dedupe(seq INTEGER PRIMARY KEY, received_at INTEGER, hash BLOB)";
        db.execute_batch(table).unwrap();
        let now = wall_ms();
        // The first has come again, after it was forgotten.
        for (seq, at, hash) in [(1, now, 1), (2, now, 2), (3, 0, 3), (4, now, 4), (5, now, 1)] {
            let row = rusqlite::params![seq, at, same(hash).to_bytes()];
            db.execute("INSERT INTO dedupe VALUES(?,?,?)", row).unwrap();
        }
        let mut seen = Seen::new(Duration::from_secs(60), 4 * ENTRY_BYTES);
        seen.read_back(&db, 7).unwrap();
        assert_eq!(seen.oldest(), Some(2));
        let known: Vec<_> = (1..=4).map(|hash| seen.first(same(hash), now)).collect();
        let id = |seq| Some(EventId::new(now, 7, seq));
        assert_eq!(known, [id(5), id(2), None, id(4)]);
    }

    #[test]
    fn what_was_not_committed_is_forgotten() {
        let mut seen = Seen::new(Duration::from_secs(60), 1 << 20);
        seen.insert(same(1), id(1), 1);
        seen.insert(same(2), id(2), 2);
        seen.take_back(1);
        assert_eq!((seen.first(same(1), 3), seen.first(same(2), 3)), (Some(id(1)), None));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = SamenessKey::new([7; 16]);
        let all = [
            key.of("ab", Some("c"), None),
            key.of("a", Some("bc"), None),
            key.of("ab", None, Some(b"c")),
            key.of("ab", Some("c"), Some(b"")),
            SamenessKey::new([8; 16]).of("ab", Some("c"), None),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all.iter().skip(n + 1).all(|other| other != one));
        }
        assert_eq!(Sameness::from_bytes(all[0].to_bytes()), all[0]);
    }
}
