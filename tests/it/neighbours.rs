//! Handlers that compute for long, beside others.

use std::fs;

use crate::letters::{attempts, routes};
use crate::wat;
use crate::yard::Yard;

/// The CPU time that threads whose names begin so have used together, in hundredths of a second.
fn used(yard: &Yard, name: &str) -> u64 {
    let mut used = 0;
    for task in fs::read_dir(format!("/proc/{}/task", yard.pid())).unwrap() {
        let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
        let (before, after) = stat.rsplit_once(") ").unwrap();
        if before.split_once('(').unwrap().1.starts_with(name) {
            let times = after.split(' ').skip(11).take(2);
            used += times.map(|time| time.parse::<u64>().unwrap()).sum::<u64>();
        }
    }
    used
}

#[test]
fn who_computes_for_long_does_so_on_threads_apart() {
    let config = routes(&["burner"], "timeout = \"5m\"\nretry = { attempts = 1 }");
    let yard =
        Yard::start(&(config + "[handlers.burner]\ncpu = \"400ms\""), &[("burner", &wat::spin())]);
    let before = used(&yard, "long-");
    let event = yard.until(&yard.send("burner", "{}"), "dead");
    assert_eq!(attempts(&event)[0]["outcome"], "limit", "{event}");
    let after = used(&yard, "long-");
    assert!(after - before > 20, "{after} {before}");
}
