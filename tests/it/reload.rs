//! Hot reload of handlers: what becomes of `plugins/` while the program runs.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::letters::{attempts, routes};
use crate::wat;
use crate::wat_commands::spins_before_start;
use crate::yard::{Yard, wait};

impl Yard {
    /// Puts a plugin in place at once, as a careful tool does.
    pub fn rename_plugin(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let new = self.path("plugins").join("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(&new, self.path("plugins").join(file)).unwrap();
    }

    /// What the handler, which logs one line, says of a fresh event; and its version.
    pub fn said_by(&self, handler: &str) -> (String, String) {
        let event = self.until(&self.send(handler, "{}"), "done");
        let attempt = &attempts(&event)[0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&attempt["logs"][0]["message"]), text(&attempt["handler_version"]))
    }

    /// Waits until the handler says this.
    pub fn until_it_says(&self, handler: &str, line: &str) {
        wait(&format!("{handler} to say {line}"), || {
            (self.said_by(handler).0 == line).then_some(())
        });
    }

    /// Waits until something is wrong with a handler's file; tells what.
    pub fn until_error(&self, handler: &str) -> String {
        wait(&format!("an error of {handler}"), || {
            self.handler(handler)["error"].as_str().map(str::to_owned)
        })
    }
}

fn reloads(yard: &Yard, result: &str) -> f64 {
    yard.metric(&format!(r#"hookyard_reloads_total{{result="{result}"}}"#))
}

#[test]
fn a_module_that_appears_runs_and_its_parked_deliveries_go_on() {
    let yard = Yard::start(&routes(&["h"], ""), &[]);
    let sent: Vec<String> = (0..3).map(|_| yard.send("h", "{}")).collect();
    for id in &sent {
        yard.until(id, "parked");
    }
    yard.rename_plugin("h.wat", wat::log("one"));
    for id in &sent {
        assert_eq!(attempts(&yard.until(id, "done")).len(), 1);
    }
    assert_eq!((reloads(&yard, "ok"), reloads(&yard, "failed")), (1.0, 0.0));
}

#[test]
fn a_module_that_is_replaced_runs_from_then_on() {
    let yard = Yard::start(&routes(&["h", "other"], ""), &[("h", &wat::log("one"))]);
    let (said, first) = yard.said_by("h");
    assert_eq!(said, "one");
    yard.rename_plugin("h.wat", wat::log("renamed"));
    yard.until_it_says("h", "renamed");
    yard.plugin("h.wat", wat::log("written"));
    yard.until_it_says("h", "written");
    assert_ne!(yard.said_by("h").1, first);
    yard.rename_plugin("h.wat", wat::log("one"));
    yard.until_it_says("h", "one");
    assert_eq!(yard.said_by("h").1, first);
}

#[test]
fn a_module_that_breaks_leaves_its_last_good_version() {
    let yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::log("good"))]);
    let version = yard.handler("h")["version"].clone();
    let whole = ::wat::parse_str(wat::log("better")).unwrap();
    let broken = [
        (&whole[..whole.len() / 2], "truncated"),
        (b"", "the file is empty"),
        (b"#!/bin/sh", "this is not WebAssembly"),
        (b"(component (oops))", "WebAssembly text with a mistake"),
        (wat::spin_at_start().as_bytes(), "it fails as soon as it is instantiated: limit"),
        (spins_before_start().as_bytes(), "it fails as soon as it is instantiated: limit"),
        (b"(component)", "exports"),
    ]
    .map(|(bytes, says)| (bytes.to_owned(), says));
    for (bytes, says) in broken {
        yard.plugin("h.wat", bytes);
        wait(says, || yard.until_error("h").contains(says).then_some(()));
        let handler = yard.handler("h");
        assert_eq!((&handler["state"], &handler["version"]), (&json!("ready"), &version));
        assert_eq!(yard.said_by("h").0, "good");
        assert!(yard.log().contains(says), "{}", yard.log());
        let report = yard.reload();
        assert_eq!((&report["result"], &report["changed"]), (&json!("failed"), &json!([])));
        let told = report["errors"][0].as_str().unwrap();
        assert!(told.starts_with("handlers.h: ") && told.contains(says), "{told}");
    }
    assert!(reloads(&yard, "failed") >= 7.0);
    yard.rename_plugin("h.wat", whole);
    yard.until_it_says("h", "better");
    assert_eq!(yard.handler("h")["error"], Value::Null);
}

#[test]
fn a_bad_module_that_was_never_good_is_repaired_while_running() {
    let yard = Yard::start(&routes(&["h"], ""), &[("h", "not yet")]);
    assert_eq!(yard.handler("h")["state"], "bad");
    let id = yard.send("h", "{}");
    yard.until(&id, "parked");
    yard.plugin("h.wat", wat::log("now"));
    yard.until(&id, "done");
    assert_eq!(yard.handler("h")["state"], "ready");
    wait("it to be said", || yard.log().contains("no longer so").then_some(()));
}

#[test]
fn a_module_that_is_deleted_stays_until_a_restart() {
    let mut yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::log("still here"))]);
    fs::remove_file(yard.path("plugins/h.wat")).unwrap();
    let gone = yard.until_error("h");
    assert!(gone.contains("until a restart, which would park its deliveries"), "{gone}");
    assert_eq!(yard.handler("h")["state"], "ready");
    assert_eq!(yard.said_by("h").0, "still here");
    let report = yard.reload();
    assert_eq!((&report["result"], &report["errors"]), (&json!("ok"), &json!([])));
    assert_eq!(report["warnings"], json!([format!("handlers.h: {gone}")]));
    assert_eq!(yard.log().matches("until a restart").count(), 1);
    yard.kill();
    yard.run();
    assert_eq!(yard.handler("h")["state"], "missing");
    yard.until(&yard.send("h", "{}"), "parked");
}

#[test]
fn a_folder_is_swapped_as_kubernetes_does() {
    let mut yard = Yard::new(&routes(&["h"], ""));
    let plugins = yard.path("plugins");
    let fill = |folder: &str, says: &str| {
        fs::create_dir(plugins.join(folder)).unwrap();
        fs::write(plugins.join(folder).join("h.wat"), wat::log(says)).unwrap();
    };
    fill("..1", "first");
    symlink("..1", plugins.join("..data")).unwrap();
    symlink("..data/h.wat", plugins.join("h.wat")).unwrap();
    yard.run();
    assert_eq!(yard.said_by("h").0, "first");
    for (folder, says) in [("..2", "second"), ("..3", "third")] {
        fill(folder, says);
        symlink(folder, plugins.join("..data_tmp")).unwrap();
        fs::rename(plugins.join("..data_tmp"), plugins.join("..data")).unwrap();
        yard.until_it_says("h", says);
    }
    assert_eq!((reloads(&yard, "ok"), reloads(&yard, "failed")), (2.0, 0.0));
}

#[test]
fn the_plugins_folder_itself_may_be_a_link_that_is_swapped() {
    let mut yard = Yard::new(&routes(&["h"], ""));
    fs::remove_dir(yard.path("plugins")).unwrap();
    for (folder, says) in [("one", "first"), ("two", "second")] {
        fs::create_dir(yard.path(folder)).unwrap();
        fs::write(yard.path(folder).join("h.wat"), wat::log(says)).unwrap();
    }
    symlink("one", yard.path("plugins")).unwrap();
    yard.run();
    assert_eq!(yard.said_by("h").0, "first");
    symlink("two", yard.path("swap")).unwrap();
    fs::rename(yard.path("swap"), yard.path("plugins")).unwrap();
    yard.until_it_says("h", "second");
    fs::write(yard.path("two/h.wat"), wat::log("third")).unwrap();
    yard.until_it_says("h", "third");
}

#[test]
fn a_change_that_the_system_does_not_tell_is_found_by_looking() {
    let mut yard = Yard::new(&routes(&["h"], ""));
    fs::create_dir_all(yard.path("far/away")).unwrap();
    fs::write(yard.path("far/away/h.wat"), wat::log("one")).unwrap();
    symlink(yard.path("far/away/h.wat"), yard.path("plugins/h.wat")).unwrap();
    yard.run();
    let first = yard.handler("h")["version"].clone();
    fs::write(yard.path("far/away/h.wat"), wat::log("two")).unwrap();
    wait("the next version", || (yard.handler("h")["version"] != first).then_some(()));
    assert_eq!(yard.said_by("h").0, "two");
}

#[test]
fn a_hangup_reloads() {
    let yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::log("one"))]);
    yard.signal("HUP");
    wait("a reload", || (reloads(&yard, "ok") == 1.0).then_some(()));
    yard.rename_plugin("h.wat", wat::log("two"));
    yard.signal("HUP");
    yard.until_it_says("h", "two");
}

#[test]
fn an_attempt_ends_on_the_version_that_it_began_with() {
    let config = routes(&["h"], "retry = { attempts = 1 }") + "[handlers.h]\nlog_bytes = 1\n";
    let yard = Yard::start(&config, &[("h", &wat::endless_log("begun"))]);
    let first = yard.handler("h")["version"].clone();
    let id = yard.send("h", "{}");
    wait("the attempt", || yard.log().contains("later lines are dropped").then_some(()));
    yard.rename_plugin("h.wat", wat::log("two"));
    assert_eq!(yard.reload()["changed"], json!(["handlers.h"]));
    assert_eq!(yard.said_by("h").0, "t");
    let event = yard.until(&id, "dead");
    assert_eq!(attempts(&event)[0]["handler_version"], first);
}
