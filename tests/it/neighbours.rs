//! Handlers that compute for long, beside others.

use std::fs;

use crate::letters::{attempts, routes};
use crate::wat;
use crate::yard::Yard;

/// What `/proc` says of the threads whose names begin so, from the state on: see `proc_pid_stat(5)`.
fn threads(yard: &Yard, name: &str) -> Vec<Vec<String>> {
    let tasks = fs::read_dir(format!("/proc/{}/task", yard.pid())).unwrap();
    let stats = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
    let stats = stats.filter_map(|stat| {
        let (before, after) = stat.rsplit_once(") ").unwrap();
        let is_so = before.split_once('(').unwrap().1.starts_with(name);
        is_so.then(|| after.split(' ').map(str::to_owned).collect())
    });
    stats.collect()
}

/// The CPU time that those threads have used together, in hundredths of a second.
fn used(yard: &Yard, name: &str) -> u64 {
    let times = |stat: Vec<String>| {
        stat[11..13].iter().map(|time| time.parse::<u64>().unwrap()).sum::<u64>()
    };
    threads(yard, name).into_iter().map(times).sum()
}

/// How nice those threads are, which is the same for all.
fn niceness(yard: &Yard, name: &str) -> i32 {
    let nice: Vec<i32> = threads(yard, name).iter().map(|stat| stat[16].parse().unwrap()).collect();
    assert!(!nice.is_empty() && nice.iter().all(|one| *one == nice[0]), "{name}: {nice:?}");
    nice[0]
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
    // 19 is the nicest that there is.
    assert_eq!(niceness(&yard, "long-"), (niceness(&yard, "handlers-") + 5).min(19));
}
