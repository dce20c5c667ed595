//! A handler that nobody has read, one after the other. Each is stopped as its row says; the
//! server goes on, its memory comes back, and another handler is served as before.

use std::time::{Duration, Instant};

use crate::letters::{attempts, order, routes};
use crate::wat_commands::{STDERR, STDOUT, floods, module};
use crate::yard::{Yard, wait};
use crate::{wat, wat_commands};

pub const ROUTE: &str = "timeout = \"5s\"\nretry = { attempts = 1 }";
pub const TABLE: &str = "cpu = \"60ms\"\nmemory = \"16MiB\"\nstate = {}\nemit = [\"made\"]\n";

/// Memory that the server may have taken meanwhile: more than one attempt may.
const GROWN: u64 = 48 << 20;

/// How many answers tell how the neighbour is served.
const ANSWERS: usize = 15;

/// A module that is loaded: its name, its text, and how an attempt ends.
type Called = (&'static str, String, &'static str, &'static str);

const CPU: &str = "ms used, the limit is 60 ms";

fn called() -> Vec<Called> {
    let forever = "(loop $again (br $again)) unreachable";
    vec![
        ("spin", wat::spin(), "limit", CPU),
        ("trap", wat::trap(), "trap", "unreachable"),
        ("divide", wat::plain("(i32.div_s (i32.const 1) (i32.const 0))"), "trap", "divide by zero"),
        ("load", wat::plain("(i32.load (i32.const -4))"), "trap", "out of bounds"),
        (
            "null",
            wat::with_fields(
                "(table 1 funcref) (type $f (func (result i32)))",
                "(call_indirect (type $f) (i32.const 0))",
            ),
            "trap",
            "uninitialized element",
        ),
        (
            "type",
            wat::with_fields(
                "(table funcref (elem $g)) (type $f (func (result i32))) (func $g)",
                "(call_indirect (type $f) (i32.const 0))",
            ),
            "trap",
            "indirect call type mismatch",
        ),
        ("recurse", wat::recurse(), "limit", "stack: the limit is 524288 bytes"),
        ("grow", wat::grow(), "limit", "memory: "),
        ("grow-many", wat::grow_many(), "limit", "memory: "),
        ("grow-then-spin", wat::grow_then_spin(), "limit", CPU),
        (
            "tables",
            wat::with_fields(
                "(table $t 1 funcref)",
                "(loop $again (br_if $again (i32.ne (i32.const -1)
                  (table.grow $t (ref.null func) (i32.const 9999))))) unreachable",
            ),
            "limit",
            "tables: ",
        ),
        (
            "fill",
            wat::plain(
                "(drop (memory.grow (i32.const 200)))
                (loop $again (memory.fill (i32.const 131072) (i32.const 1) (i32.const 13000000))
                  (br $again)) unreachable",
            ),
            "limit",
            CPU,
        ),
        ("no-outcome", wat::no_outcome(), "trap", "unexpected discriminant"),
        ("no-utf-8", wat::reject(b"a\xffb"), "trap", "invalid utf-8"),
        ("half-utf-8", wat::reject(b"\xc3"), "trap", "incomplete utf-8"),
        ("outside", wat::endless_reason(), "trap", "out of bounds"),
        (
            "control",
            wat::reject("\x1b]0;owned\x07\r\n\u{202e}\u{9b}2J"),
            "reject",
            "\\u{1b}]0;owned",
        ),
        ("large-reply", wat::huge_reply(8 << 20), "trap", "too much data"),
        ("gib-reply", wat::huge_reply(1 << 30), "limit", "memory: "),
        ("endless-log", wat::endless_log("\x1b[2J"), "limit", CPU),
        ("empty-log", wat::endless_log(""), "limit", CPU),
        ("alloc-outside", wat::allocates("(i32.const -1)"), "trap", "realloc"),
        ("alloc-unaligned", wat::allocates("(i32.const 7)"), "trap", "realloc"),
        ("alloc-spin", wat::allocates(forever), "limit", CPU),
        ("alloc-trap", wat::allocates("unreachable"), "trap", "unreachable"),
        ("command-spin", module(forever), "limit", CPU),
        ("command-stdout", floods(STDOUT, 32_768), "limit", "stdout: the limit is 4194304 bytes"),
        ("command-nothing", floods(STDOUT, 0), "limit", CPU),
        ("command-stderr", floods(STDERR, 32_768), "limit", CPU),
        ("command-exit", module("(call $exit (i32.const -1))"), "trap", "exit"),
        (
            "command-outside",
            module("(call $put (i32.const 1) (i32.const -9) (i32.const 99))"),
            "trap",
            "Pointer out of bounds",
        ),
    ]
}

/// What a handler of a toolchain asks of the host, again and again, and how that ends.
const STORMS: [(&str, &str, &str); 18] = [
    ("log", "limit", CPU),
    ("emit", "limit", CPU),
    ("open", "limit", "handles: the limit is 10000"),
    ("get", "limit", CPU),
    ("set", "limit", CPU),
    ("list", "limit", CPU),
    ("config", "limit", CPU),
    ("clock", "limit", CPU),
    ("random", "limit", CPU),
    ("stdout", "limit", CPU),
    ("nothing", "limit", CPU),
    ("sleep", "", ""),
    ("for-ever", "timeout", "no outcome within 5000 ms"),
    ("fields", "limit", "the limit is "),
    ("hoard", "limit", "host memory: the limit is 67108864 bytes"),
    ("bodies", "limit", "host memory: the limit is 67108864 bytes"),
    ("headers", "limit", "header fields: the limit is 65536 bytes"),
    ("egress", "limit", CPU),
];

/// Modules that do not come to be called: what is said of them.
fn refused() -> Vec<(&'static str, String, &'static str)> {
    let start =
        |code: &str| wat::with_fields(&format!("(func $s {code}) (start $s)"), "unreachable");
    vec![
        ("start-spin", wat::spin_at_start(), CPU),
        ("start-trap", start("unreachable"), "unreachable"),
        ("start-recurse", start("call $s"), "stack: the limit is"),
        (
            "start-grow",
            start("(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16))))) unreachable"),
            "memory: ",
        ),
        ("start-data", wat::with_fields("(data (i32.const -1) \"x\")", "unreachable"), "out of bounds"),
        ("command-start", wat_commands::spins_before_start(), CPU),
        (
            "initialize",
            r#"(module (func (export "_initialize") (loop $again (br $again))) (memory (export "memory") 1))"#
                .to_owned(),
            "_start",
        ),
        ("wide", "(module (memory 65536) (func (export \"_start\")))".to_owned(), "ceilings.memory"),
        ("table", "(module (table 1000000 funcref) (func (export \"_start\")))".to_owned(), "table"),
        ("memories", wat::with_fields("(memory 1) (memory 1) (memory 1)", "unreachable"), "memor"),
        ("import", wat::unknown_import(), "acme:magic/wand"),
        ("cut", wat::ack()[..2_000].to_owned(), "mistake"),
    ]
}

/// How long a neighbour takes to be answered.
fn neighbour(yard: &Yard) -> Duration {
    let began = Instant::now();
    let answer = yard.post("/hooks/s", &[("x-for", "neighbour")], b"{}");
    assert_eq!((answer.status, &*answer.body), (200, "fine"));
    began.elapsed()
}

/// How long each of some answers takes, the slowest last.
fn answers(yard: &Yard) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..ANSWERS).map(|_| neighbour(yard)).collect();
    times.sort();
    times
}

/// Calls a hostile handler, which ends as it must, and its neighbour meanwhile, which is served.
fn attack(yard: &Yard, handler: &str, body: &str, (outcome, error): (&str, &str)) {
    let id = yard.send(handler, body);
    let event = wait(&format!("{handler} {body} to be stopped"), || {
        neighbour(yard);
        let event = yard.event(&id);
        (event["deliveries"][0]["state"] == "dead").then_some(event)
    });
    let [attempt] = attempts(&event) else { panic!("{handler} {body}: {event}") };
    assert!(outcome.is_empty() || attempt["outcome"] == outcome, "{handler} {body}: {attempt}");
    assert!(attempt["error"].as_str().unwrap().contains(error), "{handler} {body}: {attempt}");
    let shown = event.to_string() + &yard.log().replace('\n', "");
    let is_unfit =
        |letter: char| letter.is_control() || ('\u{202a}'..='\u{202e}').contains(&letter);
    assert!(!shown.contains(is_unfit), "{handler} {body}: {shown:?}");
}

/// The route of the neighbour, whose answer is waited for.
const NEIGHBOUR: &str = r#"
[[routes]]
name = "neighbour"
source = "s"
event = "neighbour"
handler = "neighbour"
mode = "sync"
"#;

fn yard(handlers: &[&str]) -> Yard {
    let tables = handlers.iter().map(|handler| format!("[handlers.{handler}]\n{TABLE}"));
    neighbourly(&(routes(handlers, ROUTE) + &tables.collect::<String>()))
}

/// A yard with a neighbour to what its configuration says.
pub fn neighbourly(config: &str) -> Yard {
    let yard = Yard::new(&format!("threads = {{ handlers = 2 }}\n{config}{NEIGHBOUR}"));
    yard.plugin("neighbour.wat", wat::reply(200, &[], "fine"));
    yard
}

/// Holds every row against the neighbour's usual times and the server's usual memory. What is usual
/// is asked right before each attack, since the machine has other things to do at times: then it is
/// asked again.
pub fn withstands(yard: &Yard, rows: &[(&str, String, (&str, &str))]) {
    neighbour(yard);
    let memory = yard.memory();
    for (handler, body, end) in rows {
        wait(&format!("the neighbour to be served as before {handler} {body}"), || {
            let slowest = answers(yard).pop();
            attack(yard, handler, body, *end);
            let typical = answers(yard)[ANSWERS / 2];
            (Some(typical) <= slowest.map(|slowest| 2 * slowest)).then_some(())
        });
        wait(&format!("the memory of {handler} {body}"), || {
            (yard.memory() < memory + GROWN).then_some(())
        });
    }
    assert_eq!(yard.ask("/readyz").status, 200);
}

#[test]
fn hostile_modules_are_stopped_and_harm_nobody() {
    let called = called();
    let names: Vec<&str> = called.iter().map(|(name, ..)| *name).collect();
    let mut yard = yard(&names);
    for (name, text, ..) in &called {
        yard.plugin(&format!("{name}.wat"), text);
    }
    yard.run();
    let row = |(name, _, outcome, error): &Called| (*name, "{}".to_owned(), (*outcome, *error));
    withstands(&yard, &called.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn storms_of_calls_are_stopped_and_harm_nobody() {
    let mut yard = yard(&["probe"]);
    yard.add_probe("probe");
    yard.run();
    let row = |(what, outcome, error)| ("probe", order("storm", what), (outcome, error));
    withstands(&yard, &STORMS.map(row));
}

#[test]
fn modules_that_are_hostile_when_loaded_are_refused() {
    let refused = refused();
    let names: Vec<&str> = refused.iter().map(|(name, ..)| *name).collect();
    let mut yard = yard(&names);
    for (name, text, _) in &refused {
        yard.plugin(&format!("{name}.wat"), text);
    }
    yard.run();
    let memory = yard.memory();
    for (name, _, part) in &refused {
        let handler = yard.handler(name);
        let error = handler["error"].as_str().unwrap_or_default();
        assert!(error.contains(part), "{name}: {handler}");
        assert!(!error.contains(char::is_control), "{name}: {error:?}");
        yard.until(&yard.send(name, "{}"), "parked");
        neighbour(&yard);
    }
    assert!(yard.memory() < memory + GROWN);
}

#[test]
fn a_hostile_reply_is_never_sent() {
    let smuggle = |value| wat::reply(200, &[("x-a", value)], "");
    for (guest, cause) in [
        (smuggle("b\r\nset-cookie: c"), "a header field has a name or value that is none"),
        (smuggle("b\0"), "a header field has a name or value that is none"),
        (wat::reply(200, &[("x-a: b\r\nc", "d")], ""), "a header field"),
        (wat::reply(200, &[("Transfer-Encoding", "chunked")], ""), "is not the handler's to set"),
        (wat::reply(200, &[("content-length", "5")], ""), "is not the handler's to set"),
        (wat::reply(200, &[("hookyard-duplicate", "true")], ""), "is not the handler's to set"),
        (wat::reply(100, &[], ""), "the status 100"),
        (wat::many_headers(40_000), "64 header fields"),
    ] {
        let yard = Yard::start(&(routes(&[], "") + NEIGHBOUR), &[("neighbour", &guest)]);
        let answer = yard.post("/hooks/s", &[("x-for", "neighbour")], b"{}");
        assert_eq!(answer.status, 502, "{cause}: {answer:?}");
        let page = yard.ask("/api/v1/events").json();
        let event = yard.until(page["items"][0]["id"].as_str().unwrap(), "dead");
        let error = &attempts(&event)[0]["error"];
        assert!(error.as_str().unwrap().contains(cause), "{cause}: {error}");
    }
}
