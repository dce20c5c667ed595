//! Figures, by hand: `cargo test --release --lib measure -- --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use super::*;

const BACKLOG: usize = 1_000_000;
const PRODUCERS: usize = 64;
const WHILE: Duration = Duration::from_secs(10);

/// 1.5 KB, as webhooks are.
fn webhook(n: usize) -> String {
    let digits = (0..300).map(|at| format!("{:03} ", n.wrapping_mul(at + 7) % 1_000));
    format!("{{\"n\":{n},\"rest\":\"{}\"}}", digits.collect::<String>())
}

/// Memory of this process that is its own, in bytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
#[ignore = "measures"]
async fn the_first_lease_of_a_long_backlog_after_a_crash() {
    let store = Store::new();
    for chunk in 0..BACKLOG / 1_000 {
        let some = (0..1_000).map(|n| webhook(chunk * 1_000 + n));
        let all = some.map(|body| {
            let store = &store;
            async move { store.append(&body, None, &["r"]).await.unwrap() }
        });
        futures_util::future::join_all(all).await;
    }
    let before = memory();
    // The files as a kill would leave them, with the log.
    let copy = store.copy();
    drop(store);
    // The copy is not the measure's: the disk has it before.
    fs::File::open(copy.path().join("ledger.db")).unwrap().sync_all().unwrap();
    let began = Instant::now();
    let store = Store::open(copy, Stamps::start());
    let opened = began.elapsed();
    store.lease().await;
    let leased = began.elapsed();
    assert_eq!(store.ask("SELECT count(*) FROM event"), BACKLOG as i64);
    let grown = memory().saturating_sub(before) >> 20;
    println!("{BACKLOG} pending: open {opened:?}, first lease {leased:?}, {grown} MiB more");
}

/// Some producers that wait for each answer, and consumers that are done at once.
async fn load(store: &Store) -> Vec<Duration> {
    let until = Instant::now() + WHILE;
    let produce = async |producer: usize| {
        let mut acks = Vec::new();
        for n in 0.. {
            let body = webhook(producer << 32 | n);
            let began = Instant::now();
            if began > until {
                break;
            }
            store.append(&body, Some(store.same(&body)), &["r"]).await.unwrap();
            acks.push(began.elapsed());
        }
        acks
    };
    let consume = async {
        while let Ok(lease) = store.leases.recv().await {
            store.ack(lease);
        }
    };
    let producers = futures_util::future::join_all((0..PRODUCERS).map(produce));
    tokio::select! {
        acks = producers => acks.concat(),
        () = consume => unreachable!(),
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn what_removing_costs_whoever_waits_for_an_answer() {
    let limit = 64 << 20;
    for (what, bytes) in [("nothing is removed", u64::MAX), ("as much is removed as comes", limit)]
    {
        let folder = tempfile::tempdir().unwrap();
        let retention = Retention { bytes, ..FOREVER };
        let options =
            Options { retention, dedupe_window: Duration::ZERO, ..options(folder.path()) };
        let store = Store::with(folder, &options, Stamps::start());
        load(&store).await;
        let mut acks = load(&store).await;
        acks.sort_unstable();
        let at = |part: usize| acks[acks.len() * part / 1_000];
        let (a_second, removed) =
            (acks.len() as u64 / WHILE.as_secs(), store.metrics.events_removed.get());
        let size = fs::metadata(store.path("ledger.db")).unwrap().len() >> 20;
        println!(
            "{what}: {a_second}/s, ack p50 {:?} p99 {:?} p99.9 {:?}, {removed} removed, file {size} MiB",
            at(500),
            at(990),
            at(999)
        );
    }
}
