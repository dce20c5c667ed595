//! A long backlog after a kill: how soon the first of it is leased, how fast the rest, and what
//! memory that takes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hookyard::delivery::Next;
use hookyard::ledger::{Ledger, Order};
use hookyard::metrics::Metrics;

use crate::{events, process};

/// The verb of the child that stores a backlog, and is killed then.
pub const FILL: &str = "fill";
/// The verb of the child that opens what is left.
pub const OPEN: &str = "open";

/// Deliveries that wait: so many that the rates can be compared, and so many as nobody hopes for.
const PENDING: [u64; 2] = [100_000, 1_000_000];
/// Events that are stored at once.
const AT_ONCE: u64 = 1_000;
/// Deliveries that are settled to measure the rate, if there is time for them.
const SETTLED: u32 = 80_000;
const WHILE: Duration = Duration::from_secs(3);

/// By what the deliveries of a backlog are ordered.
pub struct Backlog {
    pub name: &'static str,
    order: fn(&Ledger, u64) -> Option<Order>,
}

pub const BACKLOGS: [Backlog; 3] = [
    Backlog { name: "unordered", order: |_, _| None },
    Backlog { name: "one-key", order: |ledger, _| Some(ledger.order("t-1")) },
    Backlog { name: "a-key-each", order: |ledger, n| Some(ledger.order(&n.to_string())) },
];

/// Stores a backlog, has itself killed, and opens what is left.
pub fn print(backlog: &Backlog) {
    for pending in PENDING {
        let folder = tempfile::tempdir().expect("a folder");
        let mut fill = child(FILL, backlog, folder.path()).arg(pending.to_string()).spawn();
        let fill = fill.as_mut().expect("a child");
        let said = BufReader::new(fill.stdout.take().expect("its words")).lines().next();
        assert!(said.is_some(), "the child ended");
        fill.kill().and_then(|()| fill.wait()).expect("its end");
        let open = child(OPEN, backlog, folder.path()).output().expect("a child");
        print!("{pending:8} {:10} {}", backlog.name, String::from_utf8_lossy(&open.stdout));
    }
}

fn child(verb: &str, backlog: &Backlog, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([verb, backlog.name]).arg(folder).stdout(Stdio::piped());
    command
}

/// Stores so many events, says so, and waits to be killed.
pub fn fill(backlog: &Backlog, folder: &Path, count: u64) {
    let ledger = events::open(folder, &Metrics::new().expect("metrics"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let events = events::events();
    for first in (0..count).step_by(AT_ONCE as usize) {
        let some = (first..first + AT_ONCE).map(|n| {
            let event = events[n as usize % events.len()].clone();
            let same = ledger.sameness("crm", Some(&n.to_string()), None);
            let target = events::target((backlog.order)(&ledger, n));
            ledger.append(event, Some(same), vec![target])
        });
        for stored in runtime.block_on(join_all(some)) {
            stored.expect("a disk");
        }
    }
    println!("filled");
    loop {
        thread::park();
    }
}

/// Opens what a kill left, and settles some of it.
pub fn open(folder: &Path) {
    let (before, began) = (process::memory(), Instant::now());
    let metrics = Metrics::new().expect("metrics");
    let ledger = events::open(folder, &metrics);
    let leases = ledger.leases();
    let mut lease = leases.recv_blocking().expect("a lease");
    let first = began.elapsed().as_secs_f64() * 1e3;
    let (began, mut settled) = (Instant::now(), 0_u32);
    while settled < SETTLED && began.elapsed() < WHILE {
        ledger.settle(lease, events::acked(), Next::Done);
        settled += 1;
        lease = leases.recv_blocking().expect("a lease");
    }
    let rate = f64::from(settled) / began.elapsed().as_secs_f64();
    let grown = process::memory().saturating_sub(before) >> 20;
    println!(
        "pending: first lease after {first:.0} ms, {rate:.0} leased and settled a second, {grown} MiB more"
    );
}
