//! What a file in `plugins/` is, and what becomes of the deliveries of a handler that cannot run.

use std::fs;

use serde_json::Value;

use crate::letters::{attempts, delivery, routes};
use crate::wat;
use crate::yard::{Yard, wait};

/// A handler in binary form.
fn binary() -> Vec<u8> {
    ::wat::parse_str(wat::ack()).unwrap()
}

/// Native code, as wasmtime compiles it ahead of time.
fn precompiled() -> Vec<u8> {
    let engine = wasmtime::Engine::default();
    engine.precompile_component(&::wat::parse_str("(component)").unwrap()).unwrap()
}

/// A component that exports an interface of this name, and no handler.
fn exporting(name: &str) -> String {
    format!(r#"(component (instance $nothing) (export "{name}" (instance $nothing)))"#)
}

/// A component whose `handle` is another function.
const OTHER_TYPES: &str = r#"(component
  (core module $code (func (export "handle")))
  (core instance $code (instantiate $code))
  (func $handle (canon lift (core func $code "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "hookyard:handler/handler@0.1.0" (instance $handler)))"#;

/// A handler with a memory that begins with a GiB.
fn much_memory() -> String {
    wat::ack().replace("(memory (export \"memory\") 2)", "(memory (export \"memory\") 16384)")
}

/// A handler by its name that holds a memory of this kind.
fn with_memory(memory: &str) -> String {
    let module = format!("(component (core module (memory {memory}))");
    exporting("hookyard:handler/handler@0.1.0").replacen("(component", &module, 1)
}

/// Files that are no handlers, and what is said of each.
fn bad_files() -> Vec<(String, Vec<u8>, &'static str)> {
    let text = |name: &str, text: &str, says| (name.to_owned(), text.as_bytes().to_vec(), says);
    let elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0".to_vec();
    let magic =
        "(see the world in wit/hookyard.wit): component imports instance `acme:magic/wand@1.0.0`";
    let mut files = vec![
        text("empty.wasm", "", "the file is empty"),
        text("words.wasm", "#!/bin/sh\nexec true\n", "this is not WebAssembly: give a .wasm"),
        text("mistake.wat", "(component\n (oops))", "valid component field (line and column 2:3)"),
        text("escape.wat", "(component \"\u{1b}[2J\u{7f}\")", "WebAssembly text with a mistake"),
        text("core.wat", "(module)", "without a function `_start`"),
        text("nothing.wat", &wat::without_export(), "exports nothing"),
        text("http.wat", &exporting("wasi:http/incoming-handler@0.2.0"), "not the one of WASI 0.2"),
        text("later.wat", &exporting("wasi:http/handler@0.3.0"), "needs WASI 0.3"),
        text("shared.wat", &with_memory("1 1 shared"), "needs threads, a feature"),
        text("other.wat", &exporting("acme:shop/till@1.0.0"), "exports acme:shop/till@1.0.0"),
        text("types.wat", OTHER_TYPES, "its hookyard:handler/handler@0.1.0 is not the one of"),
        text("memory.wat", &much_memory(), "ceilings.memory"),
        text("wide.wat", &with_memory("i64 1"), "memory64"),
        text("magic.wat", &wat::unknown_import(), magic),
        ("native.wasm".to_owned(), elf, "native code, not WebAssembly: build it for"),
        ("ahead.wasm".to_owned(), precompiled(), "precompiled native code (.cwasm)"),
        ("large.wasm".to_owned(), vec![b'('; LIMIT + 1], "65537 bytes, more than the 65536"),
    ];
    let whole = binary();
    for (cut, says) in [
        (1, "this is not WebAssembly"),
        (4, "truncated"),
        (7, "truncated"),
        (8, "exports nothing"),
        (9, "truncated"),
        (whole.len() / 2, "truncated"),
        (whole.len() - 1, "truncated"),
    ] {
        files.push((format!("cut-{cut}.wasm"), whole[..cut].to_vec(), says));
    }
    files
}

/// `ceilings.module` in these tests.
const LIMIT: usize = 64 << 10;

const CEILINGS: &str = "ceilings = { module = \"64KiB\" }\n";

fn name(file: &str) -> &str {
    file.rsplit_once('.').unwrap().0
}

#[test]
fn a_file_that_is_no_handler_is_told_by_name_and_its_deliveries_wait() {
    let files = bad_files();
    let names: Vec<&str> = files.iter().map(|(file, ..)| name(file)).collect();
    let mut yard = Yard::new(&(CEILINGS.to_owned() + &routes(&names, "")));
    for (file, bytes, _) in &files {
        yard.plugin(file, bytes);
    }
    yard.run();
    let mut sent = Vec::new();
    for (file, _, says) in &files {
        let handler = yard.handler(name(file));
        assert_eq!(handler["state"], "bad", "{handler}");
        assert_eq!((&handler["abi"], &handler["version"]), (&Value::Null, &Value::Null));
        let error = handler["error"].as_str().unwrap();
        assert!(error.contains(says), "{file}: {error}");
        assert!(!error.contains(char::is_control), "{file}: {error}");
        let id = yard.send(name(file), "{}");
        let event = yard.until(&id, "parked");
        let cause = delivery(&event)["cause"].as_str().unwrap();
        assert_eq!(cause, format!("handler {} cannot be loaded: {error}", name(file)));
        assert_eq!(attempts(&event).len(), 0, "{event}");
        sent.push(id);
    }
    assert!(yard.stop().success());
    for (file, ..) in &files {
        fs::remove_file(yard.path("plugins").join(file)).unwrap();
        yard.plugin(&format!("{}.wasm", name(file)), binary());
    }
    yard.run();
    for id in &sent {
        let event = yard.until(id, "done");
        assert_eq!(attempts(&event).len(), 1, "{event}");
        assert_eq!(
            (&attempts(&event)[0]["n"], &delivery(&event)["cause"]),
            (&1.into(), &Value::Null)
        );
    }
    yard.settled(sent.len(), 0);
}

#[test]
fn both_forms_of_a_handler_are_accepted_but_not_at_once() {
    let mut yard = Yard::new(&routes(&["text", "binary", "both", "text-inside"], ""));
    yard.plugin("text.wat", wat::ack());
    yard.plugin("binary.wasm", binary());
    yard.plugin("text-inside.wasm", wat::ack());
    yard.plugin("both.wat", wat::ack());
    yard.plugin("both.wasm", binary());
    yard.run();
    for name in ["text", "binary", "text-inside"] {
        let handler = yard.handler(name);
        assert_eq!((&handler["state"], &handler["abi"]), (&"ready".into(), &"component".into()));
        let event = yard.until(&yard.send(name, "{}"), "done");
        assert_eq!(attempts(&event)[0]["handler_version"], handler["version"]);
    }
    assert_ne!(yard.handler("text")["version"], yard.handler("binary")["version"]);
    let error = "there are both both.wasm and both.wat: remove one";
    assert_eq!(yard.handler("both")["error"], error);
    let event = yard.until(&yard.send("both", "{}"), "parked");
    assert!(delivery(&event)["cause"].as_str().unwrap().ends_with(error));
}

#[test]
fn a_module_may_be_as_large_as_its_ceiling() {
    let mut yard = Yard::new(&(CEILINGS.to_owned() + &routes(&["largest"], "")));
    let mut text = wat::ack();
    text.push_str(&" ".repeat(LIMIT - text.len()));
    yard.plugin("largest.wat", &text);
    yard.run();
    assert_eq!(yard.handler("largest")["state"], "ready");
    yard.until(&yard.send("largest", "{}"), "done");
}

#[test]
fn what_is_no_file_is_bad_and_stops_nothing() {
    let mut yard = Yard::new(&routes(&["folder", "pipe", "gone", "good"], ""));
    fs::create_dir(yard.path("plugins/folder.wasm")).unwrap();
    let pipe = yard.path("plugins/pipe.wasm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("nowhere", yard.path("plugins/gone.wasm")).unwrap();
    yard.plugin("good.wat", wat::ack());
    yard.run();
    for name in ["folder", "pipe"] {
        let handler = yard.handler(name);
        assert_eq!(handler["state"], "bad");
        assert!(handler["error"].as_str().unwrap().contains("no file"), "{handler}");
    }
    assert_eq!(yard.handler("gone")["state"], "missing");
    yard.until(&yard.send("good", "{}"), "done");
}

#[test]
fn deliveries_of_a_missing_handler_run_once_it_is_there_in_order_of_arrival() {
    const EVENTS: usize = 40;
    let config = format!("threads = {{ handlers = 1 }}\n{}", routes(&["late"], ""));
    let mut yard = Yard::start(&config, &[]);
    let handler = yard.handler("late");
    assert_eq!((&handler["state"], &handler["error"]), (&"missing".into(), &Value::Null));
    let sent: Vec<String> = (0..EVENTS).map(|_| yard.send("late", "{}")).collect();
    for id in &sent {
        let event = yard.until(id, "parked");
        assert_eq!(delivery(&event)["cause"], "handler late is missing");
        assert_eq!(attempts(&event).len(), 0, "{event}");
    }
    yard.reads(r#"hookyard_deliveries{state="parked"}"#, EVENTS as f64);
    assert!(yard.log().contains("the handler's file is missing: deliveries are parked"));

    yard.kill();
    yard.run();
    yard.until(&sent[0], "parked");
    yard.kill();
    yard.plugin("late.wat", wat::ack());
    yard.run();
    let started: Vec<String> = (sent.iter())
        .map(|id| attempts(&yard.until(id, "done"))[0]["started_at"].as_str().unwrap().to_owned())
        .collect();
    assert!(started.is_sorted(), "{started:?}");
}

#[test]
fn a_removed_routes_deliveries_come_back_with_the_route() {
    let again = "retry = { first = \"300ms\" }";
    let both = routes(&["stays", "goes"], again);
    let plugins = [("stays", &*wat::ack()), ("goes", &*wat::retry(None, "later"))];
    let mut yard = Yard::start(&both, &plugins);
    let id = yard.send("goes", "{}");
    wait("an attempt", || (!attempts(&yard.event(&id)).is_empty()).then_some(()));
    yard.kill();

    yard.configure(&routes(&["stays"], again));
    yard.run();
    let event = yard.until(&id, "parked");
    assert_eq!(delivery(&event)["cause"], "router.toml has no such route any more");
    assert_eq!(delivery(&event)["route"], "goes");
    let before = attempts(&event).to_vec();
    yard.until(&yard.send("stays", "{}"), "done");
    yard.kill();

    yard.configure(&both);
    yard.plugin("goes.wat", wat::ack());
    yard.run();
    let event = yard.until(&id, "done");
    let (last, earlier) = attempts(&event).split_last().unwrap();
    assert_eq!(earlier, before);
    assert_eq!((&last["n"], &last["outcome"]), (&(before.len() + 1).into(), &"ack".into()));
}
