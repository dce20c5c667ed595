//! The public side's answers, one by one.

use serde_json::{Value, json};

use crate::senders::{Sending, acme, github, hotglue, now};
use crate::wat;
use crate::yard::{Answer, Yard};

const SECRET: &str = "a secret of the tests";

const GITHUB: &str = r#"
[sources.github]
scheme = "github"
secrets = [{ value = "a secret of the tests" }]
"#;

/// A source that verifies nothing, and takes its type from the body.
const OPEN: &str = r#"
[sources.open]
scheme = { kind = "none" }
event_type = { pointer = "/type" }
"#;

const ACME: &str = r#"
[sources.acme]
path = "/in/acme"
secrets = [{ file = "acme.secret" }]
event_type = { pointer = "/type" }
[sources.acme.scheme]
kind = "hmac"
digest = "sha256"
encoding = "hex"
content = "{timestamp}.{body}"
signature = { header = "X-Acme-Signature", prefix = "v1=" }
timestamp = { header = "X-Acme-Timestamp", format = "unix", tolerance = "5m" }
"#;

fn open(body: impl AsRef<[u8]>) -> Sending {
    Sending::new("/hooks/open", body)
}

fn stored(yard: &Yard, answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    yard.event(answer.json()["id"].as_str().unwrap())
}

fn count(yard: &Yard) -> usize {
    yard.ask("/api/v1/events").json()["items"].as_array().unwrap().len()
}

#[test]
fn what_is_stored_is_answered_with_its_id_alone() {
    let yard = Yard::start(GITHUB, &[]);
    let answer = github(SECRET, "1", "{}").to(&yard);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("hookyard-duplicate"), None);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.json(), json!({ "id": id }));
    assert_eq!(yard.event(&id)["id"], *id);
}

#[test]
fn an_event_without_a_route_is_kept_and_shown() {
    let yard = Yard::start(GITHUB, &[]);
    let event = stored(&yard, &github(SECRET, "1", "{}").to(&yard));
    assert_eq!(event["deliveries"], json!([]));
    let shown = yard.ask("/api/v1/events?state=unrouted").json();
    assert_eq!(shown["items"][0]["id"], event["id"]);
}

#[test]
fn a_source_may_drop_events_without_a_route() {
    let config = format!(
        "{OPEN}unrouted = \"drop\"\n[[routes]]\nsource = \"open\"\nevent = \"a\"\nhandler = \"h\"\n"
    );
    let yard = Yard::start(&config, &[("h", &wat::ack())]);
    let dropped = open(r#"{"type":"b"}"#).to(&yard);
    assert_eq!((dropped.status, dropped.json().get("id")), (200, None));
    assert_eq!(count(&yard), 0);
    stored(&yard, &open(r#"{"type":"a"}"#).to(&yard));
    assert_eq!(count(&yard), 1);
}

#[test]
fn what_has_no_readable_type_is_stored_as_unknown() {
    let config =
        format!("{OPEN}[[routes]]\nsource = \"open\"\nevent = \"unknown\"\nhandler = \"h\"\n");
    let yard = Yard::start(&config, &[("h", &wat::ack())]);
    let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(257));
    let vast = format!(r#"{{"type":"a","padding":"{}"}}"#, "x".repeat(256 * 1024));
    for body in ["no json", "", "{", r#"{"kind":"a"}"#, r#"{"type":null}"#, r#"{"type":{}}"#]
        .into_iter()
        .chain([&*long, &*vast])
    {
        let event = stored(&yard, &open(body).to(&yard));
        assert_eq!(event["type"], "unknown", "{body:.40}");
        let event = yard.until(event["id"].as_str().unwrap(), "done");
        assert_eq!(event["body"], body);
    }
    let event = stored(&yard, &open(r#"{"type":"a"}"#).to(&yard));
    assert_eq!(event["type"], "a");
}

#[test]
fn the_places_of_a_type_are_tried_in_order() {
    let config = r#"
        [sources.open]
        scheme = { kind = "none" }
        event_type = [{ header = "X-Kind" }, { pointer = "/a/0" }, { pointer = "/b" }]
    "#;
    let yard = Yard::start(config, &[]);
    let both = open(r#"{"b":7,"a":["first"]}"#);
    assert_eq!(stored(&yard, &both.clone().with("x-kind", "header").to(&yard))["type"], "header");
    assert_eq!(stored(&yard, &both.to(&yard))["type"], "first");
    assert_eq!(stored(&yard, &open(r#"{"b":7}"#).to(&yard))["type"], "7");
}

#[test]
fn without_event_type_all_events_are_of_one_type() {
    let yard = Yard::start("[sources.open]\nscheme = { kind = \"none\" }\n", &[]);
    for body in [r#"{"type":"a"}"#, "no json"] {
        assert_eq!(stored(&yard, &open(body).to(&yard))["type"], "event");
    }
}

#[test]
fn a_missing_type_that_is_required_is_refused_and_nothing_stored() {
    let config = OPEN.replace("/type\"", "/type\", required = true");
    let yard = Yard::start(&config, &[]);
    for body in ["no json", "{}", r#"{"type":[]}"#] {
        let answer = open(body).to(&yard);
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(count(&yard), 0);
    assert_eq!(stored(&yard, &open(r#"{"type":"a"}"#).to(&yard))["type"], "a");
}

#[test]
fn a_source_may_answer_in_its_own_words() {
    let config = format!(
        "{GITHUB}reply = {{ status = 202, body = \"[accepted]\" }}\n{OPEN}\
         reply = {{ body = \"thanks\" }}\nunrouted = \"drop\"\n"
    );
    let yard = Yard::start(&config, &[]);
    let first = github(SECRET, "1", "{}").to(&yard);
    assert_eq!((first.status, &*first.body), (202, "[accepted]"));
    assert_eq!(first.header("content-type"), Some("text/plain; charset=utf-8"));
    let again = github(SECRET, "1", "{}").to(&yard);
    assert_eq!((again.status, &*again.body), (202, "[accepted]"));
    assert_eq!(again.header("hookyard-duplicate"), Some("true"));
    let dropped = open("{}").to(&yard);
    assert_eq!((dropped.status, &*dropped.body), (200, "thanks"));
    assert_eq!(github("wrong", "2", "{}").to(&yard).status, 401);
    assert_eq!(count(&yard), 1);
}

#[test]
fn an_unknown_path_is_not_found() {
    let yard = Yard::start(GITHUB, &[]);
    for path in ["/", "/hooks", "/hooks/", "/hooks/github/", "/hooks/GitHub", "/hooks/git%68ub"] {
        let answer = Sending::new(path, "{}").to(&yard);
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({ "error": "not found" })),
            "{path}"
        );
    }
    assert_eq!(count(&yard), 0);
}

#[test]
fn only_post_is_taken() {
    let yard = Yard::start(OPEN, &[]);
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"] {
        let request =
            format!("{method} /hooks/open HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = yard.raw(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        assert!(answer.contains("\r\nallow: POST\r\n"), "{method}: {answer}");
        assert_eq!(answer.ends_with(r#"{"error":"method not allowed"}"#), method != "HEAD");
    }
    assert_eq!(count(&yard), 0);
}

#[test]
fn an_unsigned_source_takes_what_it_gets() {
    let yard = Yard::start(OPEN, &[]);
    let sending = Sending::new("/hooks/open?a=1&token=hush", "{}").with("x-free", "word");
    let event = stored(&yard, &sending.to(&yard));
    assert_eq!(event["secret"], Value::Null);
    let query = "a=1&token=[redacted]";
    assert_eq!(
        event["attributes"],
        json!({ "path": "/hooks/open", "query": query, "peer": "127.0.0.1" })
    );
    assert!(event["headers"].as_array().unwrap().contains(&json!(["x-free", "word"])));
}

#[test]
fn every_route_that_matches_gets_its_own_delivery() {
    let routes = r#"
        [[routes]]
        name = "good"
        source = ["github", "open"]
        handler = "ack"
        [[routes]]
        name = "bad"
        source = "open"
        handler = "reject"
        [[routes]]
        source = "open"
        handler = "missing"
        [[routes]]
        source = "github"
        handler = "reject"
    "#;
    let config = [GITHUB, OPEN, routes].concat();
    let yard = Yard::start(&config, &[("ack", &wat::ack()), ("reject", &wat::reject("no"))]);
    let event = stored(&yard, &open("{}").to(&yard));
    let ends = crate::yard::wait("all three to end", || {
        let event = yard.event(event["id"].as_str().unwrap());
        let ends: Vec<Value> = event["deliveries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!([one["route"], one["handler"], one["state"]]))
            .collect();
        ends.iter().all(|end| end[2] != "pending" && end[2] != "leased").then_some(ends)
    });
    assert_eq!(
        json!(ends),
        json!([
            ["good", "ack", "done"],
            ["bad", "reject", "dead"],
            ["open/missing", "missing", "parked"]
        ])
    );
}

#[test]
fn routes_choose_events_by_glob() {
    let routes = r#"
        [[routes]]
        name = "jobs"
        source = "open"
        event = "JOB_*"
        handler = "h"
        [[routes]]
        name = "ends"
        source = "open"
        event = ["*_{DONE,FAILED}", "end.?"]
        handler = "h"
    "#;
    let yard = Yard::start(&format!("{OPEN}{routes}"), &[("h", &wat::ack())]);
    for (kind, expected) in [
        ("JOB_DONE", &["jobs", "ends"][..]),
        ("JOB_BEGUN", &["jobs"]),
        ("SYNC_FAILED", &["ends"]),
        ("end.1", &["ends"]),
        ("end.10", &[]),
        ("job_done", &[]),
    ] {
        let event = stored(&yard, &open(format!(r#"{{"type":"{kind}"}}"#)).to(&yard));
        let deliveries = event["deliveries"].as_array().unwrap().iter();
        let routes: Vec<_> = deliveries.map(|one| one["route"].as_str().unwrap()).collect();
        assert_eq!(routes, expected, "{kind}");
    }
}

#[test]
fn a_scheme_described_in_the_file_is_verified() {
    let mut yard = Yard::new(ACME);
    std::fs::write(yard.path("acme.secret"), format!("{SECRET}\n")).unwrap();
    yard.run();
    let body = r#"{"type":"crm.updated"}"#;
    let good = acme(SECRET, now(), body);
    let event = stored(&yard, &good.to(&yard));
    assert_eq!((&event["source"], &event["type"]), (&"acme".into(), &"crm.updated".into()));
    for bad in [
        good.clone().body("{}"),
        good.clone().with("x-acme-timestamp", (now() - 100).to_string()),
        good.clone().with("x-acme-signature", good.header("x-acme-signature").replace("v1", "v0")),
        good.clone().without("x-acme-timestamp"),
        acme("wrong", now(), body),
        acme(SECRET, now() - 400, body),
        acme(SECRET, now() + 400, body),
    ] {
        assert_eq!(bad.to(&yard).status, 401, "{bad:?}");
    }
    assert_eq!(count(&yard), 1);
}

#[test]
fn sources_are_told_apart_by_their_paths() {
    let config = format!(
        "{GITHUB}[sources.hotglue]\nscheme = \"hotglue\"\npath = \"/in/x/y\"\nsecrets = [{{ value = \"{SECRET}\" }}]\n"
    );
    let yard = Yard::start(&config, &[]);
    let body = r#"{"status":"JOB_COMPLETED"}"#;
    assert_eq!(hotglue(SECRET, body).to(&yard).status, 404);
    let moved = Sending::new("/in/x/y", body)
        .with("x-hub-signature", hotglue(SECRET, body).header("x-hub-signature"));
    assert_eq!(stored(&yard, &moved.to(&yard))["source"], "hotglue");
    assert_eq!(stored(&yard, &github(SECRET, "1", body).to(&yard))["source"], "github");
}
