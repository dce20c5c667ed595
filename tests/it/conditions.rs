//! Routes that take only what their condition holds for.

use serde_json::Value;

use crate::wat;
use crate::yard::{Answer, Yard};

const SOURCE: &str = r#"
[sources.s]
scheme = { kind = "none" }
event_type = [{ header = "x-type" }, { pointer = "/type" }]
event_id = { pointer = "/id" }
"#;

const FORM: (&str, &str) = ("content-type", "Application/x-www-form-urlencoded; charset=utf-8");

/// A yard with these routes, each a name and its condition.
fn yard(routes: &[(&str, &str)]) -> Yard {
    let route = |(name, when): &(&str, &str)| {
        format!("[[routes]]\nname = \"{name}\"\nsource = \"s\"\nhandler = \"h\"\nwhen = '{when}'\n")
    };
    let routes: String = routes.iter().map(route).collect();
    Yard::start(&format!("{SOURCE}{routes}"), &[("h", &wat::ack())])
}

/// Posts an event, which must be stored, and gives what is known of it.
fn send(yard: &Yard, headers: &[(&str, &str)], body: &str) -> Value {
    yard.event(&id(&yard.post("/hooks/s", headers, body.as_bytes())))
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// The routes that took an event.
fn taken_by(event: &Value) -> Vec<&str> {
    let deliveries = event["deliveries"].as_array().unwrap().iter();
    deliveries.map(|delivery| delivery["route"].as_str().unwrap()).collect()
}

fn failures(yard: &Yard, route: &str) -> f64 {
    yard.metric(&format!("hookyard_when_failures_total{{route=\"{route}\"}}"))
}

#[test]
fn an_event_goes_to_the_routes_whose_condition_holds() {
    let yard = yard(&[
        ("acme", r#"body.tenant == "acme""#),
        ("others", r#"body.tenant != "acme""#),
        ("test", r#""x-env" in headers && headers["x-env"] == "test, twice""#),
        ("syncs", r#"source == "s" && type.startsWith("sync.") && id != """#),
        ("paid", r#"has(body.items) && body.items.exists(item, item.paid)"#),
    ]);
    for (headers, body, expected) in [
        (&[][..], r#"{"tenant":"acme"}"#, &["acme"][..]),
        (&[], r#"{"tenant":"b","items":[{"paid":false},{"paid":true}]}"#, &["others", "paid"]),
        (&[("X-Env", "test"), ("x-env", "twice")], r#"{"tenant":"acme"}"#, &["acme", "test"]),
        (&[("x-type", "sync.done")], r#"{"id":"1","tenant":"acme"}"#, &["acme", "syncs"]),
        (&[], r#"{"id":"2","type":"sync.done","tenant":"acme"}"#, &["acme", "syncs"]),
        (&[("x-type", "other")], r#"{"id":"3","type":"sync.done","tenant":"acme"}"#, &["acme"]),
        (&[("content-type", FORM.1)], r#"{"tenant":"acme"}"#, &["acme"]),
    ] {
        assert_eq!(taken_by(&send(&yard, headers, body)), expected, "{body}");
    }
    assert_eq!((failures(&yard, "acme"), failures(&yard, "test")), (0.0, 0.0));
}

#[test]
fn a_condition_that_cannot_be_answered_is_no_match_and_is_counted() {
    let yard =
        yard(&[("tenant", r#"body.tenant == "acme""#), ("text", "body.count"), ("all", "true")]);
    for body in [r#"{"count":1}"#, "[]", "no json", ""] {
        assert_eq!(taken_by(&send(&yard, &[], body)), ["all"], "{body}");
    }
    assert_eq!((failures(&yard, "tenant"), failures(&yard, "text")), (4.0, 4.0));
    assert_eq!(taken_by(&send(&yard, &[], r#"{"tenant":"acme"}"#)), ["tenant", "all"]);
    assert_eq!((failures(&yard, "tenant"), failures(&yard, "all")), (4.0, 0.0));
}

#[test]
fn a_form_has_a_type_an_id_and_a_body() {
    let yard =
        yard(&[("deploy", r#"type == "command" && body.text == "/deploy now" && id == "7""#)]);
    let body = "type=command&text=%2Fdeploy+now&id=7&type=second";
    let event = send(&yard, &[FORM], body);
    assert_eq!((&event["type"], taken_by(&event)), (&"command".into(), vec!["deploy"]));
    // The id alone is not signed here, so the body counts too.
    let again = yard.post("/hooks/s", &[FORM], body.as_bytes());
    assert_eq!((again.json()["duplicate"].as_bool(), id(&again)), (Some(true), text(&event["id"])));
    let other = send(&yard, &[FORM], &body.replace("id=7", "id=8"));
    assert_eq!((taken_by(&other), failures(&yard, "deploy")), (vec![], 0.0));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn a_body_above_256_kib_matches_no_condition_on_it() {
    let yard = yard(&[("body", r#"body.tenant == "acme""#), ("type", r#"type == "big""#)]);
    let body = |bytes| format!(r#"{{"tenant":"acme","filler":"{}"}}"#, "x".repeat(bytes));
    let big = [("x-type", "big")];
    assert_eq!(taken_by(&send(&yard, &big, &body(200 << 10))), ["body", "type"]);
    assert_eq!(failures(&yard, "body"), 0.0);
    assert_eq!(taken_by(&send(&yard, &big, &body(300 << 10))), ["type"]);
    assert_eq!(failures(&yard, "body"), 1.0);
}
