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
use crate::event::{Event, EventId};
use crate::handler::{Call, Called, Handler, Job};
use crate::ledger::{Attempt, Lease, Ledger, ReadError, Settlement};
use crate::metrics::Metrics;
use crate::route::Route;
use crate::snapshot::{Current, Snapshot};

/// Attempts that one thread has under way at once.
pub const ATTEMPTS_A_THREAD: usize = 32;

/// How long to wait before a disk that failed is asked for an event again.
const READ_AGAIN: Duration = Duration::from_millis(100);

/// What an attempt needs.
pub struct Dispatch {
    /// Where leases come from and settlements go.
    pub ledger: Ledger,
    /// Routes and handlers.
    pub current: Current,
    /// Attempts that a sender waits for.
    pub jobs: Receiver<Job>,
    /// What it counts.
    pub metrics: Metrics,
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
        let leases = dispatch.ledger.leases();
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

    async fn deliver(&self, lease: Lease) {
        let snapshot = self.current.load_full();
        let route = lease.route.clone();
        let settlement = match target(&snapshot, &route) {
            Ok((route, handler)) => self.attempt(&lease, route, handler).await,
            Err(cause) => Settlement::Parked(cause),
        };
        let parked = matches!(settlement, Settlement::Parked(_));
        if let Settlement::Parked(cause) = &settlement {
            tracing::warn!(%route, cause, "a delivery is parked");
        }
        self.ledger.settle(lease, settlement);
        // A reload that came in between has freed the parked ones before this one was among them.
        if parked
            && target(&snapshot, &route).is_err()
            && target(&self.current.load(), &route).is_ok()
        {
            self.ledger.unpark(vec![route]);
        }
    }

    async fn attempt(&self, lease: &Lease, route: &Route, handler: &Handler) -> Settlement {
        let (id, event) = match self.read(lease).await {
            Ok(found) => found,
            Err(cause) => return Settlement::Parked(cause),
        };
        let id = id.to_string();
        let call = Call {
            id: &id,
            event: &event,
            route: &route.name,
            attempt: lease.attempt,
            waits: false,
        };
        let started_at = wall_ms();
        let began = Instant::now();
        let Called { outcome, logs, .. } = handler.call(call, route.timeout).await;
        let duration = began.elapsed();
        let jitter = delivery::jitter(lease.delivery(), lease.attempt);
        let next = delivery::next(&route.retry, lease.attempt, &outcome, self.ledger.now(), jitter);
        self.tell(&id, lease, &outcome, &next, duration);
        let version = handler.version().clone();
        Settlement::Attempted(Attempt { started_at, duration, outcome, version, logs }, next)
    }

    /// The lease's event. A disk that gives nothing now is asked again; what it gives damaged
    /// stays so.
    async fn read(&self, lease: &Lease) -> Result<(EventId, Arc<Event>), String> {
        loop {
            match self.ledger.event(lease) {
                Ok(found) => return Ok(found),
                Err(problem @ ReadError::Sqlite(_)) => {
                    tracing::error!(route = %lease.route, %problem, "an event is read again");
                    sleep(READ_AGAIN).await;
                }
                Err(problem) => return Err(problem.to_string()),
            }
        }
    }

    fn tell(&self, id: &str, lease: &Lease, outcome: &Outcome, next: &Next, took: Duration) {
        let route = &*lease.route;
        self.metrics.attempts.with_label_values(&[route, outcome.name()]).inc();
        self.metrics.attempt_duration.with_label_values(&[route]).observe(took.as_secs_f64());
        self.metrics.settled.with_label_values(&[route, next.state().name()]).inc();
        let (attempt, took, outcome_name) = (lease.attempt, millis(took), outcome.name());
        let error = outcome.error();
        let error = error.as_deref();
        match next {
            Next::Done => {
                tracing::debug!(
                    event = id,
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
                    event = id,
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
                    event = id,
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
