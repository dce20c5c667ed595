//! The ledger on a real disk, as those who use it see it.

mod backlog;
mod effects;
mod failure;
mod inbox;
mod layout;
mod leasing;
mod measure;
mod model;
mod opening;
mod order;
mod parking;
mod reading;
mod replaying;
mod retention;
mod room;
mod searching;

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    Append, AppendError, Attempt, Lease, Ledger, OpenError, Options, Problem, Receipt, Retention,
    Rule, Sameness, Target,
};
use crate::clock::{Stamps, wall_ms};
use crate::delivery::{Backlog, Full, Next, Outcome};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::verify::{Request, Scheme, Verifier};

/// How long anything may take that a test waits for. Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything is kept.
const FOREVER: Retention = Retention {
    done: Duration::MAX,
    dead: Duration::MAX,
    unrouted: Duration::MAX,
    bytes: u64::MAX,
};

/// Nothing is kept that is settled.
const NOTHING: Retention =
    Retention { done: Duration::ZERO, dead: Duration::ZERO, unrouted: Duration::ZERO, ..FOREVER };

const HOUR: Duration = Duration::from_secs(3_600);

/// A backlog that is never full.
const WIDE: Backlog = Backlog { events: u64::MAX, bytes: u64::MAX, full: Full::Refuse };

/// A ledger in a folder of its own.
struct Store {
    ledger: Ledger,
    metrics: Metrics,
    leases: Receiver<Lease>,
    folder: TempDir,
}

impl Store {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), Stamps::start())
    }

    fn open(folder: TempDir, stamps: Stamps) -> Self {
        let options = options(folder.path());
        Self::with(folder, &options, stamps)
    }

    fn with(folder: TempDir, options: &Options, stamps: Stamps) -> Self {
        let metrics = Metrics::new().unwrap();
        let ledger = Ledger::open_at(options, &metrics, stamps).unwrap();
        Self { leases: ledger.leases(), ledger, metrics, folder }
    }

    /// Ends it, and opens it again.
    fn reopen(self) -> Self {
        self.reopen_at(Stamps::start())
    }

    /// Ends it, and opens it again under another clock.
    fn reopen_at(self, stamps: Stamps) -> Self {
        let Self { ledger, folder, .. } = self;
        drop(ledger);
        Self::open(folder, stamps)
    }

    /// Ends it, and opens it again with other options.
    fn reopen_with(self, change: impl FnOnce(Options) -> Options) -> Self {
        let Self { ledger, folder, .. } = self;
        drop(ledger);
        let options = change(options(folder.path()));
        Self::with(folder, &options, Stamps::start())
    }

    /// What is left when the process is killed now: the files as they are, opened elsewhere.
    fn crash(self) -> Self {
        self.crash_at(Stamps::start())
    }

    /// The same under another clock.
    fn crash_at(self, stamps: Stamps) -> Self {
        Self::open(self.copy(), stamps)
    }

    /// A copy of the files as they are.
    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        // The writer cannot go on meanwhile; what it has not committed is lost.
        let still = self.db();
        still.execute_batch("BEGIN IMMEDIATE").unwrap();
        for folder in ["", "bodies"] {
            fs::create_dir_all(copy.path().join(folder)).unwrap();
            for file in files(&self.path(folder)) {
                let to = copy.path().join(folder).join(file.file_name().unwrap());
                fs::copy(&file, to).unwrap();
            }
        }
        // Its index of the log is memory shared between processes, and goes with the last of them.
        fs::remove_file(copy.path().join("ledger.db-shm")).unwrap();
        drop(still);
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A connection of the test's own.
    fn db(&self) -> Connection {
        let db = Connection::open(self.path("ledger.db")).unwrap();
        db.busy_timeout(PATIENCE).unwrap();
        db
    }

    /// The first value of a query.
    fn ask(&self, sql: &str) -> i64 {
        self.db().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn same(&self, id: &str) -> Sameness {
        self.ledger.sameness("s", Some(id), None)
    }

    async fn append(
        &self,
        body: &str,
        same: Option<Sameness>,
        routes: &[&str],
    ) -> Result<Receipt, AppendError> {
        let targets = routes.iter().map(|route| target(route)).collect();
        self.ledger.append(event(body.as_bytes()), same, targets).await
    }

    /// Stores an event for the route `r`, which keeps those of one value in order.
    async fn append_ordered(&self, value: &str) -> Receipt {
        let target = Target { order: Some(self.ledger.order(value)), ..target("r") };
        self.ledger.append(event(value.as_bytes()), None, vec![target]).await.unwrap()
    }

    /// Stores so many events for the route `r`, in as few commits as possible.
    async fn append_many(&self, count: usize) {
        let all =
            (0..count).map(|n| async move { self.append(&n.to_string(), None, &["r"]).await });
        for receipt in futures_util::future::join_all(all).await {
            receipt.unwrap();
        }
    }

    /// The next lease.
    async fn lease(&self) -> Lease {
        soon("a lease", self.leases.recv()).await.unwrap()
    }

    fn ack(&self, lease: Lease) {
        self.ledger.settle(lease, attempt(Outcome::Ack), Next::Done);
    }

    fn reject(&self, lease: Lease) {
        self.ledger.settle(lease, attempt(Outcome::Reject("no".to_owned())), Next::Dead);
    }

    fn retry_at(&self, lease: Lease, at: u64) {
        let outcome = Outcome::Retry { after: None, reason: "later".to_owned() };
        self.ledger.settle(lease, attempt(outcome), Next::RetryAt(at));
    }

    /// Takes the next lease, which has to be that event's, and settles it.
    async fn ack_that(&self, of: Receipt) {
        let lease = self.lease().await;
        assert_eq!(lease.delivery() >> 16, of.id.seq());
        self.ack(lease);
    }

    /// Waits until the metrics show so many deliveries in that state.
    async fn until(&self, state: &str, count: i64) {
        let gauge = self.metrics.deliveries.with_label_values(&[state]);
        until(&format!("{count} {state}"), || gauge.get() == count).await;
    }
}

fn open(data: &Path, metrics: &Metrics) -> Result<Ledger, OpenError> {
    Ledger::open(&options(data), metrics)
}

fn options(data: &Path) -> Options {
    Options {
        data: data.to_owned(),
        dedupe_window: HOUR,
        dedupe_memory: 1 << 20,
        min_free: 0,
        retention: FOREVER,
    }
}

/// A route that takes an event, and as many as come.
fn target(route: &str) -> Target {
    Target { route: route.into(), order: None, backlog: WIDE }
}

/// A rule for a route: held for that cause, or not.
fn rule(route: &str, held: Option<&str>) -> Rule {
    Rule { route: route.into(), held: held.map(Arc::from), ordered: true }
}

/// An event with that body.
fn event(body: &[u8]) -> Event {
    let mut headers = HeaderMap::new();
    headers.insert("x-bytes", HeaderValue::from_bytes(b"\xff").unwrap());
    let request = Request {
        method: Method::POST,
        target: "/hooks/s?a=b".to_owned(),
        headers,
        body: Bytes::copy_from_slice(body),
        peer: [127, 0, 0, 1].into(),
    };
    let verifier = Verifier::new(Scheme::Unsigned, Vec::new()).unwrap();
    let verified = verifier.verify(request, 0).unwrap();
    Event::new(verified, "s".into(), "t".into(), wall_ms(), None)
}

fn attempt(outcome: Outcome) -> Attempt {
    let (started_at, duration) = (wall_ms(), Duration::from_millis(3));
    let logs = Some(r#"[{"message":"m"}]"#.to_owned());
    Attempt { started_at, duration, outcome, version: "v".into(), logs }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let look = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(what, look).await;
}
