//! `hookyard replay`.

use serde_json::{Value, json};

use super::Ran;
use crate::senders::Sending;
use crate::wat;
use crate::yard::{Yard, wait};

const CONFIG: &str = r#"
[sources.shop]
scheme = { kind = "none" }
event_type = { pointer = "/type" }
event_id = { pointer = "/id" }
[[routes]]
name = "orders"
source = "shop"
event = "order"
handler = "orders"
retry = { attempts = 2, first = "1ms", factor = 1, max = "1ms" }
[[routes]]
name = "spare"
source = "shop"
event = "none"
handler = "spare"
[[routes]]
name = "waited"
source = "shop"
event = "sync"
mode = "sync"
handler = "reject"
"#;

fn yard() -> Yard {
    let reject = wat::reject("order 1 is unknown");
    let retry = wat::retry(None, "order 1 is locked");
    Yard::start(CONFIG, &[("orders", &retry), ("spare", &wat::ack()), ("reject", &reject)])
}

impl Yard {
    fn replays(&self, arguments: &[&str]) -> Ran {
        let url = format!("http://{}", self.admin());
        self.hookyard(&[&["replay"], arguments, &["--url", &url]].concat())
    }

    /// Puts a handler in place that acks.
    fn fixes(&self) {
        self.plugin("orders.wat", wat::ack());
        assert_eq!(self.reload()["result"], "ok");
    }

    fn count(&self, state: &str) -> f64 {
        self.metric(&format!(r#"hookyard_deliveries{{state="{state}"}}"#))
    }
}

fn post(yard: &Yard, kind: &str, id: usize) -> Value {
    let body = format!(r#"{{"type":"{kind}","id":"{kind}-{id}"}}"#);
    Sending::new("/hooks/shop", body).to(yard).json()
}

#[test]
fn a_dead_letter_is_handled_after_the_fix_and_keeps_its_history() {
    let yard = yard();
    let id = post(&yard, "order", 1)["id"].as_str().unwrap().to_owned();
    yard.until(&id, "dead");
    let url = format!("http://{}", yard.admin());
    let why = yard.hookyard(&["events", "why", "--url", &url]).out;
    let command = format!("hookyard replay {id} --route orders");
    assert!(why.contains(&command) && why.contains("out of attempts after 2"), "{why}");

    assert_eq!(yard.replays(&[&id]).out, "1 delivery replayed\n");
    wait("the schedule to be over once more", || {
        let delivery = yard.event(&id)["deliveries"][0].take();
        (delivery["state"] == "dead" && delivery["attempts"][3].is_object()).then_some(())
    });
    yard.fixes();
    let ran = yard.replays(&[&id, "--route", "orders", "--json"]);
    assert_eq!(ran.json(), json!({ "matched": 1, "replayed": 1, "skipped": 0 }));
    let event = yard.until(&id, "done");
    let delivery = &event["deliveries"][0];
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 5);
    assert_eq!(delivery["replay"]["of"], format!("{id}/orders"));
    let why = yard.hookyard(&["events", "why", &id, "--url", &url]).out;
    assert!(why.contains("replayed  20") && why.contains(&format!("of {id}/orders")), "{why}");
    assert_eq!(post(&yard, "order", 1)["duplicate"], true);
    let nothing = yard.replays(&[&id]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.out.starts_with("no dead letter matches"), "{nothing:?}");
}

#[test]
fn all_that_a_filter_matches_is_replayed_while_serving() {
    const EVENTS: usize = 600;
    let yard = yard();
    (0..EVENTS).for_each(|n| drop(post(&yard, "order", n)));
    wait("all to be dead", || (yard.count("dead") == EVENTS as f64).then_some(()));
    let cause = ["--route", "orders", "--cause", "order 7 is locked"];
    let dry = yard.replays(&[&cause[..], &["--dry-run"]].concat());
    assert_eq!(dry.out, format!("{EVENTS} deliveries would be replayed\n"));
    assert_eq!(yard.count("dead"), EVENTS as f64);
    let nothing = yard.replays(&["--cause", "something else"]);
    assert!(nothing.out.starts_with("no dead letter matches"), "{nothing:?}");
    let nothing = yard.replays(&["--state", "done", "--cause", "something else"]);
    assert_eq!(nothing.out, "nothing matches\n");
    yard.fixes();
    let ran = yard.replays(&cause);
    assert_eq!((ran.code, ran.out), (Some(0), format!("{EVENTS} deliveries replayed\n")));
    wait("all to be done", || (yard.count("done") == EVENTS as f64).then_some(()));
    assert_eq!(yard.count("dead"), 0.0);
    let url = format!("http://{}", yard.admin());
    assert_eq!(yard.hookyard(&["events", "dead", "--url", &url]).out, "no dead letters\n");
}

#[test]
fn events_go_to_another_route_too() {
    let yard = yard();
    let id = |answer: Value| answer["id"].as_str().unwrap().to_owned();
    let [dead, unrouted] = ["order", "nobody"].map(|kind| id(post(&yard, kind, 1)));
    yard.until(&dead, "dead");
    assert_eq!(yard.replays(&[&dead, "--to", "spare"]).out, "1 delivery replayed\n");
    let ran = yard.replays(&[&unrouted, "--state", "unrouted", "--to", "spare"]);
    assert_eq!(ran.out, "1 delivery replayed\n");
    for (id, routes, of) in [
        (&dead, &["orders dead", "spare done"][..], format!("{dead}/orders")),
        (&unrouted, &["spare done"], unrouted.clone()),
    ] {
        let deliveries = wait("it to be handled there", || {
            let event = yard.event(id);
            let deliveries = event["deliveries"].as_array().unwrap().clone();
            (deliveries.last()?["state"] == "done").then_some(deliveries)
        });
        let word = |part: &Value| part.as_str().unwrap().to_owned();
        let states: Vec<String> =
            deliveries.iter().map(|it| word(&it["route"]) + " " + &word(&it["state"])).collect();
        assert_eq!(states, routes);
        assert_eq!(deliveries.last().unwrap()["replay"]["of"], of);
    }
    for (to, part) in [("nowhere", "no route `nowhere`"), ("waited", "sync route `waited`")] {
        let ran = yard.replays(&[&dead, "--to", to]);
        assert!(ran.code == Some(1) && ran.err.contains(part), "{ran:?}");
    }
}

#[test]
fn deliveries_of_sync_routes_are_left_to_their_senders() {
    let yard = yard();
    assert_eq!(Sending::new("/hooks/shop", r#"{"type":"sync"}"#).to(&yard).status, 422);
    let ran = yard.replays(&["--state", "dead"]);
    assert!(ran.out.starts_with("nothing that can be replayed matches\n"), "{ran:?}");
    assert!(ran.out.contains("1 delivery of sync routes left out"), "{ran:?}");
    assert_eq!(yard.count("dead"), 1.0);
}

#[test]
fn it_needs_a_server_and_something_to_replay() {
    let mut yard = yard();
    let bare = yard.replays(&[]);
    assert_eq!((bare.code, &*bare.out), (Some(2), ""), "{bare:?}");
    let wrong = yard.replays(&["--state", "parked"]);
    assert!(wrong.code == Some(1) && wrong.err.contains("goes on by itself"), "{wrong:?}");
    yard.kill();
    let ran = yard.hookyard(&["replay", "--state", "dead"]);
    assert!(ran.code == Some(1) && ran.err.contains("no server runs"), "{ran:?}");
}
