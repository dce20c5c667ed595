//! Producers that wait for each answer, and a consumer that is done at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hookyard::delivery::Next;
use hookyard::event::Event;
use hookyard::ledger::Ledger;
use hookyard::metrics::Metrics;

use crate::bare_log::BareLog;
use crate::{events, process};

const PRODUCERS: [u64; 2] = [64, 256];
const ROUNDS: u64 = 3;
const WARM: Duration = Duration::from_secs(1);
const WHILE: Duration = Duration::from_secs(4);

/// What is held against each other.
pub trait Store: Sync {
    /// Stores the event number `n`; it is durable when this returns.
    async fn append(&self, n: u64);
    /// Takes what is due and settles it, until the store is closed.
    fn consume(&self);
    /// Gives no more to the consumer.
    fn close(&self);
    /// Events that are stored and settled, both durably.
    fn done(&self) -> u64;
}

struct Stored {
    ledger: Ledger,
    metrics: Metrics,
    events: Vec<Event>,
}

impl Store for Stored {
    async fn append(&self, n: u64) {
        let event = self.events[n as usize % self.events.len()].clone();
        let same = self.ledger.sameness("crm", Some(&n.to_string()), None);
        let stored = self.ledger.append(event, Some(same), vec![events::target(None)]).await;
        assert!(!stored.expect("a disk").duplicate);
    }

    fn consume(&self) {
        while let Ok(lease) = self.ledger.leases().recv_blocking() {
            self.ledger.settle(lease, events::acked(), Next::Done);
        }
    }

    fn close(&self) {
        self.ledger.leases().close();
    }

    fn done(&self) -> u64 {
        self.metrics.deliveries.with_label_values(&["done"]).get().unsigned_abs()
    }
}

/// What a while of load came to.
struct Figures {
    /// Events stored and settled a second.
    rate: f64,
    /// What each producer waited for its answers, sorted.
    acks: Vec<Duration>,
    /// CPU time of the whole process for one event.
    cpu: Duration,
}

/// Holds the ledger against the bare log, in turn.
pub fn print() {
    println!("producers store      events/s  ack p50    p99      max       CPU/event  of the log");
    for producers in PRODUCERS {
        let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| round(producers)).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        println!(
            "{producers:9} ledger: {:.0} % of the log, the median of {ratios:.2?}",
            100.0 * ratios[1]
        );
    }
}

fn round(producers: u64) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let log = run(&BareLog::start(folder.path(), events::events()), producers);
    let metrics = Metrics::new().expect("metrics");
    let ledger = events::open(folder.path(), &metrics);
    let stored = run(&Stored { ledger, metrics, events: events::events() }, producers);
    let ratio = stored.rate / log.rate;
    for (name, Figures { rate, acks, cpu }) in [("bare log", log), ("ledger", stored)] {
        let at = |part: usize| acks[(acks.len() - 1) * part / 1_000].as_secs_f64() * 1e3;
        let (p50, p99, max, cpu) = (at(500), at(990), at(1_000), cpu.as_secs_f64() * 1e6);
        println!(
            "{producers:9} {name:9} {rate:9.0}  {p50:5.2} ms  {p99:5.2} ms  {max:5.1} ms  {cpu:6.1} µs"
        );
    }
    ratio
}

fn run(store: &impl Store, producers: u64) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let next = AtomicU64::new(0);
    thread::scope(|threads| {
        threads.spawn(|| store.consume());
        runtime.block_on(produce(store, producers, &next, WARM));
        let (began, used, done) = (Instant::now(), process::cpu(), store.done());
        let mut acks = runtime.block_on(produce(store, producers, &next, WHILE));
        let (took, done) = (began.elapsed(), store.done() - done);
        let cpu = (process::cpu() - used) / u32::try_from(done).expect("not that many");
        store.close();
        acks.sort_unstable();
        Figures { rate: done as f64 / took.as_secs_f64(), acks, cpu }
    })
}

async fn produce(
    store: &impl Store,
    producers: u64,
    next: &AtomicU64,
    how_long: Duration,
) -> Vec<Duration> {
    let until = Instant::now() + how_long;
    let producer = async |_| {
        let mut acks = Vec::new();
        loop {
            let began = Instant::now();
            if began > until {
                return acks;
            }
            store.append(next.fetch_add(1, Ordering::Relaxed)).await;
            acks.push(began.elapsed());
        }
    };
    join_all((0..producers).map(producer)).await.concat()
}
