//! Handlers that break, or take what they can: each comes to an outcome, and harms nobody else.

use std::fmt::Write;

use crate::letters::{attempts, order, routes};
use crate::wat;
use crate::yard::{Yard, wait};

const ONCE: &str = "timeout = \"1m\"\nretry = { attempts = 1 }";

/// Tight limits for each of these handlers.
fn limits(handlers: &[&str]) -> String {
    handlers.iter().fold(String::new(), |mut config, handler| {
        writeln!(config, "[handlers.{handler}]\ncpu = \"100ms\"\nmemory = \"16MiB\"").unwrap();
        config
    })
}

/// A yard with the probe under tight limits, and with a handler that acks.
fn with_probe(route: &str) -> Yard {
    let mut yard = Yard::new(&(routes(&["probe", "good"], route) + &limits(&["probe"])));
    yard.add_probe("probe");
    yard.plugin("good.wat", wat::ack());
    yard.run();
    yard
}

#[test]
fn whatever_a_handler_does_is_an_outcome_with_a_reason() {
    let handlers = [
        ("trap", wat::trap(), "trap", "wasm trap: wasm `unreachable` instruction executed"),
        ("spin", wat::spin(), "limit", "ms used, the limit is 100 ms"),
        ("recurse", wat::recurse(), "limit", "stack: the limit is 524288 bytes"),
        ("grow", wat::grow(), "limit", "memory: 16908288 bytes wanted, the limit is 16777216"),
        ("grow-then-spin", wat::grow_then_spin(), "limit", "ms used, the limit is 100 ms"),
        ("no-outcome", wat::no_outcome(), "trap", "unexpected discriminant: 4"),
        ("no-utf-8", wat::reject(b"a\xffb"), "trap", "invalid utf-8 sequence"),
        ("half-utf-8", wat::reject(b"\xc3"), "trap", "incomplete utf-8"),
        ("outside", wat::endless_reason(), "trap", "out of bounds of memory"),
        ("huge", wat::huge_reply(8 << 20), "trap", "too much data"),
        ("huger", wat::huge_reply(u32::MAX), "limit", "memory"),
        ("endless-log", wat::endless_log("more"), "limit", "ms used, the limit is 100 ms"),
    ];
    let names: Vec<&str> = handlers.iter().map(|(name, ..)| *name).collect();
    let mut yard = Yard::new(&(routes(&[&names[..], &["good"]].concat(), ONCE) + &limits(&names)));
    for (name, text, ..) in &handlers {
        yard.plugin(&format!("{name}.wat"), text);
    }
    yard.plugin("good.wat", wat::ack());
    yard.run();
    for (name, _, outcome, part) in &handlers {
        let event = yard.until(&yard.send(name, "{}"), "dead");
        let [attempt] = attempts(&event) else { panic!("{event}") };
        assert_eq!(attempt["outcome"], *outcome, "{name}: {attempt}");
        assert!(attempt["error"].as_str().unwrap().contains(part), "{name}: {attempt}");
        yard.until(&yard.send("good", "{}"), "done");
    }
    assert_eq!(yard.ask("/readyz").status, 200);
}

#[test]
fn the_same_holds_for_a_handler_from_a_toolchain() {
    let yard = with_probe(ONCE);
    for (action, arg, outcome, part) in [
        ("panic", "the roof is on fire", "trap", "the roof is on fire, at src/lib.rs:"),
        ("loop", "", "limit", "cpu: "),
        ("recurse", "", "limit", "stack: "),
        ("grow", "", "limit", "memory: "),
    ] {
        let event = yard.until(&yard.send("probe", &order(action, arg)), "dead");
        let [attempt] = attempts(&event) else { panic!("{event}") };
        assert_eq!(attempt["outcome"], outcome, "{action}: {attempt}");
        assert!(attempt["error"].as_str().unwrap().starts_with(part), "{action}: {attempt}");
        let logs = attempt["logs"].to_string();
        assert_eq!(logs.contains("the roof is on fire"), action == "panic", "{attempt}");
        assert!(logs.contains("stack: "), "{attempt}");
        yard.until(&yard.send("good", "{}"), "done");
    }
}

#[test]
fn memory_that_handlers_took_is_given_back() {
    const MIB: u64 = 1 << 20;
    let yard = with_probe(ONCE);
    let grow = || yard.send("probe", &order("grow", ""));
    yard.until(&grow(), "dead");
    let before = yard.memory();
    let sent: Vec<String> = (0..20).map(|_| grow()).collect();
    sent.iter().for_each(|id| drop(yard.until(id, "dead")));
    // Each has touched 16 MiB.
    let after = yard.memory();
    assert!(after < before + 64 * MIB, "{} MiB, then {}", before / MIB, after / MIB);
}

#[test]
fn a_sleeping_handler_is_cut_off_and_frees_its_place() {
    // More than there are places for attempts on two cores.
    const SLEEPERS: usize = 100;
    let yard = with_probe("timeout = \"200ms\"\nretry = { attempts = 1 }");
    let hour = order("sleep", "3600000");
    let sent: Vec<String> = (0..SLEEPERS).map(|_| yard.send("probe", &hour)).collect();
    for id in &sent {
        let event = yard.until(id, "dead");
        let [attempt] = attempts(&event) else { panic!("{event}") };
        assert_eq!(attempt["outcome"], "timeout");
        assert_eq!(attempt["error"], "no outcome within 200 ms");
    }
    yard.until(&yard.send("good", "{}"), "done");
}

#[test]
fn spinning_handlers_stop_nobody_elses_events() {
    const SPINNERS: usize = 8;
    let server = "drain_timeout = \"100ms\"\nthreads = { handlers = 2 }\n";
    let limits = "[handlers.spin]\ncpu = \"30s\"\n";
    let config = server.to_owned() + &routes(&["spin", "good"], ONCE) + limits;
    let mut yard = Yard::start(&config, &[("spin", &wat::spin()), ("good", &wat::ack())]);
    let spinning: Vec<String> = (0..SPINNERS).map(|_| yard.send("spin", "{}")).collect();
    wait("all to spin", || {
        (yard.metric(r#"hookyard_deliveries{state="leased"}"#) == SPINNERS as f64).then_some(())
    });
    for _ in 0..10 {
        yard.until(&yard.send("good", "{}"), "done");
    }
    for id in &spinning {
        assert_eq!(attempts(&yard.event(id)).len(), 0);
    }
    assert!(yard.stop().success());
    assert!(yard.log().contains("attempts were cut off"));
}

#[test]
fn an_endless_log_is_kept_up_to_its_limit() {
    let plugins = [("lines", &*wat::endless_log("again")), ("empty", &*wat::endless_log(""))];
    let config = routes(&["lines", "empty"], ONCE)
        + "[handlers.lines]\ncpu = \"50ms\"\nlog_bytes = 52\n[handlers.empty]\ncpu = \"500ms\"\n";
    let yard = Yard::start(&config, &plugins);
    for (handler, lines, last) in [("lines", 11, "ag"), ("empty", 1_000, "")] {
        let event = yard.until(&yard.send(handler, "{}"), "dead");
        let logs = attempts(&event)[0]["logs"].as_array().unwrap();
        assert_eq!(logs.len(), lines + 1);
        assert_eq!(logs[lines - 1]["message"], last);
        assert_eq!(logs[lines]["message"], "the log is full: later lines are dropped");
        let told = || {
            let log = yard.log();
            let its = format!(r#""handler":"{handler}","route""#);
            log.lines().filter(|line| line.contains(&its)).count()
        };
        wait("the lines in the log", || (told() > lines).then_some(()));
        assert_eq!(told(), lines + 1);
    }
}
