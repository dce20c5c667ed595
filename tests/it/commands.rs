//! WASI commands: JSON on stdin, an outcome on stdout or by exit code, within the limits of all.

use serde_json::{Value, json};

use crate::letters::{attempts, delivery, routes};
use crate::wat_commands::{
    STDERR, STDOUT, component, copies_to, counts, floods, module, prints, without_run,
};
use crate::yard::{Yard, guest, wait};

/// One attempt decides.
const ONCE: &str = "retry = { attempts = 1 }";

/// Runs each command once: its name, its text, and the outcome and error that it must come to.
fn come_to(limits: &str, commands: &[(&str, String, &str, &str)]) {
    let names: Vec<&str> = commands.iter().map(|(name, ..)| *name).collect();
    let tables: String =
        names.iter().map(|name| format!("[handlers.{name}]\n{limits}\n")).collect();
    let plugins: Vec<(&str, &str)> =
        commands.iter().map(|(name, text, ..)| (*name, text.as_str())).collect();
    let yard = Yard::start(&(routes(&names, ONCE) + &tables), &plugins);
    for (name, _, outcome, error) in commands {
        let handled = matches!(*outcome, "ack" | "reply");
        let event = yard.until(&yard.send(name, "{}"), if handled { "done" } else { "dead" });
        let [attempt] = attempts(&event) else { panic!("{event}") };
        assert_eq!(attempt["outcome"], *outcome, "{name}: {attempt}");
        let found = attempt["error"].as_str().unwrap_or_default();
        if handled {
            assert_eq!(attempt["error"], Value::Null, "{name}");
        } else {
            assert!(found.contains(error), "{name}: {found}");
        }
    }
}

#[test]
fn an_exit_code_is_an_outcome() {
    let exit = |code: u32| format!("(call $exit (i32.const {code}))");
    let ack = r#"{"outcome":"ack"}"#;
    come_to(
        "",
        &[
            ("silent", module(""), "ack", ""),
            ("zero", module(&exit(0)), "ack", ""),
            ("bad-data", module(&exit(65)), "reject", "exit code 65"),
            ("told", prints(STDERR, "first\nno tenant\n\n", &exit(65)), "reject", "no tenant"),
            ("one", module(&exit(1)), "retry", "exit code 1"),
            ("told-one", prints(STDERR, "down", &exit(75)), "retry", "exit code 75: down"),
            ("code-counts", prints(STDOUT, ack, &exit(1)), "retry", "exit code 1"),
            ("no-code", module(&exit(200)), "trap", "exit status"),
            ("trap", prints(STDOUT, ack, "unreachable"), "trap", "unreachable"),
            ("ok", component(0), "ack", ""),
            ("err", component(1), "retry", "exit code 1"),
        ],
    );
}

#[test]
fn what_is_printed_is_an_outcome() {
    let print = |text: &str| prints(STDOUT, text, "");
    let emit = r#"{"outcome":"ack","emit":[{"event_type":"a.b","body":"{}"}]}"#;
    come_to(
        "",
        &[
            ("space", print(" \r\n"), "ack", ""),
            ("ack", print(r#"{"outcome":"ack"}"#), "ack", ""),
            ("reply", print(r#"{"outcome":"reply","status":201,"body":"x"}"#), "reply", ""),
            ("retry", print(r#"{"outcome":"retry","reason":"down"}"#), "retry", "down"),
            ("reject", print(r#"{"outcome":"reject","reason":"no"}"#), "reject", "no"),
            (
                "words",
                print("done\n"),
                "trap",
                r#"stdout is no outcome: it is no JSON object; it begins "done\n""#,
            ),
            ("typo", print(r#"{"outcom":"ack"}"#), "trap", "missing field `outcome`"),
            (
                "emit",
                print(emit),
                "trap",
                "not granted: this handler may not emit events of type a.b; router.toml",
            ),
            ("event", copies_to(STDOUT), "trap", "missing field `outcome`"),
        ],
    );
}

#[test]
fn a_command_is_stopped_at_its_limits() {
    let spin = "(loop $again (br $again))";
    let grow = "(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16))))) unreachable";
    let recursion = r#"(module (func $deeper (export "_start") call $deeper call $deeper))"#;
    come_to(
        "cpu = \"50ms\"\nmemory = \"4MiB\"\nlog_bytes = \"1KiB\"",
        &[
            ("spin", module(spin), "limit", "cpu: "),
            ("memory", module(grow), "limit", "memory: "),
            ("stack", recursion.to_owned(), "limit", "stack"),
            ("stdout", floods(STDOUT, 32_768), "limit", "stdout: the limit is 4194304 bytes"),
            ("nothing", floods(STDOUT, 0), "limit", "cpu: "),
            ("stderr", floods(STDERR, 32_768), "limit", "cpu: "),
        ],
    );
}

#[test]
fn a_command_reads_the_event_as_json() {
    let config = format!("{}[handlers.h]\nconfig = {{ region = \"eu\" }}\n", routes(&["h"], ONCE));
    let yard = Yard::start(&config, &[("h", &copies_to(STDERR))]);
    let posted = |headers: &[(&str, &str)], body: &[u8]| {
        let headers = [&[("x-for", "h")], headers].concat();
        let id =
            yard.post("/hooks/s?a=1", &headers, body).json()["id"].as_str().unwrap().to_owned();
        let event = yard.until(&id, "done");
        let lines = attempts(&event)[0]["logs"].as_array().unwrap().clone();
        let [line] = &lines[..] else { panic!("{event}") };
        assert_eq!(line["level"], "info");
        (id, line["message"].as_str().unwrap().to_owned())
    };

    let (id, line) = posted(&[("X-Twice", "1"), ("X-Twice", "\"2\"")], "{\"ü\": 1}".as_bytes());
    let read: Value = serde_json::from_str(&line).unwrap();
    let received_at = read["received_at"].as_u64().unwrap();
    assert!(received_at > 1_700_000_000_000, "{line}");
    assert_eq!(
        line,
        format!(
            r#"{{"id":"{id}","source":"s","event_type":"h","route":"h","received_at":{received_at},"attempt":1,"headers":[["host","hooks"],["content-length","9"],["x-for","h"],["x-twice","1"],["x-twice","\"2\""],["connection","close"]],"attributes":{{"path":"/hooks/s","peer":"127.0.0.1","query":"a=1"}},"body":"{{\"ü\": 1}}","config":{{"region":"eu"}}}}"#
        )
    );

    let (_, line) = posted(&[], b"\xff\0");
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&read["body_base64"], &read["body"]), (&"/wA=".into(), &Value::Null));
}

#[test]
fn a_rust_program_is_a_command_and_reaches_nothing() {
    let config = routes(&["command"], "timeout = \"3s\"\nretry = { attempts = 1 }");
    let mut yard = Yard::new(&config);
    yard.plugin("command.wasm", std::fs::read(guest("command")).unwrap());
    yard.run();
    assert_eq!(yard.handler("command")["abi"], "command");
    for (order, outcome, error) in [
        (json!({"do": "print"}), "ack", ""),
        (json!({"do": "print", "arg": r#"{"outcome":"retry","reason":"r"}"#}), "retry", "r"),
        (json!({"do": "exit", "arg": "0"}), "ack", ""),
        // `wasi:cli/exit` knows success and failure only.
        (json!({"do": "exit", "arg": "65"}), "retry", "exit code 1: asked to"),
        (json!({"do": "panic", "arg": "oh no"}), "trap", "oh no, at src/main.rs:"),
        (json!({"do": "sleep", "arg": "60000"}), "timeout", "within 3000 ms"),
        (json!({"do": "flood", "arg": "x".repeat(4_000)}), "limit", "stdout: the limit is"),
        (json!({"do": "event"}), "reject", r#""event_type":"command""#),
        (json!({"do": "env"}), "reject", r#"Args { inner: ["handler"] } Vars { inner: [] }"#),
        (json!({"do": "files", "arg": "/"}), "reject", "Err("),
    ] {
        let state = if outcome == "ack" { "done" } else { "dead" };
        let event = yard.until(&yard.send("command", &order.to_string()), state);
        let attempt = &attempts(&event)[0];
        assert_eq!(attempt["outcome"], outcome, "{order}: {attempt}");
        let found = attempt["error"].as_str().unwrap_or_default();
        assert!(found.contains(error), "{order}: {found}");
    }
}

#[test]
fn what_a_command_prints_to_stderr_is_its_log() {
    let text = "one\ntw\u{1b}o\n\nno end";
    let yard = Yard::start(&routes(&["h"], ""), &[("h", &prints(STDERR, text, ""))]);
    let event = yard.until(&yard.send("h", "{}"), "done");
    let line = |text: &str| json!({"level": "info", "message": text});
    let lines = json!([line("one"), line(r"tw\u{1b}o"), line("no end")]);
    assert_eq!(attempts(&event)[0]["logs"], lines);
    let told = format!(r#""level":"INFO","message":"no end","event":{},"#, event["id"]);
    let line = wait("the line in the log", || {
        yard.log().lines().find(|line| line.contains(&told)).map(str::to_owned)
    });
    assert!(line.ends_with(r#""handler":"h","route":"h"}"#), "{line}");
}

#[test]
fn every_attempt_has_an_instance_of_its_own() {
    let yard = Yard::start(
        &routes(&["counts"], "retry = { attempts = 3, first = \"1ms\" }"),
        &[("counts", &counts())],
    );
    let event = yard.until(&yard.send("counts", "{}"), "dead");
    let errors: Vec<&Value> = attempts(&event).iter().map(|attempt| &attempt["error"]).collect();
    assert_eq!(errors, ["exit code 1"; 3]);
}

#[test]
fn what_cannot_be_run_as_a_command_is_told_why() {
    let imports = |module: &str, name: &str| {
        format!(r#"(module (import "{module}" "{name}" (func)) (func (export "_start")))"#)
    };
    let files = [
        (
            "library",
            r#"(module (func (export "_initialize")))"#.to_owned(),
            "without a function `_start`",
        ),
        (
            "foreign",
            imports("env", "magic"),
            "imports env.magic: one may import only wasi_snapshot",
        ),
        ("preview0", imports("wasi_unstable", "proc_exit"), "wasi_unstable.proc_exit"),
        ("unknown", imports("wasi_snapshot_preview1", "fly"), "wasi_snapshot_preview1::fly"),
        (
            "typed",
            r#"(module (func (export "_start") (param i32)))"#.to_owned(),
            "`_start` has parameters",
        ),
        (
            "shared",
            r#"(module (memory 1 1 shared) (func (export "_start")))"#.to_owned(),
            "threads",
        ),
        ("wide", r#"(module (memory i64 1) (func (export "_start")))"#.to_owned(), "memory64"),
        ("gc", r#"(module (type (struct)) (func (export "_start")))"#.to_owned(), "(GC)"),
        ("run", without_run(), "cannot be run as a WASI command"),
    ];
    let names: Vec<&str> = files.iter().map(|(name, ..)| *name).collect();
    let plugins: Vec<(&str, &str)> =
        files.iter().map(|(name, text, _)| (*name, text.as_str())).collect();
    let yard = Yard::start(&routes(&names, ""), &plugins);
    for (name, _, says) in &files {
        let handler = yard.handler(name);
        let error = handler["error"].as_str().unwrap_or_else(|| panic!("{handler}"));
        assert!(error.contains(says), "{name}: {error}");
        assert_eq!((&handler["state"], &handler["abi"]), (&"bad".into(), &Value::Null));
        let event = yard.until(&yard.send(name, "{}"), "parked");
        assert!(delivery(&event)["cause"].as_str().unwrap().ends_with(error), "{event}");
    }
}
