//! The one thread that writes: it commits what waits in groups, answers when the disk has it,
//! and leases what is due.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_channel::{Receiver, Sender};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::disk::Disk;
use super::group::{Done, Group};
use super::health::Health;
use super::inbox::{Batch, Inbox};
use super::leases::{Leases, Out};
use super::queue;
use super::retain::Removal;
use super::routes::{Holds, Routes, Unsettled};
use super::schema::{self, SchemaError};
use super::seen::Seen;
use super::space::Space;
use super::sweep::Sweeper;
use super::{AppendError, Lease, Options, Ruling, Settle, apply, order};
use crate::clock::{Stamps, wall_ms};
use crate::delivery::State;
use crate::metrics::Metrics;
use crate::seldom::Seldom;

/// Stamps that are behind the ledger's last by less are taken as they are.
const BEHIND: u64 = 1_000;

/// The same trouble is not logged again before this.
const LOG_REST: Duration = Duration::from_secs(10);

/// What others need to know of the ledger's file.
#[derive(Debug)]
pub struct Facts {
    /// The number that tells this ledger's event ids from another's.
    pub tag: u32,
    /// The key of its sameness hashes.
    pub dedupe_key: [u8; 16],
    /// The number of the next event.
    pub next_seq: u64,
    /// The ids that are remembered.
    pub seen: Arc<Mutex<Seen>>,
    /// The routes whose deliveries are parked, kept up to date by the writer.
    pub holds: Arc<ArcSwap<Holds>>,
    /// The deliveries that are out for an attempt.
    pub out: Out,
    /// What of each route is not settled.
    pub unsettled: Unsettled,
    /// Whether it takes events, kept up to date by the writer.
    pub health: Arc<Health>,
}

/// The writer, before its thread starts.
pub struct Writer {
    pub(super) sweeper: Sweeper,
    pub(super) disk: Disk,
    space: Space,
    pub(super) removal: Removal,
    pub(super) stamps: Stamps,
    pub(super) metrics: Metrics,
    seen: Arc<Mutex<Seen>>,
    pub(super) routes: Routes,
    pub(super) leases: Leases,
    /// What is leased, and not handed over yet.
    pub(super) leased: Vec<Lease>,
    pub(super) to_dispatch: Sender<Lease>,
    /// The other end of it.
    pub(super) recalled: Receiver<Lease>,
    pub(super) done: i64,
    pub(super) dead: i64,
    holds: Arc<ArcSwap<Holds>>,
    /// Routes that keep no order any more; some of their deliveries may still wait for others.
    pub(super) unordered: Vec<i64>,
    unsettled: Vec<Settle>,
    /// What logs that the queue cannot be read.
    pub(super) troubled: Seldom,
    health: Arc<Health>,
}

/// Opens the file, and reads what the writer keeps in memory.
///
/// # Errors
/// The file cannot be opened or read.
pub fn open(
    file: &Path,
    options: &Options,
    stamps: Stamps,
    metrics: &Metrics,
    (to_dispatch, recalled): (Sender<Lease>, Receiver<Lease>),
    sweeper: Sweeper,
) -> Result<(Writer, Facts), SchemaError> {
    let (disk, (tag, seen, dedupe_key, next_seq, routes, counts)) = Disk::open(file, |db| {
        catch_up(db, stamps.now())?;
        let tag = schema::value(db, "tag")?;
        let mut seen = Seen::new(tag, options.dedupe_window, options.dedupe_memory);
        seen.read_back(db)?;
        // What that brought into SQLite's cache is not needed again.
        db.execute_batch("PRAGMA shrink_memory")?;
        let (dedupe_key, next_seq) = (schema::value(db, "dedupe_key")?, schema::last_seq(db)? + 1);
        Ok((tag, seen, dedupe_key, next_seq, Routes::read(db, metrics)?, apply::counts(db)?))
    })?;
    let (seen, health) = (Arc::new(Mutex::new(seen)), Arc::<Health>::default());
    let (holds, out, free) = (Arc::default(), Out::default(), metrics.free_bytes.clone());
    sweeper.search();
    let mut writer = Writer {
        sweeper,
        disk,
        space: Space::new(&options.data, options.min_free, health.clone(), free),
        removal: Removal::new(options),
        stamps,
        metrics: metrics.clone(),
        routes,
        seen: seen.clone(),
        leases: Leases::new(out.clone()),
        to_dispatch,
        recalled,
        leased: Vec::new(),
        done: counts.0,
        dead: counts.1,
        holds: Arc::clone(&holds),
        unordered: Vec::new(),
        unsettled: Vec::new(),
        troubled: Seldom::new(LOG_REST),
        health: health.clone(),
    };
    writer.space.look();
    writer.look_at_all();
    writer.hold();
    writer.show();
    let unsettled = writer.routes.all_unsettled();
    Ok((writer, Facts { tag, dedupe_key, next_seq, seen, holds, out, unsettled, health }))
}

/// A clock that was set back while nobody looked would make what waits wait longer: its stamps go
/// back as well.
fn catch_up(db: &Connection, now: u64) -> rusqlite::Result<()> {
    let last: u64 = schema::value(db, "stamp")?;
    let behind = last.saturating_sub(now);
    if behind < BEHIND { Ok(()) } else { queue::move_back(db, behind) }
}

impl Writer {
    /// Starts the thread, which holds `lock` until the file is closed.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut self, inbox: Arc<Inbox>, lock: File) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            let _unwinding = AbortOnUnwind;
            while self.turn(&inbox) {}
            if !self.unsettled.is_empty() {
                let attempts = self.unsettled.len();
                tracing::warn!(attempts, "not recorded: they are made again after the next start");
            }
            drop(self);
            drop(lock);
        })
    }

    /// One round: take, commit, tell, lease. False when there will be no other.
    fn turn(&mut self, inbox: &Inbox) -> bool {
        let mut batch = inbox.take(Some(self.look_again()));
        let last = batch.last;
        batch.settles.splice(0..0, self.unsettled.drain(..));
        for lease in batch.given_back.drain(..) {
            self.leases.end(lease.row.route, lease.row.delivery);
            self.leases.behind(lease.row.route);
        }
        let ruled: Vec<_> = batch.rulings.drain(..).map(|ruling| self.rule(ruling)).collect();
        self.space.look();
        self.reopen(last);
        if self.health.problem().is_some() {
            Self::refuse(batch.appends.drain(..));
        }
        self.commit(batch);
        self.send_out();
        // Those who wait have their answer: a checkpoint takes a while.
        if let Err(error) = self.disk.checkpoint() {
            self.failed(&error.into());
        }
        self.lease_from_queue();
        self.send_out();
        self.show();
        for reply in ruled {
            let _gone = reply.send(());
        }
        !last
    }

    /// When to go on although nothing new comes in.
    fn look_again(&mut self) -> Instant {
        let space = self.space.next_look();
        if let Some(again_at) = self.disk.again_at() {
            return space.min(again_at);
        }
        if !self.unordered.is_empty() {
            return Instant::now();
        }
        let now = self.stamps.now();
        let due = self.leases.look_again_at().and_then(|at| {
            Instant::now().checked_add(Duration::from_millis(at.saturating_sub(now)))
        });
        let sooner = space.min(self.removal.next_step());
        due.map_or(sooner, |due| due.min(sooner))
    }

    /// Tries a disk that failed once more, when it is time to and before the end.
    fn reopen(&mut self, last: bool) {
        let Some(again_at) = self.disk.again_at() else { return };
        if !last && Instant::now() < again_at {
            return;
        }
        let routes = &mut self.routes;
        let read = |db: &Connection| routes.read_again(db).and_then(|()| apply::counts(db));
        match self.disk.reopen(read) {
            Ok(counts) => {
                (self.done, self.dead) = counts;
                self.look_at_all();
                self.hold();
                self.health.failing(false);
                self.sweeper.search();
            }
            Err(error) => self.failed(&error),
        }
    }

    fn look_at_all(&mut self) {
        for (route, _) in self.routes.iter().filter(|(_, known)| known.events > 0) {
            self.leases.behind(route);
        }
    }

    /// These rules are in force; gives who waits for it.
    fn rule(&mut self, Ruling { rules, reply }: Ruling) -> oneshot::Sender<()> {
        self.unordered = self.routes.rule(rules);
        if let Some(db) = self.disk.db() {
            self.unordered.retain(|route| order::is_kept(db, *route).unwrap_or(true));
        }
        self.hold();
        reply
    }

    /// Leases no more of routes that are held, and tells everyone which those are.
    pub(super) fn hold(&mut self) {
        if self.routes.have_changed() {
            self.routes.iter().for_each(|(route, known)| self.leases.hold(route, known.is_held()));
            self.holds.store(Arc::new(self.routes.holds()));
            self.recall();
        }
    }

    fn failed(&mut self, error: &SchemaError) {
        self.disk.fail(error);
        self.health.failing(true);
        self.metrics.commit_failures.inc();
    }

    fn commit(&mut self, mut batch: Batch) {
        let Some(db) = self.disk.db() else { return self.put_off(batch) };
        let is_idle = batch.is_empty() && self.unordered.is_empty() && !self.removal.is_due();
        if is_idle && !batch.last {
            return;
        }
        let mut done = Done::default();
        let mut group = Group {
            seen: &self.seen,
            routes: &mut self.routes,
            stamp: self.stamps.now(),
            unordered: self.unordered.last().copied(),
            removal: &self.removal,
            last: batch.last,
        };
        match group.commit(db, &batch, &mut done) {
            Ok(()) => self.committed(batch, done),
            Err(error) => {
                self.seen().take_back(done.remembered.len());
                if schema::is_failed_sync(&error) {
                    batch.leave_bodies();
                }
                self.failed(&error.into());
                self.put_off(batch);
            }
        }
    }

    /// The disk fails: whoever waits is told so, but settlements are for a later commit.
    fn put_off(&mut self, mut batch: Batch) {
        Self::refuse(batch.appends.drain(..));
        for again in batch.again.drain(..) {
            let _gone = again.reply.send(Err(AppendError::Unavailable));
        }
        for pause in batch.pauses.drain(..) {
            let _gone = pause.reply.send(Err(AppendError::Unavailable));
        }
        for replay in batch.replays.drain(..) {
            let _gone = replay.reply.send(Err(AppendError::Unavailable));
        }
        self.unsettled = batch.settles;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) {
        let (mut pending, mut parked) = (0, 0);
        for (route, known) in self.routes.iter() {
            let left = known.events - i64::try_from(self.leases.count_of(route)).unwrap_or(0);
            *(if known.is_held() { &mut parked } else { &mut pending }) += left;
        }
        let leased = i64::try_from(self.leases.count()).unwrap_or(i64::MAX);
        for (state, count) in [
            (State::Pending, pending),
            (State::Leased, leased),
            (State::Done, self.done),
            (State::Dead, self.dead),
            (State::Parked, parked),
        ] {
            self.metrics.deliveries.with_label_values(&[state.name()]).set(count);
        }
        let horizon = self.seen().horizon(wall_ms());
        self.metrics.dedupe_horizon.set(i64::try_from(horizon).unwrap_or(i64::MAX));
    }
}

/// A writer that broke leaves events waiting for ever and a memory that nobody can trust; what
/// is on disk is whole. Ending the process is the safe answer.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the ledger's writer broke: ending");
            std::process::abort();
        }
    }
}
