//! How many instructions an event costs on its way, counted by callgrind, so that a change that makes
//! it dearer is seen in that change. `cargo bench --profile dev --bench instructions`, where valgrind is
//! installed. What is counted is the build that `cargo test` leaves, without optimisation: it says
//! what has changed, not what anything costs in use.

use std::fs;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use hookyard::condition::Facts;
use hookyard::config::Config;
use hookyard::delivery::{Backlog, Full, Next, Outcome};
use hookyard::event::Event;
use hookyard::ledger::{Attempt, Ledger, Options, Retention, Target};
use hookyard::metrics::Metrics;
use hookyard::route::Table;
use hookyard::source::Source;
use hookyard::verify::Request;
use http::{HeaderMap, Method};
use tempfile::TempDir;
use tokio::runtime::Builder;

const NOW_MS: i64 = 1_760_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Events of one ledger's run.
const EVENTS: u64 = 512;

/// A part of the way, the function in which it is counted, and the instructions that it takes.
const PARTS: [(&str, &str, u64); 2] = [
    ("receive", "*instructions::receive*", 248_900),
    ("keep", "*::writer::Writer::turn*", 58_200_000),
];
/// Of a hundred, more or less: with the compiler, the C library and the CPU they differ a little.
const TOLERANCE: u64 = 10;

fn main() -> ExitCode {
    let part = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    match part.as_deref() {
        Some("receive") => assert_eq!(receive(&yard()), 1),
        Some("keep") => keep(&stored()),
        Some(other) => panic!("there is no part {other}"),
        None => return ExitCode::from(u8::from(PARTS.map(holds).contains(&false))),
    }
    ExitCode::SUCCESS
}

/// Whether a part takes as many as it did.
fn holds((part, function, expected): (&str, &str, u64)) -> bool {
    let found = count(part, function);
    let holds = found.abs_diff(expected) * 100 <= expected * TOLERANCE;
    let verdict = if holds { "as before" } else { "if that has to be, write it into this file" };
    println!("{part:8} {found:>12} instructions, {expected} expected: {verdict}");
    holds
}

/// Runs a part under callgrind.
fn count(part: &str, function: &str) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let run = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--separate-threads=no",
            &format!("--toggle-collect={function}"),
        ])
        .arg(format!("--callgrind-out-file={}", folder.path().join("out").display()))
        .arg(std::env::current_exe().expect("this program"))
        .arg(part)
        .output()
        .expect("valgrind");
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}");
    let collected = told.lines().find_map(|line| line.split_once("Collected :")).expect("a count");
    collected.1.trim().parse().expect("a number")
}

/// What an event is received with.
struct Yard {
    source: Source,
    routes: Table,
    request: Request,
}

/// One source, a thousand routes, and a body of 1.5 KB that its sender has signed.
fn yard() -> Yard {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("router.toml");
    let source = "[sources.hotglue]\nscheme = \"hotglue\"\nsecrets = [{ value = \"s\" }]\n";
    let route = |n: u32| {
        format!(
            "[[routes]]\nname = \"r{n}\"\nsource = \"hotglue\"\nevent = \"JOB_{n}\"\nhandler = \"h\"\n"
        )
    };
    fs::write(&file, source.to_owned() + &(0..1_000).map(route).collect::<String>())
        .expect("a disk");
    let Ok((config, _)) = Config::load(&file) else { panic!("a router.toml") };
    let source = config.sources.into_iter().next().expect("a source");
    let more = "\"Account\":742570,".repeat(80);
    let body = format!(r#"{{"tenant":"1414_1","metrics":{{{more}"Lead":1}},"status":"JOB_7"}}"#);
    let mut request = Request {
        method: Method::POST,
        target: "/hooks/hotglue".into(),
        headers: HeaderMap::new(),
        body: Bytes::from(body),
        peer: Ipv4Addr::LOCALHOST.into(),
    };
    source.verifier.sign(&mut request, "msg_1", NOW_MS).expect("a signature");
    Yard { source, routes: Table::new(config.routes), request }
}

fn event(yard: &Yard) -> Event {
    let verified = yard.source.verifier.verify(yard.request.clone(), NOW_MS).expect("verified");
    let kind = yard.source.kind(verified.request()).expect("a type");
    Event::new(verified, yard.source.name.clone(), kind, 0, None)
}

/// Verified, its type found, copied out of the request, and its routes found.
#[inline(never)]
fn receive(yard: &Yard) -> usize {
    let event = black_box(event(yard));
    let facts = Facts::new(&event);
    yard.routes.matching(&facts, |_, _| ()).count()
}

/// A ledger and the events that it is to keep.
struct Stored {
    ledger: Ledger,
    events: Vec<Event>,
    _folder: TempDir,
}

fn stored() -> Stored {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        data: folder.path().to_owned(),
        dedupe_window: DAY,
        dedupe_memory: 1 << 20,
        min_free: 0,
        retention: Retention { done: DAY, dead: DAY, unrouted: DAY, bytes: 1 << 30 },
    };
    let ledger = Ledger::open(&options, &Metrics::new().expect("metrics")).expect("a ledger");
    let event = event(&yard());
    Stored { ledger, events: (0..EVENTS).map(|_| event.clone()).collect(), _folder: folder }
}

/// Has them appended, leased and settled, by a thread of the ledger's own.
fn keep(Stored { ledger, events, .. }: &Stored) {
    let target = || Target {
        route: "r".into(),
        order: None,
        backlog: Backlog { events: u64::MAX, bytes: u64::MAX, full: Full::Refuse },
    };
    let append = |(n, event): (usize, &Event)| {
        let same = ledger.sameness("hotglue", Some(&n.to_string()), None);
        ledger.append(event.clone(), Some(same), vec![target()])
    };
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(join_all(events.iter().enumerate().map(append)));
    for _ in events {
        let lease = ledger.leases().recv_blocking().expect("a lease");
        let attempt = Attempt {
            started_at: 0,
            duration: Duration::ZERO,
            outcome: Outcome::Ack,
            version: "0".into(),
            logs: None,
        };
        ledger.settle(lease, attempt, Next::Done);
    }
    ledger.close();
}
