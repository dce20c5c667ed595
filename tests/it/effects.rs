//! State and emitted events: committed with the delivery, or not at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::letters::{attempts, delivery, order, routes};
use crate::wat;
use crate::yard::{Yard, wait};

const ONCE: &str = "retry = { attempts = 1 }";
const SLOW: &str = "timeout = \"60s\"";
const STATE: &str = "[handlers.probe]\nstate = { bytes = \"1MiB\" }\n";

/// A yard with the probe, and `config` after its routes.
fn with_probe(config: &str) -> Yard {
    let mut yard = Yard::new(&(routes(&["probe"], ONCE) + config));
    yard.add_probe("probe");
    yard.plugin("good.wat", wat::ack());
    yard.run();
    yard
}

fn via(action: &str, arg: &str, via: &str) -> String {
    json!({ "do": action, "arg": arg, "via": via }).to_string()
}

/// What the probe finds out; nothing of what it does is kept.
fn found(yard: &Yard, action: &str, arg: &str) -> String {
    let event = yard.until(&yard.send("probe", &order(action, arg)), "dead");
    attempts(&event)[0]["error"].as_str().unwrap().to_owned()
}

/// What the probe finds out; what it does is kept.
fn done(yard: &Yard, action: &str, arg: &str) -> String {
    let event = yard.until(&yard.send("probe", &via(action, arg, "log")), "done");
    let logs = attempts(&event)[0]["logs"].as_array().unwrap();
    logs.last().unwrap()["message"].as_str().unwrap().to_owned()
}

/// The events that a handler emitted, oldest first, once there are so many and all are settled.
pub fn emitted(yard: &Yard, handler: &str, count: usize) -> Vec<Value> {
    wait(&format!("{count} events of {handler}"), || {
        let page = yard.ask(&format!("/api/v1/events?source=handler:{handler}&limit=500")).json();
        let items = page["items"].as_array()?;
        let waits = |state: &Value| state == "pending" || state == "leased";
        let settled = |event: &&Value| {
            !event["deliveries"].as_array().unwrap().iter().any(|it| waits(&it["state"]))
        };
        (items.len() == count && items.iter().all(|event| settled(&event))).then(|| {
            items.iter().rev().map(|event| yard.event(event["id"].as_str().unwrap())).collect()
        })
    })
}

#[test]
fn what_a_handler_writes_is_there_for_the_next_event_and_after_a_restart() {
    let mut yard = with_probe(STATE);
    assert_eq!(found(&yard, "get", "n"), "none");
    assert_eq!(done(&yard, "count", "n"), "1");
    assert_eq!(done(&yard, "count", "n"), "2");
    assert_eq!(done(&yard, "keyvalue", "k"), "value");
    yard.kill();
    yard.run();
    assert_eq!(done(&yard, "count", "n"), "3");
    assert_eq!(found(&yard, "keys", ""), "k n");
    assert_eq!(done(&yard, "delete", "k"), "false");
    assert_eq!(found(&yard, "keys", ""), "n");
}

#[test]
fn only_what_is_acked_or_answered_has_effects() {
    let routes = "[[routes]]\nsource = \"handler:probe\"\nhandler = \"good\"\n";
    let yard = with_probe(&format!("{routes}{STATE}emit = [\"made\"]\n"));
    for (via_, state) in [("reject", "dead"), ("retry", "dead"), ("panic", "dead")] {
        for (action, arg) in [("count", "n"), ("emit", "made")] {
            yard.until(&yard.send("probe", &via(action, arg, via_)), state);
        }
    }
    assert_eq!(found(&yard, "get", "n"), "none");
    assert_eq!(emitted(&yard, "probe", 0).len(), 0);
    for via_ in ["reply", "log"] {
        for (action, arg) in [("count", "n"), ("emit", "made")] {
            yard.until(&yard.send("probe", &via(action, arg, via_)), "done");
        }
    }
    assert_eq!(found(&yard, "get", "n"), "2");
    assert_eq!(emitted(&yard, "probe", 2).len(), 2);
}

#[test]
fn every_handler_has_a_state_of_its_own() {
    let mut yard =
        Yard::new(&(routes(&["probe", "other"], ONCE) + STATE + "[handlers.other]\nstate = {}\n"));
    yard.add_probe("probe");
    yard.add_probe("other");
    yard.run();
    assert_eq!(done(&yard, "count", "n"), "1");
    let event = yard.until(&yard.send("other", &order("get", "n")), "dead");
    assert_eq!(attempts(&event)[0]["error"], "none");
}

#[test]
fn counters_that_many_attempts_write_at_once_lose_nothing() {
    const CLIENTS: usize = 4;
    const EVENTS: usize = 60;
    let sync = "[[routes]]\nname = \"sync\"\nsource = \"s\"\nevent = \"sync\"\nhandler = \"probe\"\nmode = \"sync\"\n";
    let threads = "threads = { handlers = 4 }\n";
    let mut yard = Yard::new(&[threads, &routes(&["probe"], ONCE), sync, STATE].concat());
    yard.add_probe("probe");
    yard.run();
    thread::scope(|threads| {
        for client in 0..CLIENTS {
            let yard = &yard;
            let route = if client == 0 { "sync" } else { "probe" };
            threads.spawn(move || {
                for _ in 0..EVENTS {
                    let answer = yard.post(
                        "/hooks/s",
                        &[("x-for", route)],
                        via("count", "n", "log").as_bytes(),
                    );
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            });
        }
    });
    let all = CLIENTS * EVENTS;
    yard.settled(all, 0);
    assert_eq!(found(&yard, "get", "n"), all.to_string());
    // The one that asked.
    yard.settled(all, 1);
}

#[test]
fn an_emitted_event_is_one_like_any_other() {
    let yard = with_probe(
        r#"
[[routes]]
name = "takes"
source = "handler:probe"
event = "made.*"
when = 'source == "handler:probe" && body.arg == "made.up"'
handler = "good"
[[routes]]
name = "waits"
source = ["s", "handler:probe"]
event = "made.up"
handler = "good"
mode = "sync"
[[routes]]
name = "when"
source = "handler:probe"
when = 'body.arg == "else"'
handler = "good"
[handlers.probe]
emit = ["made.up", "other"]
"#,
    );
    let id = yard.send("probe", &via("relay", "made.up", "log"));
    yard.until(&id, "done");
    let [event] = &emitted(&yard, "probe", 1)[..] else { panic!() };
    assert_eq!((&event["type"], &event["source"]), (&json!("made.up"), &json!("handler:probe")));
    assert_eq!(event["attributes"], json!({ "parent": id, "depth": "1" }));
    assert_eq!(event["body"], via("relay", "made.up", "log"));
    assert_eq!(
        (&delivery(event)["route"], &delivery(event)["state"]),
        (&json!("takes"), &json!("done"))
    );
    yard.until(&yard.send("probe", &via("emit", "other", "log")), "done");
    let event = &emitted(&yard, "probe", 2)[1];
    assert_eq!(event["deliveries"], json!([]));
}

#[test]
fn a_handler_that_answers_its_own_events_comes_to_an_end() {
    let loops = "[[routes]]\nname = \"loop\"\nsource = \"handler:probe\"\nhandler = \"probe\"\n";
    let yard = with_probe(&format!("{loops}[handlers.probe]\nemit = [\"again\"]\n"));
    yard.until(&yard.send("probe", &via("relay", "again", "log")), "done");
    let events = emitted(&yard, "probe", 8);
    let depths: Vec<&str> =
        events.iter().map(|event| event["attributes"]["depth"].as_str().unwrap()).collect();
    assert_eq!(depths, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    let logs = attempts(&events[7])[0]["logs"].to_string();
    assert!(logs.contains("emit: this event is 8 emitted events away from its request"), "{logs}");
}

#[test]
fn floods_of_effects_are_refused_at_their_limits() {
    let yard = with_probe(&format!("{STATE}emit = [\"made\"]\n"));
    for (action, arg, answer) in [
        ("flood", "made", "100: emit: an attempt may emit 100 events"),
        ("flood", "else", "0: not granted: this handler may not emit events of type else"),
        // 10 values of 100,000 bytes and their keys of 12.
        ("fill", "100000", "10: Error::Other(\"state: an attempt may write 1048576 bytes"),
        ("fill", "0", "1000: Error::Other(\"state: an attempt may read and write 1000 keys\")"),
        ("fill", "262144", "3: Error::Other(\"state: an attempt may write"),
        (
            "fill",
            "262145",
            "0: Error::Other(\"state: a value has 262145 bytes, the limit is 262144\")",
        ),
    ] {
        let found = found(&yard, action, arg);
        assert!(found.starts_with(answer), "{action} {arg}: {found}");
    }
    // Kept, until the state is full.
    assert!(done(&yard, "fill", "100000").starts_with("10: "));
    let full = done(&yard, "fill", "200000");
    assert!(full.contains("state: it would hold"), "{full}");
}

#[test]
fn a_call_shows_its_effects_and_keeps_none() {
    let yard = with_probe(&format!("{STATE}emit = [\"made\"]\n"));
    std::fs::write(yard.path("state.json"), r#"{"n":"41"}"#).unwrap();
    std::fs::write(yard.path("count"), via("count", "n", "log")).unwrap();
    std::fs::write(yard.path("emit"), via("emit", "made", "log")).unwrap();
    let call = |arguments: &[&str]| {
        let output =
            yard.command(&[&["call", "probe", "--body"], arguments].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(call(&["count"]).ends_with("state    n = 1\n"));
    assert!(call(&["count", "--state", "state.json"]).ends_with("state    n = 42\n"));
    assert!(call(&["emit"]).ends_with("emit     made: {}\n"));
    let json: Value = serde_json::from_str(&call(&["emit", "--json"])).unwrap();
    assert_eq!(json["emit"], json!([{ "event_type": "made", "body": "{}" }]));
    assert_eq!(json["state"], json!({}));
    assert_eq!(found(&yard, "get", "n"), "none");
}

/// A server that answers when it is told to, and what lets the probe ask it.
struct Slow(TcpListener);

impl Slow {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    fn grants(&self) -> String {
        let egress = format!("egress = [\"{}\"]\n", self.url());
        format!("emit = [\"fetched\"]\negress_private = [\"127.0.0.1/32\"]\n{egress}")
    }

    /// Waits until an attempt asks it.
    fn asked(&self) -> TcpStream {
        wait("an attempt to ask", || self.0.accept().ok()).0
    }
}

fn answer(mut stream: TcpStream) {
    stream.set_nonblocking(false).unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).unwrap();
}

#[test]
fn what_is_emitted_goes_by_the_routes_that_there_were_when_its_attempt_began() {
    let remote = Slow::start();
    let sync = r#"
[[routes]]
source = "s"
event = "sync"
handler = "probe"
mode = "sync"
timeout = "60s"
"#;
    let table = format!("[handlers.probe]\n{}", remote.grants());
    let config = [&routes(&["probe"], SLOW), sync, &table].concat();
    let mut yard = Yard::new(&config);
    yard.add_probe("probe");
    yard.plugin("good.wat", wat::ack());
    yard.run();
    let body = via("fetch", &remote.url(), "log");
    let post = |to| yard.post("/hooks/s", &[("x-for", to)], body.as_bytes());
    thread::scope(|threads| {
        let requests = ["probe", "sync"].map(|to| {
            let waits = threads.spawn(move || post(to));
            (remote.asked(), waits)
        });
        let taker = "[[routes]]\nsource = \"handler:probe\"\nhandler = \"good\"\n";
        yard.configure(&(config.clone() + taker));
        assert_eq!(yard.reload()["result"], "ok");
        for (stream, waits) in requests {
            answer(stream);
            assert_eq!(waits.join().unwrap().status, 200);
        }
    });
    for event in emitted(&yard, "probe", 2) {
        assert_eq!((&event["type"], &event["deliveries"]), (&json!("fetched"), &json!([])));
    }
}

#[test]
fn no_attempt_begins_of_a_route_that_was_paused_while_it_waited_for_its_turn() {
    let remote = Slow::start();
    let config = [&routes(&["probe"], SLOW), STATE, &remote.grants()].concat();
    let mut yard = Yard::new(&config);
    yard.add_probe("probe");
    yard.run();
    let counters = [0, 1].map(|_| yard.send("probe", &via("fetch", &remote.url(), "log")));
    let [first, second] = [remote.asked(), remote.asked()];
    answer(first);
    let done = "hookyard_deliveries{state=\"done\"}";
    wait("one to be done", || (yard.metric(done) == 1.0).then_some(()));
    // Both have read the same count: the other is made again, alone.
    answer(second);
    let alone = remote.asked();
    let waits = yard.send("probe", &order("ack", ""));
    yard.until(&waits, "leased");
    assert_eq!(yard.tell("probe", "pause").status, 200);
    answer(alone);
    counters.iter().for_each(|id| drop(yard.until(id, "done")));
    assert!(attempts(&yard.until(&waits, "parked")).is_empty());
}
