//! Handlers that serve HTTP: `wasi:http/incoming-handler`, unmodified.

use std::fs;

use serde_json::{Value, json};

use crate::letters::{attempts, delivery, routes};
use crate::yard::{Yard, guest};

const ONCE: &str = "retry = { attempts = 1 }";

/// A yard with the server under this name, and `config` after its source and routes.
fn with_server(name: &str, route: &str, config: &str) -> Yard {
    let mut yard = Yard::new(&(routes(&[name], route) + config));
    fs::copy(guest("server"), yard.path("plugins").join(format!("{name}.wasm"))).unwrap();
    yard.run();
    yard
}

/// The event's only attempt: its outcome and its error.
fn attempted(event: &Value) -> (&str, &str) {
    let [attempt] = attempts(event) else { panic!("{event}") };
    (attempt["outcome"].as_str().unwrap(), attempt["error"].as_str().unwrap_or_default())
}

#[test]
fn a_server_sees_a_request_with_facts_that_its_sender_cannot_forge() {
    let yard = with_server("h", "mode = \"sync\"", "");
    let headers = [("x-for", "h"), ("hookyard-event-id", "forged"), ("X-A", "1"), ("x-a", "2")];
    let answer = yard.post("/hooks/s?a=1&b=%20", &headers, b"{}");
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut seen = answer.json();
    let mut headers: Vec<(String, String)> =
        serde_json::from_value(seen["headers"].take()).unwrap();
    headers.sort();
    let own = |name: &str| {
        let (_, value) = headers.iter().find(|(known, _)| known == name).unwrap();
        value.clone()
    };
    let id = own("hookyard-event-id");
    let event = yard.event(&id);
    assert_eq!(event["id"], *id);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "content-length",
            "hookyard-attempt",
            "hookyard-event-id",
            "hookyard-event-type",
            "hookyard-received-at",
            "hookyard-route",
            "hookyard-source",
            "x-a",
            "x-a",
            "x-for"
        ]
    );
    let facts = ["attempt", "event-type", "route", "source"];
    assert_eq!(facts.map(|fact| own(&format!("hookyard-{fact}"))), ["1", "h", "h", "s"]);
    let received: jiff::Timestamp = event["received_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(own("hookyard-received-at"), received.as_millisecond().to_string());
    seen.as_object_mut().unwrap().remove("headers");
    let expected = json!({
        "method": "Method::Post",
        "scheme": "Some(Scheme::Http)",
        "authority": "hooks",
        "target": "/hooks/s?a=1&b=%20",
        "body": "{}",
    });
    assert_eq!(seen, expected);
    assert_eq!(yard.handler("h")["abi"], "http");
}

#[test]
fn a_status_acknowledges_rejects_or_asks_for_another_attempt() {
    let yard = with_server("h", ONCE, "");
    for (status, body, state, outcome, error) in [
        (204, "", "done", "ack", ""),
        (422, "no tenant", "dead", "reject", "status 422 no tenant"),
        (302, "", "dead", "reject", "status 302"),
        (500, "", "dead", "retry", "status 500"),
        (600, "", "dead", "trap", "its response has the status 600, which is none"),
    ] {
        let order = json!({ "status": status, "body": body }).to_string();
        let event = yard.until(&yard.send("h", &order), state);
        assert_eq!(attempted(&event), (outcome, error));
    }
}

#[test]
fn retry_after_says_when() {
    let yard = with_server("h", "", "");
    for headers in [
        json!([["retry-after", "3600"]]),
        json!([["Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"]]),
    ] {
        let id = yard.send("h", &json!({ "status": 429, "headers": headers }).to_string());
        let event = crate::yard::wait("an attempt", || {
            let event = yard.event(&id);
            (!attempts(&event).is_empty()).then_some(event)
        });
        let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let due = at(&delivery(&event)["due_at"]).as_second();
        let wait = due - at(&attempts(&event)[0]["started_at"]).as_second();
        let longest = 6 * 3600;
        let expected = if headers[0][1] == "3600" { 3600 } else { longest };
        assert!((expected..expected + 30).contains(&wait), "{wait} {event}");
    }
}

#[test]
fn a_sender_that_waits_gets_every_response_below_500() {
    let yard = with_server("h", "mode = \"sync\"", "");
    let post =
        |order: Value| yard.post("/hooks/s", &[("x-for", "h")], order.to_string().as_bytes());
    let headers = json!([["x-kind", "tea"], ["content-length", "4"], ["date", "never"]]);
    let answer =
        post(json!({ "status": 418, "headers": headers, "body": "pot!", "trailers": true }));
    assert_eq!((answer.status, &*answer.body, answer.header("x-kind")), (418, "pot!", Some("tea")));
    assert_eq!((answer.header("content-length"), answer.header("x-trailer")), (Some("4"), None));
    let busy = post(json!({ "status": 500, "headers": [["retry-after", "9"]] }));
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("9")));
    assert_eq!(post(json!({ "set": "nothing" })).status, 502);
}

#[test]
fn what_a_server_does_around_its_response_belongs_to_the_attempt() {
    let yard = with_server("h", ONCE, "[handlers.h]\ncpu = \"100ms\"");
    for (order, state, outcome, error) in [
        (json!({ "then": "print" }), "done", "ack", ""),
        (json!({ "then": "panic" }), "dead", "trap", "after the response, at src/lib.rs:"),
        (json!({ "then": "spin" }), "dead", "limit", "cpu: "),
        (json!({ "set": "nothing" }), "dead", "trap", "it ended without setting a response"),
        (
            json!({ "set": "error" }),
            "dead",
            "trap",
            "it set an error as response: ErrorCode::Inter",
        ),
        (
            json!({ "body": "half", "finish": false }),
            "dead",
            "trap",
            "it did not finish the body of its response",
        ),
    ] {
        let event = yard.until(&yard.send("h", &order.to_string()), state);
        let (found, said) = attempted(&event);
        assert_eq!(found, outcome, "{event}");
        assert!(said.starts_with(error), "{event}");
        if order["then"] == "print" {
            let logs = &attempts(&event)[0]["logs"];
            assert_eq!(*logs, json!([{ "level": "info", "message": "after the response" }]));
        }
    }
}

#[test]
fn a_response_has_header_fields_up_to_their_limit() {
    let yard = with_server("h", ONCE, "");
    let value = |bytes: usize| json!({ "headers": [["x", "y".repeat(bytes)]] }).to_string();
    yard.until(&yard.send("h", &value(60 << 10)), "done");
    let event = yard.until(&yard.send("h", &value(64 << 10)), "dead");
    assert_eq!(attempted(&event), ("limit", "header fields: the limit is 65536 bytes"));
}

#[test]
fn a_response_may_be_as_large_as_a_reply() {
    let yard = with_server("h", "mode = \"sync\"", "[handlers.h]\nreply_bytes = \"40KiB\"");
    let post = |times: usize, more: &str| {
        let order = json!({ "body": format!("{}{more}", "x".repeat(10 << 10)), "times": times });
        yard.post("/hooks/s", &[("x-for", "h")], order.to_string().as_bytes())
    };
    let answer = post(4, "");
    assert_eq!((answer.status, answer.body.len()), (200, 40 << 10));
    for (times, more) in [(4, "x"), (1_000_000, "")] {
        assert_eq!(post(times, more).status, 502, "{times}");
    }
    let events = yard.ask("/api/v1/events").json();
    let id = events["items"][0]["id"].as_str().unwrap();
    assert_eq!(attempted(&yard.event(id)), ("limit", "reply: the limit is 40960 bytes"));
}
