//! From the ledger to the handlers and back: takes leases, makes attempts, settles.
//!
//! Guest code runs on threads of its own, so that it never holds one that owns a socket. Each
//! thread turns from one attempt to the next whenever a guest waits, or has run for a tick.

mod lanes;
mod turns;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::Receiver;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::field::display;

use crate::breaker::{self, Breakers};
use crate::clock::{millis, wall_ms};
use crate::delivery::{self, Next, Outcome};
use crate::effects::Effects;
use crate::event::{Event, EventId};
use crate::handler::{Call, Called, Job};
use crate::ledger::{Attempt, Lease, Ledger, ReadError};
use crate::outbox::{self, Outbox, RERUNS};
use crate::route::Route;
use crate::scheduling;
use crate::snapshot::Current;
use crate::target::Target;
use lanes::{Entry, Moved, Quick};
use turns::Turns;

/// Attempts that one thread has under way at once.
pub const ATTEMPTS_A_THREAD: usize = 32;

/// How long to wait before a disk that failed is asked for an event again.
const READ_AGAIN: Duration = Duration::from_millis(100);

/// What an attempt needs.
pub struct Dispatch {
    /// Where leases come from, and where settlements and effects go.
    pub outbox: Outbox,
    /// Routes and handlers.
    pub current: Current,
    /// How the routes are doing.
    pub breakers: Breakers,
    /// Attempts that a sender waits for.
    pub jobs: Receiver<Job>,
}

/// The threads that make attempts.
pub struct Running {
    turns: Arc<Turns>,
    stop_by: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<usize>>,
}

impl Dispatch {
    /// Starts this many threads for each lane.
    ///
    /// # Errors
    /// The system gives no thread, or no clock for it.
    pub fn start(self, threads: usize) -> io::Result<Running> {
        let dispatch = Arc::new(self);
        let turns = Turns::new(dispatch.ledger().leases(), threads * ATTEMPTS_A_THREAD);
        let turns = Arc::new(turns);
        let stop_by = watch::Sender::new(None);
        let (entry, moved) = lanes::new();
        let mut started = Vec::new();
        for n in 0..threads {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let runtime = Arc::new(runtime);
            let (clock, long) = (runtime.clone(), moved.clone());
            started.push(thread::Builder::new().name(format!("long-{n}")).spawn(move || {
                scheduling::be_patient();
                // The timers of what it runs are the other thread's.
                clock.handle().block_on(long.compute())
            })?);
            let work = dispatch.clone().work(
                turns.clone(),
                entry.clone(),
                moved.clone(),
                stop_by.subscribe(),
            );
            let quick = thread::Builder::new().name(format!("handlers-{n}"));
            started.push(quick.spawn(move || runtime.block_on(work))?);
        }
        Ok(Running { turns, stop_by, threads: started })
    }

    /// One thread's work, until it is stopped; returns how many attempts it cut off. Attempts that
    /// senders wait for have places of their own.
    async fn work(
        self: Arc<Self>,
        turns: Arc<Turns>,
        entry: Entry,
        moved: Moved,
        mut stop: watch::Receiver<Option<Instant>>,
    ) -> usize {
        let mut others: FuturesUnordered<Quick> = FuturesUnordered::new();
        let mut running: FuturesUnordered<Quick> = FuturesUnordered::new();
        loop {
            // In no order, since guests that only compute always have something ready.
            tokio::select! {
                _ = stop.changed() => break,
                Some(()) = running.next() => {}
                Some(()) = others.next() => {}
                Some(back) = moved.back() => others.push(back),
                Ok(job) = self.jobs.recv() => others.push(entry.start(job)),
                lease = turns.next(|route| self.most(route), || self.next_trial()), if running.len() < ATTEMPTS_A_THREAD => {
                    running.push(entry.start(Box::pin(self.clone().delivered(lease, turns.clone()))));
                }
            }
        }
        drop(entry);
        let deadline = stop.borrow().unwrap_or_else(Instant::now);
        let drained = timeout_at(deadline, async {
            loop {
                tokio::select! {
                    Some(()) = running.next() => {}
                    Some(()) = others.next() => {}
                    Some(back) = moved.back() => others.push(back),
                    else => break,
                }
            }
        });
        if drained.await.is_ok() { 0 } else { running.len() + others.len() + moved.close() }
    }

    /// How many attempts of a route may be under way at once.
    fn most(&self, route: &str) -> usize {
        let snapshot = self.current.load();
        let most = snapshot.routes.get(route).and_then(|route| route.concurrency);
        let most = most.map_or(usize::MAX, NonZeroUsize::get);
        most.min(self.breakers.state(route).most(self.ledger().now()))
    }

    /// How long it is until a route that failed is tried again.
    fn next_trial(&self) -> Option<Duration> {
        self.breakers.next_trial(self.ledger().now())
    }

    /// Takes note of how an attempt ended, for what comes after it on its route.
    fn note(&self, route: &Route, outcome: &Outcome) {
        let failed = outcome.is_failure();
        let states = self.breakers.note(&route.name, &route.breaker, failed, self.ledger().now());
        let is_open = |state| matches!(state, breaker::State::Open { .. });
        let [was_open, is_open] = states.map(is_open);
        if was_open == is_open {
            return;
        }
        let route = &*route.name;
        self.outbox.metrics.breaker_open.with_label_values(&[route]).set(is_open.into());
        if is_open {
            let cause = outcome.error();
            tracing::warn!(route, cause, "it fails steadily: its deliveries wait");
        } else {
            tracing::info!(route, "it works again: its deliveries go on");
        }
    }

    /// Settles a lease, which ends its route's turn.
    async fn delivered(self: Arc<Self>, lease: Lease, turns: Arc<Turns>) {
        let route = lease.route.clone();
        self.deliver(lease).await;
        turns.end(&route);
    }

    /// Makes an attempt, and makes it again while what it reads of its state is changed by others.
    async fn deliver(&self, mut lease: Lease) {
        let mut reruns = 0;
        loop {
            let snapshot = self.current.load_full();
            let Ok((route, target)) = snapshot.target(&lease.route) else {
                return self.ledger().give_back(lease);
            };
            self.ledger().room_to_settle().await;
            let _turn = target.turn(reruns > 0).await;
            // It may have waited long for its turn.
            if self.ledger().held(&lease.route).is_some() {
                return self.ledger().give_back(lease);
            }
            let (id, event, before) = match self.read(&lease).await {
                Ok(found) => found,
                Err(problem) => return self.unreadable(lease, &problem, route, target),
            };
            let (mut attempt, effects) = self.attempt(&lease, (id, &event), route, target).await;
            self.note(route, &attempt.outcome);
            let routes = &snapshot.routes;
            let staged = self.outbox.stage((id, &event), effects, &attempt.outcome, routes).await;
            let mut next = self.next(&lease, before, route, &attempt.outcome);
            let name = lease.route.clone();
            let told = (lease.attempt(), &*name);
            if let Some(staged) = staged {
                match self.ledger().settle_with(lease, attempt.clone(), next, staged).await {
                    Ok(()) => return self.tell(Some(id), told, &attempt, &next),
                    Err(again) => lease = again,
                }
                self.outbox.metrics.outdated.with_label_values(&[told.1]).inc();
                if reruns < RERUNS {
                    reruns += 1;
                    continue;
                }
                attempt.outcome = outbox::outdated();
                next = self.next(&lease, before, route, &attempt.outcome);
            }
            self.tell(Some(id), told, &attempt, &next);
            return self.ledger().settle(lease, attempt, next);
        }
    }

    /// An event that is damaged on the disk fails its attempt.
    fn unreadable(&self, lease: Lease, problem: &ReadError, route: &Route, target: Target<'_>) {
        let number = lease.event_number();
        tracing::error!(number, route = %lease.route, %problem, "an event is damaged");
        let (started_at, version) = (wall_ms(), target.version());
        let outcome = Outcome::Trap(problem.to_string());
        let next = self.next(&lease, 0, route, &outcome);
        let attempt =
            Attempt { started_at, duration: Duration::ZERO, outcome, version, logs: None };
        self.tell(None, (lease.attempt(), &lease.route), &attempt, &next);
        self.ledger().settle(lease, attempt, next);
    }

    async fn attempt(
        &self,
        lease: &Lease,
        (id, event): (EventId, &Event),
        route: &Route,
        target: Target<'_>,
    ) -> (Attempt, Effects) {
        let id = id.to_string();
        let (route_name, attempt) = (&route.name, lease.attempt());
        let call = Call { id: &id, event, route: route_name, attempt, waits: false, notes: None };
        let started_at = wall_ms();
        let began = Instant::now();
        let state = self.ledger().state();
        let Called { outcome, logs, effects, .. } = target.call(call, state, route.timeout).await;
        let (duration, version) = (began.elapsed(), target.version());
        (Attempt { started_at, duration, outcome, version, logs }, effects)
    }

    /// What follows from an attempt. Those `before` a replay do not count.
    fn next(&self, lease: &Lease, before: u32, route: &Route, outcome: &Outcome) -> Next {
        let jitter = delivery::jitter(lease.delivery(), lease.attempt());
        let n = lease.attempt().saturating_sub(before);
        delivery::next(&route.retry, n, outcome, self.ledger().now(), jitter)
    }

    fn ledger(&self) -> &Ledger {
        &self.outbox.ledger
    }

    /// The lease's event. A disk that gives nothing now is asked again; what it gives damaged
    /// stays so.
    async fn read(&self, lease: &Lease) -> Result<(EventId, Arc<Event>, u32), ReadError> {
        let mut told = false;
        loop {
            match self.ledger().event(lease) {
                Err(problem) if !problem.is_damage() => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(route = %lease.route, %problem, "an event is read again");
                    }
                    sleep(READ_AGAIN).await;
                }
                read => return read,
            }
        }
    }

    /// Tells the log and the metrics what became of an attempt. A damaged event has no id.
    fn tell(&self, id: Option<EventId>, (n, route): (u32, &str), attempt: &Attempt, next: &Next) {
        self.outbox.count(route, attempt, next);
        let Attempt { outcome, duration, .. } = attempt;
        let (attempt, took, outcome_name) = (n, millis(*duration), outcome.name());
        let error = outcome.error();
        let (error, event) = (error.as_deref(), id.map(display));
        match next {
            Next::Done => {
                tracing::debug!(
                    event,
                    route,
                    attempt,
                    took_ms = took,
                    outcome = outcome_name,
                    "done"
                );
            }
            Next::RetryAt(at) => {
                let due = crate::clock::rfc3339(*at);
                tracing::info!(
                    event,
                    route,
                    attempt,
                    outcome = outcome_name,
                    error,
                    due,
                    "failed, will be tried again"
                );
            }
            Next::Dead => {
                tracing::warn!(event, route, attempt, outcome = outcome_name, error, "dead letter");
            }
        }
    }
}

impl Running {
    /// Takes no more leases, and waits for the attempts under way, but no longer than `within`.
    /// Returns how many were cut off: they are made again after the next start.
    pub fn stop(self, within: Duration) -> usize {
        self.stop_by.send_replace(Some(Instant::now() + within));
        self.turns.close();
        let cut = self.threads.into_iter().map(|thread| thread.join().unwrap_or(0));
        cut.sum()
    }
}
