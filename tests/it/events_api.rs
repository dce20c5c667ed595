//! `/api/v1/events`: what it shows, and how it is looked through.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::senders::Sending;
use crate::wat;
use crate::wire::Wire;
use crate::yard::{Yard, wait};

const CONFIG: &str = r#"
[sources.a]
scheme = { kind = "none" }
event_type = { pointer = "/type" }
[sources.b]
scheme = { kind = "none" }
event_type = { pointer = "/type" }
[[routes]]
source = ["a", "b"]
event = ["done", "both"]
handler = "ack"
[[routes]]
source = ["a", "b"]
event = ["dead", "both"]
handler = "reject"
[[routes]]
source = "a"
event = "later"
handler = "retry"
retry = { attempts = 3, first = "1h", factor = 1, max = "1h" }
[[routes]]
source = "a"
event = "parked"
handler = "missing"
"#;

fn yard() -> Yard {
    let reject = wat::reject("not this one");
    let retry = wat::retry(None, "not now");
    Yard::start(CONFIG, &[("ack", &wat::ack()), ("reject", &reject), ("retry", &retry)])
}

fn post(yard: &Yard, source: &str, kind: &str) -> String {
    let answer = Sending::new(&format!("/hooks/{source}"), format!(r#"{{"type":"{kind}"}}"#));
    answer.to(yard).json()["id"].as_str().unwrap().to_owned()
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn list(yard: &Yard, query: &str) -> Vec<String> {
    ids(&yard.ask(&format!("/api/v1/events?{query}")).json())
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn an_event_is_shown_with_its_deliveries_and_attempts() {
    let yard = yard();
    let id = post(&yard, "a", "both");
    let event = yard.tried(&id);
    let whole = [
        "attributes",
        "body",
        "deliveries",
        "duplicates",
        "headers",
        "id",
        "received_at",
        "secret",
        "source",
        "type",
        "verified",
    ];
    assert_eq!(keys(&event), whole.into());
    assert_eq!(
        (&event["id"], &event["source"], &event["type"], &event["duplicates"]),
        (&json!(id), &json!("a"), &json!("both"), &json!(0))
    );
    assert!(event["headers"].as_array().unwrap().contains(&json!(["host", "hooks"])));
    let received: jiff::Timestamp = event["received_at"].as_str().unwrap().parse().unwrap();
    let [done, dead] = event["deliveries"].as_array().unwrap().as_slice() else {
        panic!("{event}")
    };
    for delivery in [done, dead] {
        let all = ["attempts", "cause", "due_at", "handler", "replay", "route", "state"];
        assert_eq!(keys(delivery), all.into());
        let attempt = &delivery["attempts"][0];
        let all = ["duration_ms", "error", "handler_version", "logs", "n", "outcome", "started_at"];
        assert_eq!(keys(attempt), all.into());
        assert_eq!((&attempt["n"], &attempt["logs"]), (&json!(1), &json!([])));
        assert!(attempt["duration_ms"].is_u64());
        let started: jiff::Timestamp = attempt["started_at"].as_str().unwrap().parse().unwrap();
        assert!(started >= received);
    }
    assert_eq!((&done["state"], &done["attempts"][0]["outcome"]), (&json!("done"), &json!("ack")));
    assert_eq!(
        (&dead["state"], &dead["attempts"][0]["outcome"]),
        (&json!("dead"), &json!("reject"))
    );
    assert!(dead["attempts"][0]["error"].as_str().unwrap().contains("not this one"));
    assert_eq!((&done["due_at"], &dead["due_at"]), (&Value::Null, &Value::Null));
}

#[test]
fn what_waits_is_shown_with_the_reason() {
    let yard = yard();
    let later = yard.tried(&post(&yard, "a", "later"));
    let delivery = &later["deliveries"][0];
    assert_eq!(delivery["state"], "pending");
    let due: jiff::Timestamp = delivery["due_at"].as_str().unwrap().parse().unwrap();
    let received: jiff::Timestamp = later["received_at"].as_str().unwrap().parse().unwrap();
    assert!(due > received);
    assert!(delivery["attempts"][0]["error"].as_str().unwrap().contains("not now"));
    let parked = yard.until(&post(&yard, "a", "parked"), "parked");
    let delivery = &parked["deliveries"][0];
    assert_eq!((&delivery["handler"], &delivery["attempts"]), (&json!("missing"), &json!([])));
    assert!(delivery["cause"].as_str().unwrap().contains("missing"), "{delivery}");
}

#[test]
fn an_event_that_is_not_there_is_not_found() {
    let (yard, other) = (yard(), yard());
    let known = post(&yard, "a", "done");
    let foreign = post(&other, "a", "done");
    let next = format!("{}Z", &known[..known.len() - 1]);
    for id in [&*foreign, &next, "evt_", "nonsense", "evt_00000000000000000000000000", &known[4..]]
    {
        let answer = yard.ask(&format!("/api/v1/events/{id}"));
        let nothing = json!({ "error": "there is no such event" });
        assert_eq!((answer.status, answer.json()), (404, nothing), "{id}");
    }
    assert_eq!(yard.ask(&format!("/api/v1/events/{known}")).status, 200);
}

#[test]
fn filters_let_through_what_they_say() {
    let yard = yard();
    let sent = [
        ("a", "done"),
        ("b", "done"),
        ("a", "dead"),
        ("b", "both"),
        ("a", "later"),
        ("a", "parked"),
        ("b", "nobody"),
    ];
    let all: Vec<String> = sent.map(|(source, kind)| post(&yard, source, kind)).into();
    all.iter().for_each(|id| drop(yard.tried(id)));
    for (query, expected) in [
        ("", &[6, 5, 4, 3, 2, 1, 0][..]),
        ("source=b", &[6, 3, 1]),
        ("type=done", &[1, 0]),
        ("source=a&type=done", &[0]),
        ("state=done", &[3, 1, 0]),
        ("state=dead", &[3, 2]),
        ("state=pending", &[4]),
        ("state=parked", &[5]),
        ("state=unrouted", &[6]),
        ("state=done&source=b&type=both", &[3]),
        ("source=c", &[]),
        ("type=", &[]),
        ("source=%61&type=de%61d", &[2]),
    ] {
        let expected: Vec<&String> = expected.iter().map(|at| &all[*at]).collect();
        assert_eq!(list(&yard, query).iter().collect::<Vec<_>>(), expected, "{query}");
    }
}

#[test]
fn a_span_of_time_has_its_beginning_and_not_its_end() {
    let yard = yard();
    let time = |id: &str| yard.event(id)["received_at"].as_str().unwrap().to_owned();
    let first = post(&yard, "a", "nobody");
    let later = wait("the clock to go on", || {
        let id = post(&yard, "a", "nobody");
        (time(&id) > time(&first)).then_some(id)
    });
    let (begin, end) = (time(&first), time(&later));
    assert!(list(&yard, &format!("since={end}")).contains(&later));
    assert!(!list(&yard, &format!("since={end}")).contains(&first));
    assert!(list(&yard, &format!("since={begin}&until={end}")).contains(&first));
    assert!(!list(&yard, &format!("since={begin}&until={end}")).contains(&later));
    assert_eq!(list(&yard, &format!("until={begin}")), Vec::<String>::new());
    let ms = end.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert_eq!(list(&yard, &format!("since={ms}")), list(&yard, &format!("since={end}")));
}

#[test]
fn a_query_that_is_wrong_is_refused_with_the_reason() {
    let yard = yard();
    for (query, part) in [
        ("state=gone", "gone"),
        ("since=yesterday", "since"),
        ("until=1e9", "until"),
        ("cursor=x", "cursor"),
        ("sorce=a", "sorce"),
    ] {
        let answer = yard.ask(&format!("/api/v1/events?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.json()["error"].as_str().unwrap().contains(part), "{answer:?}");
    }
}

#[test]
fn pages_have_no_gaps_and_no_repeats_while_events_come_in() {
    let yard = yard();
    let mut wire = Wire::to(yard.public());
    let mut fill = |count: usize| -> Vec<String> {
        let sending = Sending::new("/hooks/a", r#"{"type":"nobody"}"#).bytes("");
        wire.send(sending.repeat(count));
        (0..count).map(|_| wire.answer().json()["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut expected = fill(123);
    expected.reverse();
    for limit in ["", "&limit=7"] {
        let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = yard.ask(&format!("/api/v1/events?source=a{limit}{cursor}")).json();
            assert_eq!(keys(&page), ["items", "next"].into());
            sizes.push(ids(&page).len());
            seen.extend(ids(&page));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
            fill(3);
        }
        let first = seen.len() - expected.len();
        assert_eq!(seen[first..], expected, "pages of {sizes:?}");
        assert!(sizes.len() > 2, "{sizes:?}");
        expected = list(&yard, "source=a&limit=500");
    }
}
