//! `hookyard backup`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Ran;
use crate::letters::routes;
use crate::wat;
use crate::yard::{Yard, wait};

/// Bodies of this size are files of their own.
const LARGE: usize = 300 * 1024;

fn config() -> String {
    routes(&["r"], "")
}

fn yard() -> Yard {
    Yard::start(&config(), &[("r", &wat::ack())])
}

/// Ends the load, also when the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A body that no other is like, small or large.
fn body(n: usize) -> String {
    let filling = if n.is_multiple_of(3) { LARGE } else { 10 };
    format!("{n}-{}", "x".repeat(filling + n))
}

fn backs_up(yard: &Yard, to: &str) -> Ran {
    yard.hookyard(&["backup", to, "--json"])
}

/// A yard whose ledger is that copy of another's.
fn restored(yard: &Yard, copy: &str) -> Yard {
    let mut new = Yard::new(&config());
    new.plugin("r.wat", wat::ack());
    fs::rename(yard.path(copy), new.path("data")).unwrap();
    new.run();
    new
}

#[test]
fn what_was_acked_before_a_backup_under_load_is_in_it_whole() {
    let yard = yard();
    let (acked, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let post = |first: usize| {
        for n in (first..).step_by(2) {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let id = yard.send("r", &body(n));
            acked.lock().unwrap().push((n, id));
        }
    };
    let count = || acked.lock().unwrap().len();
    let (before, ran) = thread::scope(|scope| {
        let _ends = Ends(&over);
        for first in [0, 1] {
            scope.spawn(move || post(first));
        }
        wait("a few to be stored", || (count() >= 30).then_some(()));
        let before = acked.lock().unwrap().clone();
        let ran = backs_up(&yard, "copy");
        let meanwhile = count();
        wait("more to be stored", || (count() > meanwhile).then_some(()));
        (before, ran)
    });
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert!(ran.json()["bodies"].as_u64().unwrap() >= 10, "{ran:?}");
    let mode = |name: &str| fs::metadata(yard.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("copy"), mode("copy/ledger.db")), (0o700, 0o600));
    let key = |data: &str| fs::read(yard.path(data).join("forward.secret")).unwrap();
    assert_eq!(key("data"), key("copy"), "receivers know it");
    assert!(!yard.path("copy.unfinished").exists());

    let restored = restored(&yard, "copy");
    for (n, id) in &before {
        let event = restored.until(id, "done");
        assert!(event["body"] == body(*n), "{id}");
    }
    let new = restored.send("r", "new");
    restored.until(&new, "done");
}

#[test]
fn a_backup_replaces_nothing_and_needs_a_ledger() {
    let mut yard = yard();
    let id = yard.send("r", &body(0));
    yard.until(&id, "done");
    fs::create_dir(yard.path("there")).unwrap();
    let ran = backs_up(&yard, "there");
    assert!(ran.code == Some(1) && ran.err.contains("there is there already"), "{ran:?}");
    assert_eq!(fs::read_dir(yard.path("there")).unwrap().count(), 0);
    let nowhere = backs_up(&yard, "no/such/folder");
    assert!(nowhere.code == Some(1) && nowhere.err.contains("no/such/folder"), "{nowhere:?}");
    yard.stop();
    let ran = backs_up(&yard, "copy");
    assert_eq!((ran.code, ran.json()["bodies"].as_u64()), (Some(0), Some(1)));
    assert_eq!(restored(&yard, "copy").until(&id, "done")["body"], body(0));
    let empty = Yard::new(&config());
    let ran = backs_up(&empty, "copy");
    assert!(ran.code == Some(1) && ran.err.contains("there is no ledger"), "{ran:?}");
    assert!(!empty.path("copy").exists());
}

#[test]
fn a_backup_leaves_the_server_its_free_space() {
    let yard = yard();
    let text = fs::read_to_string(yard.path("router.toml")).unwrap();
    fs::write(yard.path("router.toml"), text.replace("min_free = 0", "min_free = \"1TiB\""))
        .unwrap();
    let ran = backs_up(&yard, "copy");
    assert!(ran.code == Some(1) && ran.err.contains("`min_free`"), "{ran:?}");
    assert!(!yard.path("copy").exists() && !yard.path("copy.unfinished").exists());
}

#[test]
fn secrets_that_were_handed_over_are_in_it() {
    let yard = yard();
    fs::create_dir(yard.path("data/handed-over")).unwrap();
    fs::write(yard.path("data/handed-over/s"), "hush").unwrap();
    let ran = backs_up(&yard, "copy");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fs::read_to_string(yard.path("copy/handed-over/s")).unwrap(), "hush");
    assert!(!ran.out.contains("hush"));
}
