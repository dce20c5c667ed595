//! The ledger: the durable store of events and their deliveries, on SQLite.
//!
//! One thread writes, in groups: whoever stores an event or settles a delivery waits for the
//! commit that it shares with the others. Readers have connections of their own.

mod apply;
pub mod backup;
mod body;
mod cause;
mod dedupe;
mod descent;
mod disk;
mod effects;
mod entries;
mod folder;
mod group;
mod handover;
mod health;
mod hold;
mod inbox;
mod kept;
mod leases;
mod letters;
mod matching;
mod order;
mod outside;
mod queue;
mod read;
mod replay;
mod retain;
mod routes;
mod schema;
mod search;
mod seen;
mod sought;
mod space;
mod spool;
mod state;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod told;
mod work;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_channel::Receiver;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::clock::Stamps;
use crate::delivery::Next;
use crate::effects::Committed;
use crate::event::{Event, EventId};
use crate::metrics::Metrics;
use body::Packed;
pub use cause::same as same_cause;
use dedupe::SamenessKey;
pub use dedupe::{Order, Sameness};
pub use descent::Descent;
use folder::Folder;
use health::Health;
pub use health::Problem;
use inbox::Inbox;
use kept::Kept;
pub use letters::{Group, Letters};
pub use matching::Match;
pub use outside::OutsideError;
pub use read::{AttemptRow, DeliveryRow, EventRow, ReadError, Reader, RouteRow, SyncDelivery};
pub use replay::{LastReplay, Replayed};
pub use retain::Retention;
pub use routes::Rule;
use routes::{Holds, Unsettled};
pub use schema::SchemaError;
pub use search::{Filter, Page};
use seen::Seen;
use spool::Spool;
use sweep::Sweeper;
use work::{Again, Effects, Pause, Ruling, Settle};
pub use work::{Append, AppendError, Attempt, Lease, Receipt, Settled, Staged, Target};

/// What the ledger is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that holds it; made with mode 0700 if it is missing.
    pub data: PathBuf,
    /// How long a repeated id is recognised.
    pub dedupe_window: Duration,
    /// Bytes of memory for remembered ids.
    pub dedupe_memory: u64,
    /// Bytes that stay free on the disk: with less, events are refused, and only settled.
    pub min_free: u64,
    /// How long events are kept, and how much of them.
    pub retention: Retention,
}

/// Why the ledger cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another hookyard uses the ledger in {}", .0.display())]
    InUse(PathBuf),
    /// The folder cannot be made or written.
    #[error("cannot use the data folder {}: {error}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file in it cannot be used.
    #[error("cannot open the ledger {}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: SchemaError,
    },
}

/// A handle to the open ledger.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Arc<Inbox>,
    kept: Kept,
    reader: Arc<Reader>,
    spool: Arc<Spool>,
    stamps: Stamps,
    same: SamenessKey,
    seen: Arc<Mutex<Seen>>,
    tag: u32,
    next_seq: AtomicU64,
    leases: Receiver<Lease>,
    holds: Arc<ArcSwap<Holds>>,
    unsettled: Unsettled,
    health: Arc<Health>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    /// Opens the ledger of `options.data`, makes it if there is none, and starts its writer.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: &Options, metrics: &Metrics) -> Result<Self, OpenError> {
        Self::open_at(options, metrics, Stamps::start())
    }

    fn open_at(options: &Options, metrics: &Metrics, stamps: Stamps) -> Result<Self, OpenError> {
        let Folder { file, bodies, lock } = folder::make(&options.data)?;
        let in_folder = |error| OpenError::Folder { path: options.data.clone(), error };
        let spool = Arc::new(Spool::new(bodies));
        let inbox = Arc::new(Inbox::default());
        let (to_dispatch, leases) = async_channel::unbounded();
        let sweeper = Sweeper::start(&file, spool.clone()).map_err(in_folder)?;
        let in_file = |error| OpenError::File { path: file.clone(), error };
        let (writer, facts) =
            writer::open(&file, options, stamps, metrics, (to_dispatch, leases.clone()), sweeper)
                .map_err(in_file)?;
        let view = (facts.tag, facts.out, facts.holds.clone());
        let reader = Arc::new(Reader::new(file.clone(), spool.clone(), view));
        let thread = writer.start(inbox.clone(), lock).map_err(in_folder)?;
        let shared = Shared {
            inbox,
            kept: Kept::default(),
            reader,
            spool,
            stamps,
            same: SamenessKey::new(facts.dedupe_key),
            seen: facts.seen,
            tag: facts.tag,
            next_seq: AtomicU64::new(facts.next_seq),
            leases,
            holds: facts.holds,
            unsettled: facts.unsettled,
            health: facts.health,
            writer: Mutex::new(Some(thread)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What makes an event of `source` the same as another: the sender's `id`, and the body
    /// where the id alone does not prove it.
    pub fn sameness(&self, source: &str, id: Option<&str>, body: Option<&[u8]>) -> Sameness {
        self.shared.same.of(source, id, body)
    }

    /// What orders an event on a route, by the value that its `order_by` leads to.
    pub fn order(&self, value: &str) -> Order {
        self.shared.same.order(value)
    }

    /// The id of an event that is about to be stored.
    pub fn new_id(&self, event: &Event) -> EventId {
        let seq = self.shared.next_seq.fetch_add(1, Ordering::Relaxed);
        EventId::new(event.received_at(), self.shared.tag, seq)
    }

    /// Stores an event with one delivery for each of `targets`; it is durable when this returns.
    ///
    /// # Errors
    /// Nothing was stored; see [`AppendError`].
    pub async fn append(
        &self,
        event: Event,
        same: Option<Sameness>,
        targets: Vec<Target>,
    ) -> Result<Receipt, AppendError> {
        self.store(self.new_id(&event), Arc::new(event), same, None, targets).await
    }

    /// Stores an event under the id that it was given, with a delivery that is settled already,
    /// and one for each of `targets`.
    ///
    /// # Errors
    /// Nothing was stored; see [`AppendError`].
    pub async fn append_settled(
        &self,
        id: EventId,
        event: Arc<Event>,
        same: Option<Sameness>,
        settled: Settled,
        targets: Vec<Target>,
    ) -> Result<Receipt, AppendError> {
        self.store(id, event, same, Some(Box::new(settled)), targets).await
    }

    async fn store(
        &self,
        id: EventId,
        event: Arc<Event>,
        same: Option<Sameness>,
        settled: Option<Box<Settled>>,
        targets: Vec<Target>,
    ) -> Result<Receipt, AppendError> {
        if self.problem().is_some() {
            return Err(AppendError::Unavailable);
        }
        let body = self.pack(&event).await?;
        let (reply, durable) = oneshot::channel();
        let bare = Append::bare(id, event, body);
        let append = Append { same, settled, targets, reply: Some(reply), ..bare };
        self.shared.inbox.append(append)?;
        durable.await.map_or(Err(AppendError::Unavailable), |answer| answer.receipt)
    }

    /// Whether none of these routes would refuse the event, as far as is known before it is its
    /// turn.
    pub fn has_room(&self, event: &Event, targets: &[Target]) -> bool {
        let fits = |target: &Target| {
            target.has_room(self.shared.unsettled.of(&target.route), work::size(event))
        };
        targets.iter().all(|target| !target.refuses() || fits(target))
    }

    /// The first event of that sameness, if it came in within the window before `now`.
    pub fn first(&self, same: Sameness, now: u64) -> Option<EventId> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).first(same, now)
    }

    /// Records one more attempt of a delivery that failed on a sync route; it is durable when
    /// this returns.
    ///
    /// # Errors
    /// Nothing was recorded; see [`AppendError`].
    pub async fn attempt_again(
        &self,
        before: &SyncDelivery,
        settled: Settled,
    ) -> Result<(), AppendError> {
        let (reply, durable) = oneshot::channel();
        let again = Again { key: before.key, n: before.attempts + 1, settled, reply };
        self.shared.inbox.again(again);
        durable.await.unwrap_or(Err(AppendError::Unavailable))
    }

    /// Deliveries as they become due; whoever takes one settles it.
    pub fn leases(&self) -> Receiver<Lease> {
        self.shared.leases.clone()
    }

    /// The event of a lease, from memory or from the disk, and the attempts that were made before
    /// the delivery's last replay.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn event(&self, lease: &Lease) -> Result<(EventId, Arc<Event>, u32), ReadError> {
        match &lease.event {
            Some((id, event)) => Ok((*id, event.clone(), 0)),
            None => self.shared.reader.event(lease.row.delivery),
        }
    }

    /// Waits until an attempt may begin: not while settlements that wait for the disk hold much
    /// memory.
    pub async fn room_to_settle(&self) {
        self.shared.kept.room().await;
    }

    /// Records how an attempt of a leased delivery ended; it is durable a few milliseconds later.
    pub fn settle(&self, mut lease: Lease, attempt: Attempt, next: Next) {
        // The writer does not need it, and would be the one to free it.
        lease.event = None;
        let held = self.shared.kept.share(attempt.bytes());
        self.shared.inbox.settle(Settle { lease, attempt, next, effects: None, _held: Some(held) });
    }

    /// Records how an attempt of a leased delivery ended, with its effects; both are durable when
    /// this returns.
    ///
    /// # Errors
    /// What the attempt read has changed. Nothing was recorded, and here is the lease again.
    pub async fn settle_with(
        &self,
        lease: Lease,
        attempt: Attempt,
        next: Next,
        staged: Staged,
    ) -> Result<(), Lease> {
        let (reply, settled) = oneshot::channel();
        let effects = Some(Box::new(Effects { staged, reply }));
        // Whoever waits for it in its place makes no other attempt meanwhile.
        self.shared.inbox.settle(Settle { lease, attempt, next, effects, _held: None });
        // A ledger that was closed keeps no promise, and needs no other attempt.
        settled.await.unwrap_or(Ok(()))
    }

    /// An event that an attempt emitted, with one delivery for each of `targets`: ready to be
    /// stored with what settles the attempt's own.
    ///
    /// # Errors
    /// The disk does not take its body.
    pub async fn emitted(&self, event: Event, targets: Vec<Target>) -> Result<Append, AppendError> {
        let (id, body) = (self.new_id(&event), self.pack(&event).await?);
        Ok(Append { targets, ..Append::bare(id, Arc::new(event), body) })
    }

    /// The state of all handlers, as it was last committed.
    pub fn state(&self) -> Arc<dyn Committed> {
        self.shared.reader.clone()
    }

    /// Gives a lease back of which no attempt was made.
    pub fn give_back(&self, lease: Lease) {
        self.shared.inbox.give_back(lease);
    }

    /// Tells how the deliveries of routes are to be treated; when this returns, they are. Those of a
    /// route without a rule are parked.
    pub async fn rule(&self, rules: Vec<Rule>) {
        let (reply, in_force) = oneshot::channel();
        self.shared.inbox.rule(Ruling { rules, reply });
        // A writer that has ended treats nothing any more.
        let _ended = in_force.await;
    }

    /// Why the deliveries of a route are parked, if they are.
    pub fn held(&self, route: &str) -> Option<Arc<str>> {
        self.shared.holds.load().get(route).cloned()
    }

    /// Pauses or resumes a route; when this returns, it is durable, and no attempt begins any more
    /// of a paused one.
    ///
    /// # Errors
    /// Nothing was changed; see [`AppendError`].
    pub async fn pause(&self, route: Arc<str>, paused: bool) -> Result<(), AppendError> {
        let (reply, durable) = oneshot::channel();
        self.shared.inbox.pause(Pause { route, paused, reply });
        durable.await.unwrap_or(Err(AppendError::Unavailable))
    }

    /// The stamp of this moment: see [`Stamps`].
    pub fn now(&self) -> u64 {
        self.shared.stamps.now()
    }

    /// Why events cannot be stored now, if they cannot.
    pub fn problem(&self) -> Option<Problem> {
        self.shared.health.problem()
    }

    /// Reads what is committed.
    pub fn reader(&self) -> &Reader {
        &self.shared.reader
    }

    /// Commits what waits and ends the writer. Events that come later are refused. The last handle
    /// does so when it is dropped.
    pub fn close(&self) {
        self.shared.close();
    }

    async fn pack(&self, event: &Event) -> Result<Packed, AppendError> {
        if event.body().len() <= body::ROW_BYTES {
            return Ok(Packed::in_row(event.body()));
        }
        let (spool, large) = (self.shared.spool.clone(), event.body().clone());
        let written = tokio::task::spawn_blocking(move || spool.write(&large)).await;
        match written {
            Ok(Ok(file)) => Ok(Packed::Spooled(file)),
            Ok(Err(error)) => {
                self.shared.spool.tell(&error);
                Err(AppendError::Unavailable)
            }
            Err(_) => Err(AppendError::Unavailable),
        }
    }
}

impl Shared {
    fn close(&self) {
        self.inbox.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the ledger's writer broke");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}
