//! Sync routes: the sender waits for the handler, and the event is stored with what came of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::clock::wall_ms;
use crate::delivery::{self, Outcome, Reply, State};
use crate::effects::{Committed, Effects};
use crate::event::{Event, EventId};
use crate::handler::{Call, Called, Handler, Slot, Slots};
use crate::ledger::{AppendError, Attempt, Sameness, Settled, Staged, SyncDelivery, Target};
use crate::outbox::{self, Outbox, RERUNS};
use crate::route::Route;
use crate::snapshot::Snapshot;

/// How a request on a sync route ended.
#[derive(Debug, Clone)]
pub enum Ended {
    /// Handled; with the handler's answer, if it gave one.
    Done(EventId, Option<Reply>),
    /// The handler wants to be asked again, after this time if it says so.
    Retry(Option<Duration>),
    /// The handler wants no such event.
    Rejected,
    /// The handler broke, ran into a limit, or gave an answer that is none.
    Broken,
    /// The handler took too long.
    TimedOut,
    /// Another route that takes the event has too much to do already: nothing was stored.
    Full,
    /// It could not be tried or stored: nothing was.
    Unavailable,
}

impl From<AppendError> for Ended {
    fn from(refused: AppendError) -> Self {
        match refused {
            AppendError::Full => Self::Full,
            AppendError::Busy | AppendError::Unavailable | AppendError::Outdated => {
                Self::Unavailable
            }
        }
    }
}

/// The attempts that senders wait for.
#[derive(Clone)]
pub struct Attempts {
    slots: Slots,
    running: Arc<Mutex<HashMap<Sameness, watch::Receiver<Option<Ended>>>>>,
    /// Shared: each request takes clones of this along, and it has every metric.
    outbox: Arc<Outbox>,
}

/// An event on its way to a handler that its sender waits for.
pub struct Work {
    /// The event.
    pub event: Event,
    /// What makes another the same.
    pub same: Option<Sameness>,
    /// The route.
    pub route: Arc<Route>,
    /// Its handler.
    pub handler: Arc<Handler>,
    /// The other routes that take the event; nobody waits for them.
    pub others: Vec<Target>,
    /// What all of that is of.
    pub snapshot: Arc<Snapshot>,
}

/// What is known of the event from before.
enum Before {
    Nothing,
    /// It was handled.
    Done(Option<Reply>),
    /// An attempt failed: this is another one of the same event.
    Failed(EventId, SyncDelivery),
}

impl Attempts {
    /// In these places.
    pub fn new(slots: Slots, outbox: Outbox) -> Self {
        Self { slots, running: Arc::default(), outbox: Arc::new(outbox) }
    }

    /// Makes the attempt, or waits for one of the same event that is under way. True beside the
    /// end says that the event was known.
    pub async fn make(&self, work: Work) -> (Ended, bool) {
        let waiting = work.same.and_then(|same| self.running().get(&same).cloned());
        if let Some(other) = waiting {
            return (wait(other).await, true);
        }
        let room = self.outbox.ledger.problem().is_none().then(|| self.slots.take()).flatten();
        let Some(slot) = room else { return (Ended::Unavailable, false) };
        let (tell, told) = watch::channel(None);
        if let Some(same) = work.same {
            self.running().insert(same, told.clone());
        }
        let attempts = self.clone();
        let made = tokio::spawn(async move {
            let same = work.same;
            let (ended, known) = attempts.run(slot, work).await;
            same.map(|same| attempts.running().remove(&same));
            tell.send_replace(Some(ended.clone()));
            (ended, known)
        });
        made.await.unwrap_or((Ended::Unavailable, false))
    }

    async fn run(&self, slot: Slot, work: Work) -> (Ended, bool) {
        match self.before(&work).await {
            None => (Ended::Unavailable, false),
            // What is certain to be refused spends no attempt.
            Some(Before::Nothing) if !self.outbox.ledger.has_room(&work.event, &work.others) => {
                (Ended::Full, false)
            }
            Some(Before::Nothing) => {
                let id = self.outbox.ledger.new_id(&work.event);
                (self.stored(&slot, id, None, work).await, false)
            }
            Some(Before::Failed(id, before)) => {
                (self.stored(&slot, id, Some(&before), work).await, true)
            }
            Some(Before::Done(reply)) => {
                match self.outbox.ledger.append(work.event, work.same, work.others).await {
                    Ok(receipt) => (Ended::Done(receipt.id, reply), receipt.duplicate),
                    Err(refused) => (refused.into(), false),
                }
            }
        }
    }

    async fn before(&self, work: &Work) -> Option<Before> {
        let first =
            work.same.and_then(|same| self.outbox.ledger.first(same, work.event.received_at()));
        let Some(id) = first else { return Some(Before::Nothing) };
        let (ledger, route) = (self.outbox.ledger.clone(), work.route.name.clone());
        let read = spawn_blocking(move || ledger.reader().sync_delivery(id, &route)).await.ok()?;
        match read {
            Ok(Some(before)) if before.state == State::Dead => Some(Before::Failed(id, before)),
            Ok(before) => Some(Before::Done(before.and_then(|before| before.reply))),
            Err(problem) => {
                tracing::error!(%problem, "the ledger cannot be read");
                None
            }
        }
    }

    /// Makes the attempt, and stores what it came to. It is made again while what it reads of its
    /// handler's state is changed by others.
    async fn stored(
        &self,
        slot: &Slot,
        id: EventId,
        before: Option<&SyncDelivery>,
        work: Work,
    ) -> Ended {
        let Work { event, same, route, handler, others, snapshot } = work;
        let place = Place { id, event: Arc::new(event), same, others, before };
        let n = before.map_or(1, |before| before.attempts + 1);
        let mut reruns = 0;
        loop {
            let _turn = handler.turn(reruns > 0).await;
            let (event, state) = (&place.event, self.outbox.ledger.state());
            let call = call(event.clone(), route.clone(), handler.clone(), state, (id, n));
            let Some((mut attempt, effects)) = slot.run(call).await else {
                return Ended::Unavailable;
            };
            let routes = &snapshot.routes;
            let staged = self.outbox.stage((id, event), effects, &attempt.outcome, routes).await;
            let mut stored = self.store(&place, settled(&route, &attempt, staged)).await;
            if stored == Err(AppendError::Outdated) {
                self.outbox.metrics.outdated.with_label_values(&[&*route.name]).inc();
                if reruns < RERUNS {
                    reruns += 1;
                    continue;
                }
                attempt.outcome = outbox::outdated();
                stored = self.store(&place, settled(&route, &attempt, None)).await;
            }
            return match stored {
                Ok(()) => {
                    let next = delivery::next_sync(&attempt.outcome);
                    self.outbox.count(&route.name, &attempt, &next);
                    ended(id, attempt.outcome)
                }
                Err(refused) => refused.into(),
            };
        }
    }

    async fn store(&self, place: &Place<'_>, settled: Settled) -> Result<(), AppendError> {
        let (ledger, Place { id, event, same, others, before }) = (&self.outbox.ledger, place);
        match before {
            None => {
                let stored =
                    ledger.append_settled(*id, event.clone(), *same, settled, others.clone());
                stored.await.map(drop)
            }
            Some(before) => ledger.attempt_again(before, settled).await,
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Sameness, watch::Receiver<Option<Ended>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(mut other: watch::Receiver<Option<Ended>>) -> Ended {
    match other.wait_for(Option::is_some).await {
        Ok(ended) => ended.clone().unwrap_or(Ended::Unavailable),
        Err(_) => Ended::Unavailable,
    }
}

/// Where an event goes that a sender waits for.
struct Place<'a> {
    id: EventId,
    event: Arc<Event>,
    same: Option<Sameness>,
    others: Vec<Target>,
    /// Its delivery, if it was tried before.
    before: Option<&'a SyncDelivery>,
}

fn settled(route: &Route, attempt: &Attempt, effects: Option<Staged>) -> Settled {
    let next = delivery::next_sync(&attempt.outcome);
    Settled { route: route.name.clone(), attempt: attempt.clone(), next, effects }
}

/// Attempt `n`, on a handler thread.
async fn call(
    event: Arc<Event>,
    route: Arc<Route>,
    handler: Arc<Handler>,
    state: Arc<dyn Committed>,
    (id, n): (EventId, u32),
) -> (Attempt, Effects) {
    let id = id.to_string();
    let call =
        Call { id: &id, event: &event, route: &route.name, attempt: n, waits: true, notes: None };
    let (started_at, began) = (wall_ms(), std::time::Instant::now());
    let Called { outcome, logs, effects, .. } = handler.call(call, state, route.timeout).await;
    let outcome = match outcome {
        Outcome::Reply(reply) => match reply.check() {
            Ok(()) => Outcome::Reply(reply),
            Err(problem) => Outcome::Trap(format!("a bad reply: {problem}")),
        },
        other => other,
    };
    let (duration, version) = (began.elapsed(), handler.version().clone());
    (Attempt { started_at, duration, outcome, version, logs }, effects)
}

fn ended(id: EventId, outcome: Outcome) -> Ended {
    match outcome {
        Outcome::Ack => Ended::Done(id, None),
        Outcome::Reply(reply) => Ended::Done(id, Some(reply)),
        Outcome::Retry { after, .. } => Ended::Retry(after),
        Outcome::Reject(_) => Ended::Rejected,
        Outcome::Timeout(_) => Ended::TimedOut,
        Outcome::Trap(_) | Outcome::Limit(_) => Ended::Broken,
    }
}
