//! Recognising an event that was stored before.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashTable;
use rusqlite::Connection;

use super::dedupe::Sameness;
use super::entries::{Entry, unpack};
use crate::clock::{millis, wall_ms};
use crate::event::EventId;

/// Bytes of memory that one remembered id takes: its own, and its share of a table of places that may
/// be little more than half full.
const ENTRY_BYTES: u64 = 52;

/// When the newest remembered id is ahead of the clock by more milliseconds, the clock was set back:
/// requests come in nearly in order.
const SET_BACK: u64 = 60_000;

/// The ids of a window of time, as many as memory allows; the oldest fall out first.
#[derive(Debug)]
pub struct Seen {
    tag: u32,
    window: u64,
    most: usize,
    /// What is remembered, oldest first.
    ids: VecDeque<Known>,
    /// The place of the first of them; places are given in turn, and after the last again.
    first: u32,
    /// The places of the hashes.
    places: HashTable<u32>,
}

#[derive(Debug)]
struct Known {
    hash: [u64; 2],
    seq: u64,
    received_at: u64,
    /// When its window begins: when it came in, unless the clock was ahead then.
    since: u64,
}

impl Seen {
    /// Remembers ids of the ledger with that tag for `window`, in at most `memory` bytes. All of it
    /// is asked for at once, and given by the system as it is used: to move what is there would hold
    /// up everyone.
    pub fn new(tag: u32, window: Duration, memory: u64) -> Self {
        let most = usize::try_from(memory / ENTRY_BYTES).unwrap_or(usize::MAX);
        let most = most.clamp(1, u32::MAX as usize);
        let (mut ids, mut places) = (VecDeque::new(), HashTable::new());
        // What is refused now may be there when it is needed.
        let _later = (ids.try_reserve_exact(most), places.try_reserve(most, |_: &u32| 0));
        Self { tag, window: millis(window), most, ids, first: 0, places }
    }

    /// Reads back the ids of the window, newest first, as many as memory allows: there may be a
    /// million, and a start must not wait for them to be sorted.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_back(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let now = wall_ms();
        let start = now.saturating_sub(self.window);
        let mut select = db.prepare("SELECT entries FROM dedupe ORDER BY last DESC")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            for Entry { seq, received_at, same } in unpack(row.get_ref(0)?.as_blob()?).rev() {
                if self.ids.len() == self.most {
                    return Ok(());
                }
                if received_at >= start && self.place(same.halves()).is_none() {
                    let (hash, since) = (same.halves(), received_at.min(now));
                    self.first = self.first.wrapping_sub(1);
                    self.ids.push_front(Known { hash, seq, received_at, since });
                    self.note(hash, self.first);
                }
            }
        }
        Ok(())
    }

    /// The first event of that sameness, if it came in within the window before `now`.
    pub fn first(&mut self, same: Sameness, now: u64) -> Option<EventId> {
        self.forget(now);
        let known = self.known(self.place(same.halves())?)?;
        Some(EventId::new(known.received_at, self.tag, known.seq))
    }

    /// Remembers an event.
    pub fn insert(&mut self, Entry { seq, received_at, same }: Entry) {
        let hash = same.halves();
        if self.place(hash).is_some() {
            return;
        }
        if self.ids.len() == self.most {
            self.drop_oldest();
        }
        // There are never more than places.
        let place = self.first.wrapping_add(self.ids.len() as u32);
        self.ids.push_back(Known { hash, seq, received_at, since: received_at });
        self.note(hash, place);
    }

    /// Takes back the ids inserted last, newest first: their commit failed.
    pub fn take_back(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(newest) = self.ids.pop_back() {
                self.leave(newest.hash, self.first.wrapping_add(self.ids.len() as u32));
            }
        }
    }

    /// How far back, in seconds, a repeated id is recognised at `now`.
    pub fn horizon(&self, now: u64) -> u64 {
        let full = self.ids.len() >= self.most;
        let oldest = self.ids.front().filter(|_| full);
        let reach = oldest.map(|known| now.saturating_sub(known.since));
        reach.unwrap_or(self.window).min(self.window) / 1_000
    }

    /// The number of the oldest event that is remembered.
    pub fn oldest(&self) -> Option<u64> {
        self.ids.front().map(|known| known.seq)
    }

    fn forget(&mut self, now: u64) {
        if self.ids.back().is_some_and(|known| known.since > now.saturating_add(SET_BACK)) {
            self.ids.iter_mut().for_each(|known| known.since = now.min(known.since));
        }
        while self.ids.front().is_some_and(|known| known.since.saturating_add(self.window) < now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.ids.pop_front() {
            self.leave(oldest.hash, self.first);
            self.first = self.first.wrapping_add(1);
        }
    }

    fn known(&self, place: u32) -> Option<&Known> {
        self.ids.get(place.wrapping_sub(self.first) as usize)
    }

    fn place(&self, hash: [u64; 2]) -> Option<u32> {
        let is_it = |place: &u32| self.known(*place).is_some_and(|known| known.hash == hash);
        self.places.find(spread(hash), is_it).copied()
    }

    fn note(&mut self, hash: [u64; 2], place: u32) {
        let (ids, first) = (&self.ids, self.first);
        let spread_again = |place: &u32| {
            ids.get(place.wrapping_sub(first) as usize).map_or(0, |known| spread(known.hash))
        };
        self.places.insert_unique(spread(hash), place, spread_again);
    }

    fn leave(&mut self, hash: [u64; 2], place: u32) {
        if let Ok(noted) = self.places.find_entry(spread(hash), |at| *at == place) {
            noted.remove();
        }
    }
}

/// They are keyed hashes already: one half is as good as another hash of them.
fn spread([_, low]: [u64; 2]) -> u64 {
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::entries::Entries;

    fn same(n: u64) -> Sameness {
        Sameness::of_halves([0, n])
    }

    const TAG: u32 = 7;

    fn seen(window: u64, memory: u64) -> Seen {
        Seen::new(TAG, Duration::from_millis(window), memory)
    }

    fn entry(n: u64, received_at: u64) -> Entry {
        Entry { seq: n, received_at, same: same(n) }
    }

    fn id(n: u64, received_at: u64) -> Option<EventId> {
        Some(EventId::new(received_at, TAG, n))
    }

    #[test]
    fn an_id_is_known_within_the_window_only() {
        let mut seen = seen(100, 1 << 20);
        seen.insert(entry(1, 1_000));
        assert_eq!(seen.first(same(1), 1_100), id(1, 1_000));
        assert_eq!(seen.first(same(2), 1_100), None);
        assert_eq!(seen.first(same(1), 1_101), None);
    }

    #[test]
    fn under_a_clock_that_was_set_back_an_id_is_known_no_longer_than_the_window() {
        let (mut seen, ahead) = (seen(100, 1 << 20), 10 * SET_BACK);
        seen.insert(entry(1, ahead));
        seen.insert(entry(2, ahead));
        assert_eq!(seen.first(same(1), 1_000), id(1, ahead));
        seen.insert(entry(3, 1_000));
        assert_eq!((seen.first(same(2), 1_100), seen.oldest()), (id(2, ahead), Some(1)));
        assert_eq!((seen.first(same(2), 1_101), seen.oldest()), (None, None));
    }

    #[test]
    fn the_oldest_falls_out_when_memory_is_full() {
        let mut seen = seen(60_000, 2 * ENTRY_BYTES);
        assert_eq!(seen.horizon(10_000), 60);
        (1..=3).for_each(|n| seen.insert(entry(n, 1_000 * n)));
        let known: Vec<_> = (1..=3).map(|n| seen.first(same(n), 10_000)).collect();
        assert_eq!(known, [None, id(2, 2_000), id(3, 3_000)]);
        assert_eq!(seen.horizon(10_000), 8);
    }

    #[test]
    fn as_many_of_the_newest_are_read_back_as_memory_allows() {
        let db = Connection::open_in_memory().unwrap();
        let table = "CREATE TABLE dedupe(last INTEGER PRIMARY KEY, entries BLOB)";
        db.execute_batch(table).unwrap();
        let now = wall_ms();
        // The first has come again, after it was forgotten.
        let again = Entry { seq: 5, ..entry(1, now) };
        for commit in [[entry(1, now), entry(2, now)], [entry(3, 0), entry(4, now)], [again; 2]] {
            let mut entries = Entries::default();
            commit.into_iter().for_each(|entry| entries.push(entry));
            entries.write(&db).unwrap();
        }
        let mut seen = seen(60_000, 3 * ENTRY_BYTES);
        seen.read_back(&db).unwrap();
        assert_eq!(seen.oldest(), Some(2));
        let known: Vec<_> = (1..=4).map(|hash| seen.first(same(hash), now)).collect();
        assert_eq!(known, [id(5, now), id(2, now), None, id(4, now)]);
        seen.insert(entry(6, now));
        assert_eq!((seen.first(same(2), now), seen.first(same(6), now)), (None, id(6, now)));
    }

    #[test]
    fn what_was_not_committed_is_forgotten() {
        let mut seen = seen(60_000, 1 << 20);
        seen.insert(entry(1, 1));
        seen.insert(entry(2, 2));
        seen.take_back(1);
        assert_eq!((seen.first(same(1), 3), seen.first(same(2), 3)), (id(1, 1), None));
        seen.insert(entry(3, 3));
        assert_eq!(seen.first(same(3), 3), id(3, 3));
    }

    #[test]
    fn places_are_given_again_after_the_last() {
        let mut seen = seen(60_000, 3 * ENTRY_BYTES);
        seen.first = u32::MAX - 1;
        for n in 1..=9 {
            seen.insert(entry(n, n));
            let is_known = |other: &u64| seen.first(same(*other), n).is_some();
            let known: Vec<u64> = (1..=9).filter(is_known).collect();
            assert_eq!(known, (n.saturating_sub(2).max(1)..=n).collect::<Vec<_>>());
        }
    }
}
