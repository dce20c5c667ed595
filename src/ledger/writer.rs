//! The one thread that writes: it commits what waits in groups, answers when the disk has it,
//! and leases what is due.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_channel::Sender;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::apply::{self, Moved};
use super::body::Packed;
use super::dedupe::Seen;
use super::disk::Disk;
use super::effects::{self, Ended};
use super::health::Health;
use super::inbox::{Batch, Inbox};
use super::leases::{Handover, Leases};
use super::queue::{self, AT_ONCE, Due};
use super::retain::{Removal, Removed};
use super::schema::{self, SchemaError};
use super::space::Space;
use super::sweep::Sweeper;
use super::work::Effects;
use super::{Append, AppendError, Lease, Options, Receipt, Settle, Staged, Unpark};
use crate::clock::{Stamps, millis, wall_ms};
use crate::delivery::State;
use crate::metrics::Metrics;

/// How long to wait before a queue that could not be read is read again.
const READ_AGAIN: Duration = Duration::from_millis(100);

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
    /// Whether it takes events, kept up to date by the writer.
    pub health: Arc<Health>,
}

/// The writer, before its thread starts.
pub struct Writer {
    sweeper: Sweeper,
    disk: Disk,
    space: Space,
    removal: Removal,
    stamps: Stamps,
    metrics: Metrics,
    seen: Arc<Mutex<Seen>>,
    counts: Moved,
    leases: Leases,
    to_dispatch: Sender<Lease>,
    unpark: Vec<(Vec<Arc<str>>, i64)>,
    unsettled: Vec<Settle>,
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
    to_dispatch: Sender<Lease>,
    sweeper: Sweeper,
) -> Result<(Writer, Facts), SchemaError> {
    let latest = stamps.now().saturating_add(millis(options.longest_wait));
    let mut seen = Seen::new(options.dedupe_window, options.dedupe_memory);
    let (disk, (tag, dedupe_key, next_seq, counts)) = Disk::open(file, |db| {
        queue::pull_in(db, latest)?;
        let tag = schema::value(db, "tag")?;
        seen.read_back(db, tag)?;
        let next_seq = schema::last_seq(db)? + 1;
        Ok((tag, schema::value(db, "dedupe_key")?, next_seq, apply::counts(db)?))
    })?;
    let (seen, health) = (Arc::new(Mutex::new(seen)), Arc::<Health>::default());
    let free = metrics.free_bytes.clone();
    sweeper.search();
    let mut writer = Writer {
        sweeper,
        disk,
        space: Space::new(&options.data, options.min_free, health.clone(), free),
        removal: Removal::new(options.retention, options.dedupe_window),
        stamps,
        metrics: metrics.clone(),
        counts,
        seen: seen.clone(),
        leases: Leases::new(),
        to_dispatch,
        unpark: Vec::new(),
        unsettled: Vec::new(),
        health: health.clone(),
    };
    writer.space.look();
    writer.show();
    Ok((writer, Facts { tag, dedupe_key, next_seq, seen, health }))
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
    removed: Option<Removed>,
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
        self.unpark.extend(batch.unpark.drain(..).map(|Unpark { routes }| (routes, i64::MIN)));
        self.space.look();
        self.reopen(last);
        if self.health.problem().is_some() {
            refuse(batch.appends.drain(..));
        }
        self.commit(batch);
        // Those who wait have their answer: a checkpoint takes a while.
        if let Err(error) = self.disk.checkpoint() {
            self.failed(&error.into());
        }
        self.lease_from_queue();
        self.show();
        !last
    }

    /// When to go on although nothing new comes in.
    fn look_again(&mut self) -> Instant {
        let space = self.space.next_look();
        if let Some(again_at) = self.disk.again_at() {
            return space.min(again_at);
        }
        let now = self.stamps.now();
        if !self.unpark.is_empty() || self.leases.wanted(now) > 0 {
            return Instant::now();
        }
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
        match self.disk.reopen(apply::counts) {
            Ok(counts) => {
                self.counts = counts;
                self.leases.behind();
                self.health.failing(false);
                self.sweeper.search();
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &SchemaError) {
        self.disk.fail(error);
        self.health.failing(true);
        self.metrics.commit_failures.inc();
    }

    fn commit(&mut self, mut batch: Batch) {
        let Some(db) = self.disk.db() else { return self.put_off(batch) };
        if batch.is_empty() && self.unpark.is_empty() && !self.removal.is_due() {
            return;
        }
        let mut done = Done::default();
        match self.apply(db, &batch, &mut done) {
            Ok(()) => self.committed(batch, done),
            Err(error) => {
                self.seen().take_back(done.remembered);
                if schema::is_failed_sync(&error) {
                    batch.appends.iter_mut().for_each(Append::leave_body);
                }
                self.failed(&error.into());
                self.put_off(batch);
            }
        }
    }

    /// The disk fails: whoever waits is told so, but settlements are for a later commit.
    fn put_off(&mut self, mut batch: Batch) {
        refuse(batch.appends.drain(..));
        for again in batch.again.drain(..) {
            let _gone = again.reply.send(Err(AppendError::Unavailable));
        }
        self.unsettled = batch.settles;
    }

    fn apply(&self, db: &Connection, batch: &Batch, done: &mut Done) -> rusqlite::Result<()> {
        let group = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
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
        if self.removal.is_due() {
            done.removed = Some(self.removal.step(&group, wall_ms(), &mut done.moved)?);
        }
        apply::count(&group, &done.moved)?;
        group.commit()
    }

    fn append(
        &self,
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
        if let Some(removed) = done.removed {
            self.removed(removed);
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

    /// Old events are gone, and so are their bodies' files soon.
    fn removed(&mut self, removed: Removed) {
        self.removal.stepped(&removed);
        self.metrics.events_removed.inc_by(removed.events);
        self.metrics.ledger_bytes.set(i64::try_from(removed.used).unwrap_or(i64::MAX));
        self.sweeper.remove(removed.files);
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
            file.leave();
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
        let Some(db) = self.disk.db().filter(|_| wanted > 0) else { return };
        let found = match queue::due(db, now, self.leases.count() + wanted) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "the ledger's queue cannot be read");
                self.leases.read(true, Some(now + millis(READ_AGAIN)));
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

/// Tells senders that their events are not stored.
fn refuse(appends: impl Iterator<Item = Append>) {
    for append in appends {
        tell(append.reply, Err(AppendError::Unavailable));
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
