//! From the ledger to the handlers and back: takes leases, makes attempts, settles.
//!
//! Guest code runs on threads of its own, so that it never holds one that owns a socket. Each
//! thread turns from one attempt to the next whenever a guest waits, or has run for a tick.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::Receiver;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::{millis, wall_ms};
use crate::delivery::{self, Next, Outcome};
use crate::effects::Effects;
use crate::event::{Event, EventId};
use crate::handler::{Call, Called, Handler, Job};
use crate::ledger::{Attempt, Lease, Ledger, ReadError, Settlement};
use crate::outbox::{self, Outbox, RERUNS};
use crate::route::Route;
use crate::snapshot::{Current, Snapshot};

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
    /// Attempts that a sender waits for.
    pub jobs: Receiver<Job>,
}

/// The threads that make attempts.
pub struct Running {
    leases: Receiver<Lease>,
    stop_by: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<usize>>,
}

impl Dispatch {
    /// Starts this many threads.
    ///
    /// # Errors
    /// The system gives no thread, or no clock for it.
    pub fn start(self, threads: usize) -> io::Result<Running> {
        let dispatch = Arc::new(self);
        let leases = dispatch.ledger().leases();
        let stop_by = watch::Sender::new(None);
        let start = |n| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let (dispatch, leases, stop) = (dispatch.clone(), leases.clone(), stop_by.subscribe());
            thread::Builder::new()
                .name(format!("handlers-{n}"))
                .spawn(move || runtime.block_on(dispatch.work(&leases, stop)))
        };
        let threads = (0..threads).map(start).collect::<io::Result<_>>()?;
        Ok(Running { leases, stop_by, threads })
    }

    /// One thread's work, until it is stopped; returns how many attempts it cut off.
    async fn work(
        &self,
        leases: &Receiver<Lease>,
        mut stop: watch::Receiver<Option<Instant>>,
    ) -> usize {
        let mut running: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                Some(()) = running.next() => {}
                Ok(job) = self.jobs.recv() => running.push(job),
                Ok(lease) = leases.recv(), if running.len() < ATTEMPTS_A_THREAD => {
                    running.push(Box::pin(self.deliver(lease)));
                }
            }
        }
        let deadline = stop.borrow().unwrap_or_else(Instant::now);
        let drained = timeout_at(deadline, async { while running.next().await.is_some() {} });
        if drained.await.is_ok() { 0 } else { running.len() }
    }

    /// Makes an attempt, and makes it again while what it reads of its state is changed by others.
    async fn deliver(&self, mut lease: Lease) {
        let mut reruns = 0;
        loop {
            let snapshot = self.current.load_full();
            let (route, handler) = match target(&snapshot, &lease.route) {
                Ok(found) => found,
                Err(cause) => return self.park(lease, cause, &snapshot),
            };
            let (id, event) = match self.read(&lease).await {
                Ok(found) => found,
                Err(cause) => return self.park(lease, cause, &snapshot),
            };
            let _turn = handler.turn(reruns > 0).await;
            let (mut attempt, effects) = self.attempt(&lease, (id, &event), route, handler).await;
            let routes = &self.current.load().routes;
            let staged = self.outbox.stage((id, &event), effects, &attempt.outcome, routes).await;
            let mut next = self.next(&lease, route, &attempt.outcome);
            let name = lease.route.clone();
            let told = (lease.attempt, &*name);
            if let Some(staged) = staged {
                let settlement = Settlement::Attempted(attempt.clone(), next);
                match self.ledger().settle_with(lease, settlement, staged).await {
                    Ok(()) => return self.tell(id, told, &attempt, &next),
                    Err(again) => lease = again,
                }
                self.outbox.metrics.outdated.with_label_values(&[told.1]).inc();
                if reruns < RERUNS {
                    reruns += 1;
                    continue;
                }
                attempt.outcome = outbox::outdated();
                next = self.next(&lease, route, &attempt.outcome);
            }
            self.tell(id, told, &attempt, &next);
            return self.ledger().settle(lease, Settlement::Attempted(attempt, next));
        }
    }

    fn park(&self, lease: Lease, cause: String, snapshot: &Snapshot) {
        let route = lease.route.clone();
        tracing::warn!(%route, cause, "a delivery is parked");
        self.ledger().settle(lease, Settlement::Parked(cause));
        // A reload that came in between has freed the parked ones before this one was among them.
        if target(snapshot, &route).is_err() && target(&self.current.load(), &route).is_ok() {
            self.ledger().unpark(vec![route]);
        }
    }

    async fn attempt(
        &self,
        lease: &Lease,
        (id, event): (EventId, &Event),
        route: &Route,
        handler: &Handler,
    ) -> (Attempt, Effects) {
        let id = id.to_string();
        let (route_name, attempt) = (&route.name, lease.attempt);
        let call = Call { id: &id, event, route: route_name, attempt, waits: false };
        let started_at = wall_ms();
        let began = Instant::now();
        let state = self.ledger().state();
        let Called { outcome, logs, effects, .. } = handler.call(call, state, route.timeout).await;
        let (duration, version) = (began.elapsed(), handler.version().clone());
        (Attempt { started_at, duration, outcome, version, logs }, effects)
    }

    fn next(&self, lease: &Lease, route: &Route, outcome: &Outcome) -> Next {
        let jitter = delivery::jitter(lease.delivery(), lease.attempt);
        delivery::next(&route.retry, lease.attempt, outcome, self.ledger().now(), jitter)
    }

    fn ledger(&self) -> &Ledger {
        &self.outbox.ledger
    }

    /// The lease's event. A disk that gives nothing now is asked again; what it gives damaged
    /// stays so.
    async fn read(&self, lease: &Lease) -> Result<(EventId, Arc<Event>), String> {
        loop {
            match self.ledger().event(lease) {
                Ok(found) => return Ok(found),
                Err(problem @ ReadError::Sqlite(_)) => {
                    tracing::error!(route = %lease.route, %problem, "an event is read again");
                    sleep(READ_AGAIN).await;
                }
                Err(problem) => return Err(problem.to_string()),
            }
        }
    }

    fn tell(&self, id: EventId, (n, route): (u32, &str), attempt: &Attempt, next: &Next) {
        let Attempt { outcome, duration, .. } = attempt;
        let metrics = &self.outbox.metrics;
        metrics.attempts.with_label_values(&[route, outcome.name()]).inc();
        metrics.attempt_duration.with_label_values(&[route]).observe(duration.as_secs_f64());
        metrics.settled.with_label_values(&[route, next.state().name()]).inc();
        let (attempt, took, outcome_name) = (n, millis(*duration), outcome.name());
        let error = outcome.error();
        let error = error.as_deref();
        match next {
            Next::Done => {
                tracing::debug!(
                    event = %id,
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
                    event = %id,
                    route,
                    attempt,
                    outcome = outcome_name,
                    error,
                    due,
                    "failed, will be tried again"
                );
            }
            Next::Dead => {
                tracing::warn!(
                    event = %id,
                    route,
                    attempt,
                    outcome = outcome_name,
                    error,
                    "dead letter"
                );
            }
        }
    }
}

/// The route and handler as the snapshot has them, or why there are none.
fn target<'a>(snapshot: &'a Snapshot, name: &str) -> Result<(&'a Route, &'a Handler), String> {
    let route = snapshot.routes.get(name).ok_or("router.toml has no such route any more")?;
    match snapshot.handlers.get(&route.handler) {
        Some(Ok(handler)) => Ok((route, handler)),
        Some(Err(error)) => Err(format!("handler {} cannot be loaded: {error}", route.handler)),
        None => Err(format!("handler {} is missing", route.handler)),
    }
}

impl Running {
    /// Takes no more leases, and waits for the attempts under way, but no longer than `within`.
    /// Returns how many were cut off: they are made again after the next start.
    pub fn stop(self, within: Duration) -> usize {
        self.stop_by.send_replace(Some(Instant::now() + within));
        self.leases.close();
        let cut = self.threads.into_iter().map(|thread| thread.join().unwrap_or(0));
        cut.sum()
    }
}
