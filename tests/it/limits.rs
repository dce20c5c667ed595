//! The limits of handlers, each at its edge, and who may set them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sha2::{Digest, Sha256};

use crate::letters::{attempts, order, routes};
use crate::wat;
use crate::yard::{Yard, wait};

const ONCE: &str = "retry = { attempts = 1 }";

/// What came of an event for that handler: the outcome, and the error if there was one.
fn outcome(yard: &Yard, handler: &str, body: &str) -> (String, String) {
    let id = yard.send(handler, body);
    let event = wait("an outcome", || {
        let event = yard.event(&id);
        let ended = ["done", "dead"].iter().any(|state| event["deliveries"][0]["state"] == *state);
        ended.then_some(event)
    });
    let [attempt] = attempts(&event) else { panic!("{event}") };
    let text = |name: &str| attempt[name].as_str().unwrap_or_default().to_owned();
    (text("outcome"), text("error"))
}

#[test]
fn a_stack_is_as_large_as_its_table_says() {
    // A frame takes 32 to 128 bytes, whatever the machine.
    let depths = [("shallow", 400), ("deep", 3_000)];
    let sizes = ["64KiB", "512KiB", "1MiB"];
    let name = |depth: &str, size: &str| format!("{depth}-{size}");
    let all = depths.iter().flat_map(|(depth, _)| sizes.map(|size| name(depth, size)));
    let names: Vec<String> = all.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stacks = names.iter().map(|name| {
        let size = name.split_once('-').unwrap().1;
        format!("[handlers.{name}]\nstack = \"{size}\"\n")
    });
    let config = routes(&names, ONCE) + &stacks.collect::<String>();
    let mut yard = Yard::new(&config);
    for (depth, calls) in depths {
        for size in sizes {
            yard.plugin(&format!("{}.wat", name(depth, size)), wat::recurse_to(calls));
        }
    }
    yard.run();
    for size in sizes {
        assert_eq!(outcome(&yard, &name("shallow", size), "{}").0, "ack", "{size}");
    }
    let full = ("limit".to_owned(), "stack: the limit is 65536 bytes".to_owned());
    assert_eq!(outcome(&yard, "deep-64KiB", "{}"), full);
    assert_eq!(outcome(&yard, "deep-1MiB", "{}").0, "ack");
}

#[test]
fn another_stack_is_in_force_after_a_reload() {
    let config =
        |stack: &str| format!("{}[handlers.h]\nstack = \"{stack}\"\n", routes(&["h"], ONCE));
    let yard = Yard::start(&config("64KiB"), &[("h", &wat::recurse_to(3_000))]);
    assert_eq!(outcome(&yard, "h", "{}").0, "limit");
    yard.configure(&config("1MiB"));
    yard.reload();
    assert_eq!(outcome(&yard, "h", "{}").0, "ack");
}

#[test]
fn a_stack_that_is_too_small_stays_an_error_until_it_is_changed() {
    let config =
        |stack: &str| format!("{}[handlers.h]\nstack = \"{stack}\"\n", routes(&["h"], ONCE));
    let yard = Yard::start(&config("1MiB"), &[("h", &wat::recurse_at_start(3_000))]);
    yard.configure(&config("64KiB"));
    for _ in 0..3 {
        let report = yard.reload();
        let error = report["errors"][0].as_str().unwrap_or_default();
        assert!(error.contains("stack: the limit is 65536 bytes"), "{report}");
        assert_eq!(outcome(&yard, "h", "{}").0, "ack", "the last good one stays");
    }
    yard.configure(&config("512KiB"));
    assert_eq!(yard.reload()["result"], "ok");
    assert_eq!(outcome(&yard, "h", "{}").0, "ack");
}

#[test]
fn one_call_of_the_host_takes_so_many_bytes_and_no_more() {
    const MOST: u32 = 4 << 20;
    let plugins = [("most", &*wat::log_of(MOST)), ("more", &*wat::log_of(MOST + 1))];
    let yard = Yard::start(&routes(&["most", "more"], ONCE), &plugins);
    assert_eq!(outcome(&yard, "most", "{}").0, "ack");
    let (outcome, error) = outcome(&yard, "more", "{}");
    assert_eq!(outcome, "trap");
    assert!(error.starts_with("too much data is being copied"), "{error}");
}

#[test]
fn a_handler_holds_so_many_handles_and_no_more() {
    let mut yard = Yard::new(&(routes(&["probe"], ONCE) + "[handlers.probe]\nstate = {}\n"));
    yard.add_probe("probe");
    yard.run();
    // Its own streams are among them.
    assert_eq!(outcome(&yard, "probe", &order("hold", "9990")).1, "holds 9990");
    let full = ("limit".to_owned(), "handles: the limit is 10000".to_owned());
    assert_eq!(outcome(&yard, "probe", &order("hold", "10001")), full);
}

#[test]
fn only_the_modules_that_are_listed_run() {
    let [good, other] = [wat::ack(), wat::reject("other")];
    let hash = |text: &str| hex::encode(Sha256::digest(text));
    let config =
        |pins: &[String]| format!("{}[handlers.h]\nsha256 = {pins:?}\n", routes(&["h"], ONCE));
    let yard = Yard::start(&config(&[hash("else"), hash(&good)]), &[("h", &good)]);
    assert_eq!(outcome(&yard, "h", "{}").0, "ack");

    yard.plugin("h.wat", &other);
    let refused =
        format!("its SHA-256 is {}, which `sha256` in its table does not list", hash(&other));
    let report = yard.reload();
    assert_eq!(report["errors"][0], format!("handlers.h: {refused}"));
    assert_eq!(outcome(&yard, "h", "{}").0, "ack", "the last good one stays");
    let check = yard.command(&["check"]).output().unwrap();
    assert!(String::from_utf8(check.stdout).unwrap().contains(&refused));

    yard.configure(&config(&[hash(&other)]));
    yard.reload();
    assert_eq!(outcome(&yard, "h", "{}").0, "reject");

    yard.configure(&config(&[hash("else")]));
    yard.reload();
    let event = yard.until(&yard.send("h", "{}"), "parked");
    assert!(event["deliveries"][0]["cause"].as_str().unwrap().contains(&refused), "{event}");
}

#[test]
fn what_others_can_write_is_warned_about() {
    let yard = Yard::start(&routes(&["h"], ONCE), &[("h", &wat::ack())]);
    let check = || {
        let output = yard.command(&["check"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let warning = "any user of this machine can write to it";
    assert!(!yard.log().contains(warning) && !check().1.contains(warning));
    for (path, mode) in [("plugins/h.wat", 0o646), ("plugins", 0o757)] {
        fs::set_permissions(yard.path(path), fs::Permissions::from_mode(mode)).unwrap();
        let (code, shown) = check();
        assert_eq!(code, Some(0), "a warning is no failure: {shown}");
        assert!(shown.contains(warning), "{shown}");
        let warnings = yard.reload()["warnings"].to_string();
        assert!(warnings.contains(&format!("{path}: {warning}")), "{warnings}");
        fs::set_permissions(yard.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}
