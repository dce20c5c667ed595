//! Many reloads: under load, and one after the other.

use std::fs;
use std::io::{BufReader, Write};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::json;

use crate::letters::routes;
use crate::wat;
use crate::yard::{self, Answer, Yard, wait};

const REQUESTS: u64 = 10_000;
const CLIENTS: u64 = 16;
const SWAPS: u64 = 50;

/// How many reloads must leave memory as it was, when the environment says nothing else.
const RELOADS: u64 = 2_000;

/// Posts events on one connection; gives how many were not answered 200.
fn client(yard: &Yard, requests: u64, answered: &AtomicU64) -> u64 {
    let mut stream = yard::connect(yard.public());
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut failed = 0;
    for _ in 0..requests {
        let request =
            "POST /hooks/s HTTP/1.1\r\nhost: h\r\nx-for: h\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(request.as_bytes()).unwrap();
        failed += u64::from(Answer::read(&mut answers).unwrap().status != 200);
        answered.fetch_add(1, Ordering::Relaxed);
    }
    failed
}

/// Puts version `n` in force, in one way or another.
fn swap(yard: &Yard, n: u64) {
    let plugins = yard.path("plugins");
    let folder = plugins.join(format!("..{n}"));
    let file = folder.join("h.wat");
    let (text, half) = (wat::log(&format!("version {}", n % 2)), 700);
    fs::create_dir(&folder).unwrap();
    match n % 5 {
        // A half-written file is asked for, and is refused.
        0 => fs::write(&file, &text[..half]).unwrap(),
        _ => fs::write(&file, &text).unwrap(),
    }
    symlink(&folder, plugins.join("..data_tmp")).unwrap();
    fs::rename(plugins.join("..data_tmp"), plugins.join("..data")).unwrap();
    if n % 10 == 1 {
        // Nobody asks: the files tell.
        let before = yard.metric(r#"hookyard_reloads_total{result="ok"}"#);
        let more = || yard.metric(r#"hookyard_reloads_total{result="ok"}"#) > before;
        wait("the swap", || more().then_some(()));
    } else {
        let expected = if n.is_multiple_of(5) { "failed" } else { "ok" };
        assert_eq!(yard.reload()["result"], expected, "{n}");
    }
}

#[test]
fn requests_do_not_notice_swaps() {
    let mut yard = Yard::new(&routes(&["h"], ""));
    let plugins = yard.path("plugins");
    fs::create_dir(plugins.join("..start")).unwrap();
    fs::write(plugins.join("..start/h.wat"), wat::log("version 0")).unwrap();
    symlink("..start", plugins.join("..data")).unwrap();
    symlink("..data/h.wat", plugins.join("h.wat")).unwrap();
    yard.run();
    let answered = AtomicU64::new(0);
    let failed: u64 = thread::scope(|scope| {
        let start = || scope.spawn(|| client(&yard, REQUESTS / CLIENTS, &answered));
        let clients: Vec<_> = (0..CLIENTS).map(|_| start()).collect();
        for n in 1..=SWAPS {
            // Spread over the whole run.
            wait("requests", || {
                (answered.load(Ordering::Relaxed) >= REQUESTS * n / (SWAPS + 2)).then_some(())
            });
            swap(&yard, n);
        }
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(failed, 0);
    let done = r#"hookyard_deliveries{state="done"}"#;
    wait("all to be handled", || (yard.metric(done) == REQUESTS as f64).then_some(()));
    let acked = r#"hookyard_attempts_total{outcome="ack",route="h"}"#;
    yard.reads(acked, REQUESTS as f64);
}

#[test]
fn memory_stays_flat_over_many_reloads() {
    let reloads = std::env::var("HOOKYARD_TEST_RELOADS");
    let reloads = reloads.map_or(RELOADS, |number| number.parse().unwrap());
    let yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::log("0"))]);
    let versions = [wat::log("even"), wat::log("odd")];
    let swap = |n: u64| {
        yard.rename_plugin("h.wat", &versions[(n % 2) as usize]);
        // The watch may have seen it first: then there is nothing left to change.
        let report = yard.reload();
        assert_eq!((&report["result"], &report["errors"]), (&json!("ok"), &json!([])));
    };
    let warm = reloads / 10;
    (0..warm).for_each(swap);
    let before = yard.memory();
    (warm..reloads).for_each(swap);
    let grown = yard.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more than before");
    assert_eq!(yard.said_by("h").0, "odd");
}
