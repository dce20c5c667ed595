//! Removing events that are old, or too many, in steps small enough to ride in a commit.
//!
//! A pass goes over the events in order of arrival until it meets one that is too young for any
//! rule. Nothing is removed that has a delivery which is not settled. A file of SQLite's does not
//! shrink: pages that become free are used again, so it stays as large as it was at most.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::routes::Moved;
use super::schema::{self, ORDINAL_BITS};
use super::{Options, entries, hold};
use crate::clock::millis;

/// Events that one step looks at at the most.
const STEP_ROWS: usize = 256;
/// No step takes much longer.
const STEP_TIME: Duration = Duration::from_millis(1);
/// Between two steps, so that whoever waits for a commit waits for removals a fifth of the time.
const STEP_PAUSE: Duration = Duration::from_millis(5);
/// Between two passes.
const PASS_PAUSE: Duration = Duration::from_secs(60);
/// Between two passes when too much is kept and nothing could be removed.
const STUCK_PAUSE: Duration = Duration::from_secs(10);
/// How often the ledger's size is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// How long events are kept, from when they came in, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Those whose deliveries are all done.
    pub done: Duration,
    /// Those with a dead letter.
    pub dead: Duration,
    /// Those that no route took.
    pub unrouted: Duration,
    /// Bytes of all that is kept; above it the oldest settled events go, whatever their age.
    pub bytes: u64,
}

/// What an event's deliveries have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Done,
    Dead,
    Unrouted,
}

impl Retention {
    /// Whether an event goes that came in so many milliseconds ago.
    fn removes(&self, end: End, age: u64, crowded: bool) -> bool {
        let kept = match end {
            End::Open => return false,
            End::Done => self.done,
            End::Dead => self.dead,
            End::Unrouted => self.unrouted,
        };
        crowded || age > millis(kept)
    }

    /// Younger events are of no interest, in milliseconds.
    fn least(&self) -> u64 {
        millis(self.done.min(self.dead).min(self.unrouted))
    }
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Removed {
    /// Files that no event owns any more.
    pub files: Vec<String>,
    /// Events that are gone.
    pub events: u64,
    /// Bytes in use, in the file and beside it.
    pub used: u64,
    /// Whether it was part of a pass.
    pass: bool,
    /// Where the pass goes on; `None`: it is over.
    next: Option<i64>,
    /// Nobody begins to copy files before the step is committed.
    _free: Option<File>,
}

/// Where removing stands.
#[derive(Debug)]
pub struct Removal {
    /// The folder of bodies, which somebody may hold.
    bodies: PathBuf,
    retention: Retention,
    dedupe_window: Duration,
    /// The pass goes on after this number; `None`: none is under way.
    after: Option<i64>,
    /// The last pass could not remove enough.
    stuck: bool,
    next_pass: Instant,
    next_step: Instant,
}

impl Removal {
    /// Begins with a pass.
    pub fn new(options: &Options) -> Self {
        let Options { retention, dedupe_window, .. } = *options;
        let bodies = options.data.join("bodies");
        let now = Instant::now();
        let (after, stuck, next_pass, next_step) = (None, false, now, now);
        Self { bodies, retention, dedupe_window, after, stuck, next_pass, next_step }
    }

    /// When to take the next step.
    pub fn next_step(&self) -> Instant {
        self.next_step
    }

    /// Whether it is time to.
    pub fn is_due(&self) -> bool {
        Instant::now() >= self.next_step
    }

    /// One step, as part of a transaction. `now` is the wall clock's reading, `remembered` the number
    /// of the oldest event whose sameness is in memory.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn step(
        &self,
        db: &Connection,
        now: u64,
        remembered: Option<u64>,
        moved: &mut Moved,
    ) -> rusqlite::Result<Removed> {
        let mut removed = Removed { used: used(db)?, ..Removed::default() };
        let is_time = Instant::now() >= self.next_pass;
        let is_needed = !self.stuck && removed.used > self.retention.bytes;
        let after = match self.after {
            None if !is_time && !is_needed => return Ok(removed),
            after => after.unwrap_or(0),
        };
        // Where folders cannot be locked, there are no copies either.
        removed._free = match hold::none(&self.bodies) {
            Ok(None) => return Ok(removed),
            Ok(free) => free,
            Err(_) => None,
        };
        removed.pass = true;
        let last = self.remove_events(db, now, after, &mut removed, moved)?;
        let window = now.saturating_sub(millis(self.dedupe_window))..=now;
        let more = entries::forget(db, &window, remembered)?;
        removed.next = last.or(Some(after).filter(|_| more));
        Ok(removed)
    }

    /// Takes note of a step that is committed.
    pub fn stepped(&mut self, removed: &Removed) {
        let now = Instant::now();
        if removed.pass && removed.next.is_none() {
            self.stuck = removed.used > self.retention.bytes;
            self.next_pass = now + if self.stuck { STUCK_PAUSE } else { PASS_PAUSE };
        }
        self.next_step = now + if removed.next.is_some() { STEP_PAUSE } else { LOOK_PAUSE };
        self.after = removed.next;
    }

    /// Removes events after the number `after`; gives the last that was looked at, if there may be
    /// more.
    fn remove_events(
        &self,
        db: &Connection,
        now: u64,
        after: i64,
        removed: &mut Removed,
        moved: &mut Moved,
    ) -> rusqlite::Result<Option<i64>> {
        let began = Instant::now();
        let events = events(db, after)?;
        for event in &events {
            let crowded = removed.used > self.retention.bytes;
            let age = now.saturating_sub(event.received_at);
            // What came in under a clock that was ahead says nothing of those behind it.
            if !crowded && event.received_at <= now && age <= self.retention.least() {
                return Ok(None);
            }
            let deliveries = deliveries(db, event.seq)?;
            if self.retention.removes(event.end(deliveries), age, crowded) {
                removed.files.extend(remove(db, event)?);
                removed.events += 1;
                moved.done -= deliveries.done;
                moved.dead -= deliveries.dead;
                removed.used = used(db)?;
            }
            if began.elapsed() > STEP_TIME {
                return Ok(Some(event.seq));
            }
        }
        Ok(events.last().filter(|_| events.len() == STEP_ROWS).map(|event| event.seq))
    }
}

/// An event that may be removed.
struct Old {
    seq: i64,
    received_at: u64,
    routes: i64,
    spooled: bool,
}

/// How many of an event's deliveries are settled.
#[derive(Clone, Copy)]
struct Deliveries {
    done: i64,
    dead: i64,
}

impl Old {
    fn end(&self, Deliveries { done, dead }: Deliveries) -> End {
        match (done + dead < self.routes, dead) {
            (true, _) => End::Open,
            (false, 0) if self.routes == 0 => End::Unrouted,
            (false, 0) => End::Done,
            (false, _) => End::Dead,
        }
    }
}

fn events(db: &Connection, after: i64) -> rusqlite::Result<Vec<Old>> {
    let sql = "SELECT seq, received_at, routes, form=2 FROM event WHERE seq>? ORDER BY seq LIMIT ?";
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map(params![after, STEP_ROWS], |row| {
        Ok(Old {
            seq: row.get(0)?,
            received_at: row.get(1)?,
            routes: row.get(2)?,
            spooled: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn deliveries(db: &Connection, seq: i64) -> rusqlite::Result<Deliveries> {
    let sql = "SELECT count(*) FILTER (WHERE state='done'), count(*) FILTER (WHERE state='dead')
        FROM delivery WHERE id>=? AND id<?";
    db.prepare_cached(sql)?
        .query_row(keys(seq), |row| Ok(Deliveries { done: row.get(0)?, dead: row.get(1)? }))
}

/// The first key of an event's deliveries, and the first that is another's.
fn keys(seq: i64) -> [i64; 2] {
    [seq << ORDINAL_BITS, (seq + 1) << ORDINAL_BITS]
}

/// Removes an event with all that is known of it, but for its de-duplication entry; gives its
/// body's file.
fn remove(db: &Connection, event: &Old) -> rusqlite::Result<Option<String>> {
    let file = if event.spooled { disown(db, event.seq)? } else { None };
    for sql in [
        "DELETE FROM delivery WHERE id>=? AND id<?",
        "DELETE FROM attempt WHERE delivery>=? AND delivery<?",
        "DELETE FROM reply WHERE delivery>=? AND delivery<?",
        "DELETE FROM replay WHERE delivery>=? AND delivery<?",
    ] {
        db.prepare_cached(sql)?.execute(keys(event.seq))?;
    }
    for sql in [
        "DELETE FROM duplicate WHERE seq=?",
        "DELETE FROM event WHERE seq=?",
        // Its number is never given again.
        "UPDATE ledger SET value=max(value, ?) WHERE name='last_seq'",
    ] {
        db.prepare_cached(sql)?.execute([event.seq])?;
    }
    Ok(file)
}

fn disown(db: &Connection, seq: i64) -> rusqlite::Result<Option<String>> {
    let sql = "DELETE FROM spooled WHERE name=(SELECT CAST(body AS TEXT) FROM event WHERE seq=?)
        RETURNING name, bytes";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let file: Option<(String, i64)> = db.prepare_cached(sql)?.query_row([seq], row).optional()?;
    let Some((name, bytes)) = file else { return Ok(None) };
    spooled(db, -bytes)?;
    Ok(Some(name))
}

/// Counts bytes of files that events own.
///
/// # Errors
/// The file cannot be written.
pub fn spooled(db: &Connection, more: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE ledger SET value=value+? WHERE name='spooled_bytes'";
    db.prepare_cached(sql)?.execute([more]).map(drop)
}

/// Bytes in use: of the file's pages, and of bodies beside it.
fn used(db: &Connection) -> rusqlite::Result<u64> {
    let pages = |sql| db.prepare_cached(sql)?.query_row([], |row| row.get::<_, u64>(0));
    let free = pages("PRAGMA freelist_count")?;
    let in_file = pages("PRAGMA page_count")?.saturating_sub(free) * schema::PAGE_BYTES;
    Ok(in_file + schema::value::<u64>(db, "spooled_bytes")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Retention = Retention {
        done: Duration::from_millis(10),
        dead: Duration::from_millis(30),
        unrouted: Duration::from_millis(20),
        bytes: 0,
    };

    #[test]
    fn an_event_goes_when_it_is_too_old_for_its_kind_or_when_there_is_too_much() {
        for (end, age, crowded, goes) in [
            (End::Done, 10, false, false),
            (End::Done, 11, false, true),
            (End::Unrouted, 20, false, false),
            (End::Unrouted, 21, false, true),
            (End::Dead, 30, false, false),
            (End::Dead, 31, false, true),
            (End::Done, 0, true, true),
            (End::Dead, 0, true, true),
            (End::Unrouted, 0, true, true),
            (End::Open, u64::MAX, false, false),
            (End::Open, u64::MAX, true, false),
        ] {
            assert_eq!(KEPT.removes(end, age, crowded), goes, "{end:?} {age} {crowded}");
        }
        assert_eq!(KEPT.least(), 10);
    }

    #[test]
    fn an_event_is_settled_when_all_its_deliveries_are() {
        for (routes, done, dead, end) in [
            (0, 0, 0, End::Unrouted),
            (2, 0, 0, End::Open),
            (2, 1, 0, End::Open),
            (2, 0, 1, End::Open),
            (2, 2, 0, End::Done),
            (2, 1, 1, End::Dead),
        ] {
            let event = Old { seq: 1, received_at: 0, routes, spooled: false };
            assert_eq!(event.end(Deliveries { done, dead }), end, "{routes} {done} {dead}");
        }
    }
}
