//! A disk that is full or broken for a while: senders are told to come again, nothing is lost or
//! half there, and the program goes on by itself.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Watched;
use super::image::{Chance, Disk};
use super::load::{self, is_settled, send};
use super::power::{cut, look, moments, seed};
use crate::yard::wait;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A body in a row, and one in a file.
const SMALL: u64 = 0;
const LARGE: u64 = 5;

impl Watched {
    fn bodies(&self) -> usize {
        fs::read_dir(self.yard.path("data/bodies")).unwrap().count()
    }

    fn is_ready(&self) -> bool {
        self.yard.ask("/readyz").status == 200
    }

    fn said(&self, what: &str) -> usize {
        self.yard.log().matches(what).count()
    }
}

#[test]
fn a_disk_that_takes_nothing_is_told_to_senders_and_used_again_when_it_does() {
    for (kind, error) in [('w', ENOSPC), ('w', EIO), ('s', EIO)] {
        let mut on = load::watched();
        on.yard.run();
        let before = send(&on.yard, &load::body(0, SMALL)).unwrap();
        on.fail(kind, error, "/data/", 0);
        wait("the failure to be noticed", || {
            send(&on.yard, &load::body(1, SMALL)).is_none().then_some(())
        });
        assert!(send(&on.yard, &load::body(1, LARGE)).is_none());
        assert!(!on.is_ready());
        assert_eq!(on.bodies(), 0);
        wait("more tries", || {
            (on.yard.metric("hookyard_commit_failures_total") >= 3.0).then_some(())
        });
        assert_eq!(on.said("cannot be written"), 1, "{}", on.yard.log());
        on.mend();
        wait("the disk to be used again", || on.is_ready().then_some(()));
        // What was answered 503 is not there; what was under way goes on.
        let told = load::post(&on, 2, 2);
        let stored = on.yard.ask("/api/v1/events").json()["items"].as_array().unwrap().len();
        assert_eq!(stored, 1 + told.acked.len());
        assert!(is_settled(&on.yard.event(&before)));
        on.yard.stop();
        look(&on.yard.path("data"), &told, on.moment()).unwrap();
    }
}

#[test]
fn a_body_that_cannot_be_written_is_refused_and_leaves_no_file() {
    let mut on = load::watched();
    on.yard.run();
    for (kind, error) in [('o', EIO), ('w', ENOSPC), ('w', EIO), ('s', EIO)] {
        on.fail(kind, error, "/bodies", 0);
        assert!(send(&on.yard, &load::body(0, LARGE)).is_none());
        assert_eq!(on.bodies(), 0);
        assert!(send(&on.yard, &load::body(0, SMALL)).is_some(), "others are taken");
        assert!(on.is_ready());
    }
    assert_eq!(on.said("cannot write a body"), 1, "{}", on.yard.log());
    on.mend();
    assert!(send(&on.yard, &load::body(0, LARGE)).is_some());
    assert_eq!(on.bodies(), 1);
}

#[test]
fn what_was_answered_survives_a_disk_that_fails_now_and_then() {
    let mut on = load::watched();
    on.yard.run();
    let (mut chance, over) = (Chance(seed()), AtomicBool::new(false));
    let told = thread::scope(|threads| {
        let (mut chance, on, over) = (chance.clone(), &on, &over);
        let faults = threads.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let (kind, error) =
                    [('w', ENOSPC), ('w', EIO), ('s', EIO), ('s', EIO)][chance.below(4)];
                let part = ["-wal", "ledger.db$", "/bodies", "/data/"][chance.below(4)];
                on.fail(kind, error, part, 1 + chance.below(40) as u32);
                thread::sleep(Duration::from_millis(chance.below(40) as u64));
            }
            on.mend();
        });
        let told = load::post(on, 0, 24);
        over.store(true, Ordering::Relaxed);
        faults.join().unwrap();
        told
    });
    println!("{} failures", on.yard.metric("hookyard_commit_failures_total"));
    on.yard.kill();
    let trace = on.trace();
    let moments = moments(&trace, 24, &mut chance);
    cut(Disk::new(chance.0), &trace, &told, &moments).unwrap();
}

/// After the failure the kernel shows what the disk does not have. The next process must not build
/// on it.
#[test]
fn a_process_that_is_killed_after_a_failed_sync_leaves_nothing_that_the_next_one_falls_for() {
    let mut on = load::watched();
    on.yard.run();
    let told = load::post(&on, 0, 2);
    on.yard.stop();
    on.yard.run();
    // The log begins anew: the failed commit is the first in it that has this table's page.
    load::post(&on, 4, 1);
    on.fail('s', EIO, "-wal", 0);
    assert!(send(&on.yard, &load::body(8, LARGE)).is_none());
    on.yard.kill();
    on.mend();
    let restart = on.moment();
    on.yard.run();
    let running = on.moment();
    // It may be there; whoever sends it again hears of the same event.
    let again = send(&on.yard, &load::body(8, LARGE)).unwrap();
    assert_eq!(send(&on.yard, &load::body(8, LARGE)), Some(again));
    on.yard.kill();
    let (trace, seed) = (on.trace(), seed());
    let starting = |at: &usize| (restart..=running).contains(&trace.calls[*at].0);
    let moments: Vec<usize> = (0..trace.calls.len()).filter(starting).collect();
    println!("power cuts after {} calls", moments.len());
    cut(Disk::new(seed), &trace, &told, &moments).unwrap();
}
