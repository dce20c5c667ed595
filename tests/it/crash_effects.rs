//! `kill -9` at random moments while handlers count and emit: every event's effects are there
//! exactly once.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use crate::crash::moments;
use crate::letters::{attempts, order, routes};
use crate::wat;
use crate::yard::{Yard, post};

const CLIENTS: usize = 4;
const CONFIG: &str = r#"
[[routes]]
name = "takes"
source = "handler:probe"
handler = "good"
[handlers.probe]
state = {}
emit = ["counted"]
"#;

/// Posts events until the program is gone.
fn post_all(yard: &Yard) {
    let body = json!({ "do": "tally", "arg": "counted", "via": "log" }).to_string();
    while post(yard.public(), "/hooks/s", &[("x-for", "probe")], body.as_bytes()).is_ok() {}
}

/// All events of a source, each as soon as its deliveries are done.
fn done(yard: &Yard, source: &str) -> Vec<Value> {
    let events = events(yard, source);
    events.iter().map(|event| yard.until(event["id"].as_str().unwrap(), "done")).collect()
}

/// All events of a source.
fn events(yard: &Yard, source: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = yard.ask(&format!("/api/v1/events?source={source}&limit=100{cursor}")).json();
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[test]
fn effects_are_there_exactly_once_after_kill_9() {
    let mut yard = Yard::new(&(routes(&["probe"], "") + CONFIG));
    yard.add_probe("probe");
    yard.plugin("good.wat", wat::ack());
    yard.run();
    for (_, after) in moments() {
        thread::scope(|threads| {
            let clients = [(); CLIENTS].map(|()| threads.spawn(|| post_all(&yard)));
            thread::sleep(after);
            yard.signal("KILL");
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
        yard.kill();
        yard.run();
    }
    let sent = done(&yard, "s").len();
    let emitted = done(&yard, "handler:probe");
    println!("{sent} events");

    let asked = yard.until(&yard.send("probe", &order("get", "tally")), "dead");
    let counted: usize = attempts(&asked)[0]["error"].as_str().unwrap().parse().unwrap_or(0);
    assert_eq!((counted, emitted.len()), (sent, sent));
    let (mut numbers, mut parents) = (BTreeSet::new(), BTreeSet::new());
    for event in &emitted {
        numbers.insert(event["body"].as_str().unwrap().parse::<usize>().unwrap());
        parents.insert(event["attributes"]["parent"].as_str().unwrap().to_owned());
    }
    assert_eq!(numbers, (1..=sent).collect());
    assert_eq!(parents.len(), sent);
}
