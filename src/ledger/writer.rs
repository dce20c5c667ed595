//! The one thread that writes: it commits what waits in groups, answers when the disk has it,
//! and leases what is due.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_channel::Sender;
use rusqlite::{Connection, TransactionBehavior};

use super::apply::{self, Due};
use super::body::Packed;
use super::dedupe::{Sameness, Seen};
use super::inbox::{Batch, Inbox};
use super::leases::{Leases, Out};
use super::queue::{self, Row};
use super::routes::{Holds, Moved, Routes, Rule};
use super::schema::{self, SchemaError};
use super::{Append, AppendError, Lease, Options, Receipt, Settle, order};
use crate::clock::{Stamps, millis, wall_ms};
use crate::delivery::State;
use crate::event::EventId;
use crate::metrics::Metrics;

/// How long to wait before a disk that failed is tried again.
pub const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Stamps that are behind the ledger's last by less are taken as they are.
const BEHIND: u64 = 1_000;

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
    /// Whether the last commit succeeded, kept up to date by the writer.
    pub writable: Arc<AtomicBool>,
}

/// The writer, before its thread starts.
pub struct Writer {
    file: PathBuf,
    pub(super) db: Option<Connection>,
    pub(super) stamps: Stamps,
    metrics: Metrics,
    seen: Arc<Mutex<Seen>>,
    pub(super) routes: Routes,
    pub(super) leases: Leases,
    pub(super) to_dispatch: Sender<Lease>,
    done: i64,
    dead: i64,
    holds: Arc<ArcSwap<Holds>>,
    /// Routes that keep no order any more; some of their deliveries may still wait for others.
    unordered: Vec<i64>,
    unsettled: Vec<Settle>,
    writable: Arc<AtomicBool>,
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
    to_dispatch: Sender<Lease>,
) -> Result<(Writer, Facts), SchemaError> {
    let db = schema::open_writer(file)?;
    catch_up(&db, stamps.now())?;
    let tag = schema::value(&db, "tag")?;
    let mut seen = Seen::new(options.dedupe_window, options.dedupe_memory);
    remember(&db, &mut seen, tag, options.dedupe_window)?;
    let facts = Facts {
        tag,
        dedupe_key: schema::value(&db, "dedupe_key")?,
        next_seq: schema::last_seq(&db)? + 1,
        seen: Arc::new(Mutex::new(seen)),
        holds: Arc::default(),
        out: Out::default(),
        writable: Arc::new(AtomicBool::new(true)),
    };
    let (done, dead) = apply::counts(&db)?;
    let mut writer = Writer {
        file: file.to_owned(),
        stamps,
        metrics: metrics.clone(),
        routes: Routes::read(&db, metrics)?,
        db: Some(db),
        seen: facts.seen.clone(),
        leases: Leases::new(facts.out.clone()),
        to_dispatch,
        done,
        dead,
        holds: facts.holds.clone(),
        unordered: Vec::new(),
        unsettled: Vec::new(),
        writable: facts.writable.clone(),
    };
    writer.look_at_all();
    writer.hold();
    writer.show();
    Ok((writer, facts))
}

/// A clock that was set back while nobody looked would make what waits wait longer: its stamps go
/// back as well.
fn catch_up(db: &Connection, now: u64) -> rusqlite::Result<()> {
    let last: u64 = schema::value(db, "stamp")?;
    let behind = last.saturating_sub(now);
    if behind < BEHIND { Ok(()) } else { queue::move_back(db, behind) }
}

/// Reads back the ids of the window, oldest first, as many as memory allows.
fn remember(db: &Connection, seen: &mut Seen, tag: u32, window: Duration) -> rusqlite::Result<()> {
    let since = wall_ms().saturating_sub(millis(window));
    let sql = "SELECT seq, received_at, hash FROM (SELECT * FROM dedupe ORDER BY seq DESC LIMIT ?)
        WHERE received_at>=? ORDER BY seq";
    let mut select = db.prepare(sql)?;
    let mut rows = select.query(rusqlite::params![seen.most(), since])?;
    while let Some(row) = rows.next()? {
        let (seq, at) = (row.get(0)?, row.get(1)?);
        seen.insert(Sameness::from_bytes(row.get(2)?), EventId::new(at, tag, seq), at);
    }
    Ok(())
}

/// What one commit did, to be told when it is on disk.
#[derive(Default)]
struct Done {
    receipts: Vec<Result<Receipt, AppendError>>,
    /// New events by their place in the batch, with what of them is due.
    fresh: Vec<(usize, Due)>,
    remembered: usize,
    /// What has come into the queue since others were settled.
    next: Vec<Row>,
    moved: Moved,
    /// A route of which no delivery waits for another any more.
    released: Option<i64>,
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
        let mut batch = inbox.take(self.look_again());
        let last = batch.last;
        batch.settles.splice(0..0, self.unsettled.drain(..));
        for lease in batch.given_back.drain(..) {
            self.leases.end(lease.row.route, lease.row.delivery);
            self.leases.behind(lease.row.route);
        }
        if let Some(rules) = batch.rules.take() {
            self.rule(rules);
        }
        if !batch.is_empty() || !self.unordered.is_empty() || self.db.is_none() {
            self.commit(batch);
        }
        self.lease_from_queue();
        self.show();
        !last
    }

    /// When to go on although nothing new comes in.
    fn look_again(&mut self) -> Option<Instant> {
        if self.db.is_none() {
            return Some(Instant::now() + AFTER_FAILURE);
        }
        let at = if self.unordered.is_empty() { self.leases.look_again_at()? } else { 0 };
        Some(Instant::now() + Duration::from_millis(at.saturating_sub(self.stamps.now())))
    }

    fn commit(&mut self, mut batch: Batch) {
        let result = self.transact(&batch);
        let was_writable = self.writable.swap(result.is_ok(), Ordering::Relaxed);
        match result {
            Ok(done) => {
                if !was_writable {
                    tracing::info!("the ledger can be written again");
                }
                self.committed(batch, done);
            }
            Err(error) => {
                if was_writable {
                    tracing::error!(%error, "the ledger cannot be written");
                }
                self.metrics.commit_failures.inc();
                // The file is opened anew before the next commit: a connection that failed to
                // write must not be trusted with what it remembers of its pages.
                self.db = None;
                for append in batch.appends.drain(..) {
                    let _gone = append.reply.send(Err(AppendError::Unavailable));
                }
                for again in batch.again.drain(..) {
                    let _gone = again.reply.send(Err(AppendError::Unavailable));
                }
                for pause in batch.pauses.drain(..) {
                    let _gone = pause.reply.send(Err(AppendError::Unavailable));
                }
                self.unsettled = batch.settles;
            }
        }
    }

    fn transact(&mut self, batch: &Batch) -> Result<Done, SchemaError> {
        let mut db = match self.db.take() {
            Some(db) => db,
            None => self.reopen()?,
        };
        let mut done = Done::default();
        let applied = self.apply(&mut db, batch, &mut done);
        if applied.is_err() {
            self.seen().take_back(done.remembered);
        }
        applied?;
        self.db = Some(db);
        Ok(done)
    }

    /// Opens the file anew. A commit that was reported as failed may be in it nevertheless, so it
    /// is asked again what it holds.
    fn reopen(&mut self) -> Result<Connection, SchemaError> {
        let db = schema::open_writer(&self.file)?;
        (self.done, self.dead) = apply::counts(&db)?;
        self.routes.read_again(&db)?;
        self.look_at_all();
        self.hold();
        Ok(db)
    }

    fn look_at_all(&mut self) {
        for (route, known) in self.routes.iter().filter(|(_, known)| known.events > 0) {
            self.leases.behind(route);
        }
    }

    /// These rules are in force.
    fn rule(&mut self, rules: Vec<Rule>) {
        self.unordered = self.routes.rule(rules);
        if let Some(db) = &self.db {
            self.unordered.retain(|route| order::is_kept(db, *route).unwrap_or(true));
        }
        self.hold();
    }

    /// Leases no more of routes that are held, and tells everyone which those are.
    fn hold(&mut self) {
        if !self.routes.have_changed() {
            return;
        }
        self.routes.iter().for_each(|(route, known)| self.leases.hold(route, known.is_held()));
        self.holds.store(Arc::new(self.routes.holds()));
    }

    fn apply(
        &mut self,
        db: &mut Connection,
        batch: &Batch,
        done: &mut Done,
    ) -> Result<(), SchemaError> {
        let group = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for settle in &batch.settles {
            done.next.extend(apply::settle(&group, settle, &mut done.moved)?);
        }
        for (place, append) in batch.appends.iter().enumerate() {
            let receipt = self.append(&group, (place, append), done)?;
            done.receipts.push(receipt);
        }
        for again in &batch.again {
            apply::again(&group, again, &mut done.moved)?;
        }
        for pause in &batch.pauses {
            self.routes.pause(&group, &pause.route, pause.paused)?;
        }
        if let Some(route) = self.unordered.last()
            && !order::release(&group, *route)?
        {
            done.released = Some(*route);
        }
        self.routes.write(&group, &done.moved)?;
        apply::count(&group, &done.moved, self.stamps.now())?;
        Ok(group.commit()?)
    }

    fn append(
        &mut self,
        db: &Connection,
        (place, append): (usize, &Append),
        done: &mut Done,
    ) -> rusqlite::Result<Result<Receipt, AppendError>> {
        let at = append.event.received_at();
        if let Some(same) = append.same
            && let Some(id) = self.seen().first(same, at)
        {
            apply::duplicate(db, id.seq())?;
            return Ok(Ok(Receipt { id, duplicate: true }));
        }
        let due = match apply::append(db, append, &mut self.routes, &mut done.moved)? {
            Ok(due) => due,
            Err(refused) => return Ok(Err(refused)),
        };
        done.fresh.push((place, due));
        if let Some(same) = append.same {
            self.seen().insert(same, append.id, at);
            done.remembered += 1;
        }
        Ok(Ok(Receipt { id: append.id, duplicate: false }))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everyone what is on disk now.
    fn committed(&mut self, mut batch: Batch, done: Done) {
        self.done += done.moved.done;
        self.dead += done.moved.dead;
        self.routes.moved(&done.moved);
        self.hold();
        for Settle { lease, .. } in &batch.settles {
            self.leases.end(lease.row.route, lease.row.delivery);
        }
        done.next.into_iter().for_each(|row| self.hand_over_next(row));
        if let Some(route) = self.unordered.last() {
            self.leases.behind(*route);
        }
        if done.released.is_some() {
            self.unordered.pop();
        }
        for (place, due) in done.fresh {
            if let Some(append) = batch.appends.get_mut(place) {
                self.stored(append, &due);
            }
        }
        for (append, receipt) in batch.appends.into_iter().zip(done.receipts) {
            let _gone = append.reply.send(receipt);
        }
        for again in batch.again {
            let _gone = again.reply.send(Ok(()));
        }
        for pause in batch.pauses {
            let _gone = pause.reply.send(Ok(()));
        }
    }

    /// A new event is durable: its body's file is its own, and its deliveries are leased.
    fn stored(&mut self, append: &mut Append, due: &[Row]) {
        if let Packed::Spooled(file) = &mut append.body {
            file.keep();
        }
        self.metrics.events_stored.with_label_values(&[append.event.source()]).inc();
        self.hand_over_fresh(append, due);
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
