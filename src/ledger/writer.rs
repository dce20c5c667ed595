//! The one thread that writes: it commits what waits in groups, answers when the disk has it,
//! and leases what is due.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_channel::Sender;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::apply::{self, Moved};
use super::body::Packed;
use super::dedupe::{Sameness, Seen};
use super::effects::{self, Ended};
use super::inbox::{Batch, Inbox};
use super::leases::{Handover, Leases};
use super::queue::{self, AT_ONCE, Due};
use super::schema::{self, SchemaError};
use super::work::Effects;
use super::{Append, AppendError, Lease, Options, Receipt, Settle, Staged, Unpark};
use crate::clock::{Stamps, millis, wall_ms};
use crate::delivery::State;
use crate::event::EventId;
use crate::metrics::Metrics;

/// How long to wait before a disk that failed is tried again.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

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
    /// Whether the last commit succeeded, kept up to date by the writer.
    pub writable: Arc<AtomicBool>,
}

/// The writer, before its thread starts.
pub struct Writer {
    file: PathBuf,
    db: Option<Connection>,
    stamps: Stamps,
    metrics: Metrics,
    seen: Arc<Mutex<Seen>>,
    counts: Moved,
    leases: Leases,
    to_dispatch: Sender<Lease>,
    unpark: Vec<(Vec<Arc<str>>, i64)>,
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
    queue::pull_in(&db, stamps.now().saturating_add(millis(options.longest_wait)))?;
    let tag = schema::value(&db, "tag")?;
    let mut seen = Seen::new(options.dedupe_window, options.dedupe_memory);
    remember(&db, &mut seen, tag, options.dedupe_window)?;
    let facts = Facts {
        tag,
        dedupe_key: schema::value(&db, "dedupe_key")?,
        next_seq: schema::last_seq(&db)? + 1,
        seen: Arc::new(Mutex::new(seen)),
        writable: Arc::new(AtomicBool::new(true)),
    };
    let writer = Writer {
        file: file.to_owned(),
        stamps,
        metrics: metrics.clone(),
        counts: apply::counts(&db)?,
        db: Some(db),
        seen: facts.seen.clone(),
        leases: Leases::new(),
        to_dispatch,
        unpark: Vec::new(),
        unsettled: Vec::new(),
        writable: facts.writable.clone(),
    };
    writer.show();
    Ok((writer, facts))
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
    /// What came of each, in their order.
    receipts: Vec<Result<Receipt, AppendError>>,
    ended: Vec<Ended>,
    again: Vec<Result<(), AppendError>>,
    remembered: usize,
    moved: Moved,
    unpark: Option<Option<i64>>,
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
        self.unpark.extend(batch.unpark.drain(..).map(|Unpark { routes }| (routes, i64::MIN)));
        if !batch.is_empty() || !self.unpark.is_empty() || self.db.is_none() {
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
        let now = self.stamps.now();
        if !self.unpark.is_empty() || self.leases.wanted(now) > 0 {
            return Some(Instant::now());
        }
        let at = self.leases.look_again_at()?;
        Some(Instant::now() + Duration::from_millis(at.saturating_sub(now)))
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
                    tell(append.reply, Err(AppendError::Unavailable));
                }
                for again in batch.again.drain(..) {
                    let _gone = again.reply.send(Err(AppendError::Unavailable));
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
        self.counts = apply::counts(&db)?;
        self.leases.behind();
        Ok(db)
    }

    fn apply(
        &mut self,
        db: &mut Connection,
        batch: &Batch,
        done: &mut Done,
    ) -> Result<(), SchemaError> {
        let group = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for settle in &batch.settles {
            done.ended.push(effects::settle(&group, settle, &mut done.moved)?);
        }
        for append in &batch.appends {
            let receipt = self.append(&group, append, done)?;
            done.receipts.push(receipt);
        }
        for again in &batch.again {
            done.again.push(effects::again(&group, again, &mut done.moved)?);
        }
        if let Some((routes, after)) = self.unpark.last() {
            done.unpark = Some(apply::unpark(&group, routes, *after, &mut done.moved)?);
        }
        apply::count(&group, &done.moved)?;
        Ok(group.commit()?)
    }

    fn append(
        &mut self,
        db: &Connection,
        append: &Append,
        done: &mut Done,
    ) -> rusqlite::Result<Result<Receipt, AppendError>> {
        let at = append.event.received_at();
        if let Some(same) = append.same
            && let Some(id) = self.seen().first(same, at)
        {
            apply::duplicate(db, id.seq())?;
            return Ok(Ok(Receipt { id, duplicate: true }));
        }
        if !effects::commit_settled(db, append.settled.as_ref(), &mut done.moved)? {
            return Ok(Err(AppendError::Outdated));
        }
        apply::append(db, append, &mut done.moved)?;
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
        self.counts.pending += done.moved.pending;
        self.counts.done += done.moved.done;
        self.counts.dead += done.moved.dead;
        self.counts.parked += done.moved.parked;
        for (settle, ended) in batch.settles.drain(..).zip(done.ended) {
            self.settled(settle, ended);
        }
        if let Some(after) = done.unpark {
            self.leases.behind();
            let step = self.unpark.pop().zip(after);
            self.unpark.extend(step.map(|((routes, _), after)| (routes, after)));
        }
        for (mut append, receipt) in batch.appends.into_iter().zip(done.receipts) {
            if receipt.is_ok_and(|receipt| !receipt.duplicate) {
                self.stored(&mut append);
                let effects = append.settled.and_then(|settled| settled.effects);
                self.emitted(effects);
            }
            tell(append.reply, receipt);
        }
        for (again, made) in batch.again.into_iter().zip(done.again) {
            if made.is_ok() {
                self.emitted(again.settled.effects);
            }
            let _gone = again.reply.send(made);
        }
    }

    /// A lease has come to its end, or goes back to whoever had it.
    fn settled(&mut self, Settle { lease, effects, .. }: Settle, ended: Ended) {
        let key = lease.key;
        let back = if ended == Ended::Outdated { Err(lease) } else { Ok(()) };
        let is_back = back.is_err();
        let (staged, told) = match effects {
            Some(Effects { staged, reply }) => (Some(staged), reply.send(back).is_ok()),
            None => (None, false),
        };
        if is_back && told {
            return;
        }
        self.leases.end(key);
        match ended {
            Ended::Now(due) => {
                due.into_iter().for_each(|at| self.leases.due(at));
                self.emitted(staged);
            }
            Ended::Before => {}
            // Nobody makes the attempt again: the delivery waits in the queue.
            Ended::Outdated => self.leases.behind(),
        }
    }

    /// The events that an attempt emitted are durable.
    fn emitted(&mut self, effects: Option<Staged>) {
        for mut event in effects.into_iter().flat_map(|staged| staged.emitted) {
            self.stored(&mut event);
        }
    }

    /// A new event is durable: its body's file is its own, and its deliveries are leased.
    fn stored(&mut self, append: &mut Append) {
        let id = append.id;
        if let Packed::Spooled(file) = &mut append.body {
            file.keep();
        }
        self.metrics.events_stored.with_label_values(&[append.event.source()]).inc();
        for (ordinal, route) in append.routes.iter().enumerate() {
            let key = apply::delivery_key(id.seq(), append.first_waiting() + ordinal);
            let event = match self.leases.fresh(key, append.event.body().len()) {
                Handover::WithEvent => Some((id, append.event.clone())),
                Handover::KeyOnly => None,
                Handover::Queued => continue,
            };
            self.hand_over(Lease { key, due_at: AT_ONCE, route: route.clone(), attempt: 1, event });
        }
    }

    /// Leases what the queue holds and is due.
    fn lease_from_queue(&mut self) {
        let now = self.stamps.now();
        let wanted = self.leases.wanted(now);
        let Some(db) = self.db.as_ref().filter(|_| wanted > 0) else { return };
        let found = match queue::due(db, now, self.leases.count() + wanted) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "the ledger's queue cannot be read");
                self.leases.read(true, Some(now + millis(AFTER_FAILURE)));
                return;
            }
        };
        let is_free = |due: &Due| !self.leases.is_out(due.delivery);
        let free: Vec<Due> = found.due.into_iter().filter(is_free).collect();
        self.leases.read(free.len() <= wanted && !found.more, found.next);
        for Due { due_at, delivery: key, route, attempt } in free.into_iter().take(wanted) {
            self.leases.queued(key);
            self.hand_over(Lease { key, due_at, route: route.into(), attempt, event: None });
        }
    }

    fn hand_over(&self, lease: Lease) {
        // Refused only when dispatch has ended; then nobody waits for it.
        let _ended = self.to_dispatch.try_send(lease);
    }

    fn show(&self) {
        let leased = i64::try_from(self.leases.count()).unwrap_or(i64::MAX);
        let counts = Moved { pending: self.counts.pending - leased, ..self.counts };
        for (name, count) in counts.named() {
            self.metrics.deliveries.with_label_values(&[name]).set(count);
        }
        self.metrics.deliveries.with_label_values(&[State::Leased.name()]).set(leased);
        let horizon = self.seen().horizon(wall_ms());
        self.metrics.dedupe_horizon.set(i64::try_from(horizon).unwrap_or(i64::MAX));
    }
}

/// Tells whoever waits for an event.
fn tell(
    reply: Option<oneshot::Sender<Result<Receipt, AppendError>>>,
    receipt: Result<Receipt, AppendError>,
) {
    if let Some(reply) = reply {
        let _gone = reply.send(receipt);
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
