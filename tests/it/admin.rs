//! The admin side: who may ask, health, handlers and metrics.

use std::fs;

use serde_json::{Value, json};

use crate::senders::{Sending, hotglue};
use crate::wat;
use crate::wire::Wire;
use crate::yard::{Answer, Yard, wait};

const SOURCES: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "first" }]
[[routes]]
name = "jobs"
source = "hotglue"
event = "JOB_*"
handler = "good"
"#;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

const EVENTS: &str = "GET /api/v1/events HTTP/1.1\r\n";

/// What the admin side answers to these lines.
fn ask(yard: &Yard, lines: &str) -> Answer {
    let mut wire = Wire::to(yard.admin());
    wire.send(format!("{lines}connection: close\r\n\r\n"));
    wire.answer()
}

/// A yard whose admin side can be reached from elsewhere, not running yet.
fn open_to_all(more: &str) -> Yard {
    let yard = Yard::new("");
    let server = "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"0.0.0.0:0\"\n";
    fs::write(yard.path("router.toml"), format!("{server}{more}")).unwrap();
    yard
}

#[test]
fn who_runs_it_can_ask_whether_it_lives_and_is_ready() {
    let yard = Yard::start(SOURCES, &[]);
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let answer = yard.ask(path);
        assert_eq!((answer.status, answer.json()), (200, json!({ "status": status })));
        // A kubelet names the pod's address as the host, and has no token.
        let answer = ask(&yard, &format!("GET {path} HTTP/1.1\r\nhost: 10.0.0.1:8081\r\n"));
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn what_there_is_not_is_not_found() {
    let yard = Yard::start(SOURCES, &[]);
    for path in
        ["/", "/api/v1", "/api/v1/", "/api/v1/event", "/api/v1/handlers/x", "/hooks/hotglue"]
    {
        let answer = yard.ask(path);
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({ "error": "not found" })),
            "{path}"
        );
        for method in ["POST", "DELETE"] {
            let answer = yard.admin_request(method, path, &JSON);
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    for (method, path, allow) in [
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/api/v1/events/evt_1/why", "GET, HEAD"),
        ("DELETE", "/api/v1/sources/hotglue/refused", "GET, HEAD"),
        ("DELETE", "/api/v1/replay", "POST"),
        ("GET", "/api/v1/reload", "POST"),
        ("GET", "/api/v1/routes/jobs/pause", "POST"),
    ] {
        let answer = yard.admin_request(method, path, &JSON);
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    for path in ["/healthz", "/metrics", "/api/v1/events"] {
        let answer = yard.raw(
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 404 "), "the public side, {path}: {answer}");
    }
}

#[test]
fn on_loopback_only_this_machines_own_names_are_answered() {
    let config = format!("admin_hosts = [\"Hooks.Internal\"]{SOURCES}");
    let yard = Yard::start(&config, &[]);
    let port = yard.admin().port();
    for (host, status) in [
        ("localhost".to_owned(), 200),
        (format!("localhost:{port}"), 200),
        (format!("127.0.0.1:{port}"), 200),
        ("[::1]:1".to_owned(), 200),
        ("hooks.internal".to_owned(), 200),
        ("HOOKS.internal:443".to_owned(), 200),
        ("evil.example".to_owned(), 403),
        (format!("evil.example:{port}"), 403),
        ("localhost.evil.example".to_owned(), 403),
        ("127.0.0.1.evil.example".to_owned(), 403),
        ("192.168.0.1".to_owned(), 403),
        (String::new(), 403),
    ] {
        for path in ["/api/v1/events", "/api/v1/handlers", "/metrics"] {
            let answer = ask(&yard, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n"));
            assert_eq!(answer.status, status, "{host} {path}");
            let told = answer.body.starts_with(r#"{"error":"#);
            assert_eq!(told, status != 200, "{host} {path}");
        }
    }
    assert_eq!(ask(&yard, "GET /metrics HTTP/1.0\r\n").status, 403);
    let absolute = "GET http://evil.example/metrics HTTP/1.1\r\nhost: evil.example\r\n";
    assert_eq!(ask(&yard, absolute).status, 403);
}

#[test]
fn other_sites_pages_get_nothing() {
    let yard = Yard::start(SOURCES, &[]);
    let host = format!("localhost:{}", yard.admin().port());
    for (line, status) in [
        (format!("origin: http://{host}"), 200),
        ("origin: http://localhost:1".to_owned(), 403),
        ("origin: https://evil.example".to_owned(), 403),
        ("origin: null".to_owned(), 403),
        ("sec-fetch-site: same-origin".to_owned(), 200),
        ("sec-fetch-site: none".to_owned(), 200),
        ("sec-fetch-site: same-site".to_owned(), 403),
        ("sec-fetch-site: cross-site".to_owned(), 403),
        (format!("sec-fetch-site: cross-site\r\norigin: http://{host}"), 403),
    ] {
        let answer = ask(&yard, &format!("{EVENTS}host: {host}\r\n{line}\r\n"));
        assert_eq!(answer.status, status, "{line}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn what_would_change_something_must_be_json() {
    let yard = Yard::start(SOURCES, &[]);
    let post = |kind: &str| {
        let head = "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n";
        ask(&yard, &format!("{head}{kind}"))
    };
    assert_eq!(post("").status, 415);
    assert_eq!(post("content-type: text/plain\r\n").status, 415);
    let answer = post("content-type: application/json\r\n");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn without_a_token_it_is_not_opened_to_other_machines() {
    let yard = open_to_all("");
    let (code, said) = yard.fails_to_start();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("admin_token"), "{said}");
}

#[test]
fn with_a_token_it_is_asked_for_everywhere_but_by_health() {
    let mut yard = open_to_all("admin_token = { value = \"a token of the tests\" }\n");
    yard.run();
    let with = |lines: &str, path: &str| {
        ask(&yard, &format!("GET {path} HTTP/1.1\r\nhost: hooks.example\r\n{lines}"))
    };
    for path in ["/metrics", "/api/v1/events", "/api/v1/handlers", "/api/v1/events/x", "/nothing"] {
        for lines in [
            "",
            "authorization: Bearer wrong\r\n",
            "authorization: Bearer a token of the test\r\n",
            "authorization: Bearer a token of the tests!\r\n",
            "authorization: Basic a token of the tests\r\n",
            "authorization: Bearer \r\n",
            "authorization: a token of the tests\r\n",
        ] {
            let answer = with(lines, path);
            assert_eq!(answer.status, 401, "{path} {lines}");
            assert!(!answer.body.contains("of the tests"), "{answer:?}");
        }
    }
    let token = "authorization: Bearer a token of the tests\r\n";
    assert_eq!(with(token, "/api/v1/events").status, 200);
    assert_eq!(with(token, "/metrics").status, 200);
    assert_eq!(with(token, "/nothing").status, 404);
    let foreign = format!("{token}origin: https://evil.example\r\n");
    assert_eq!(with(&foreign, "/api/v1/events").status, 403);
    assert_eq!(with("", "/healthz").status, 200);
    assert_eq!(with("", "/readyz").status, 200);
    assert!(!yard.log().contains("of the tests"));
}

#[test]
fn handlers_are_shown_as_they_are() {
    let route = |handler| format!("[[routes]]\nsource = \"hotglue\"\nhandler = \"{handler}\"\n");
    let config = [SOURCES, &route("gone"), &route("text")].concat();
    let yard = Yard::start(&config, &[("good", &wat::ack()), ("text", "no module")]);
    let answer = yard.ask("/api/v1/handlers");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let answer = answer.json();
    let [gone, good, text] = answer["items"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    let missing = json!({
        "name": "gone", "state": "missing", "version": null, "abi": null, "error": null,
    });
    assert_eq!(*gone, missing);
    assert_eq!((&good["name"], &good["state"]), (&json!("good"), &json!("ready")));
    assert!(good["version"].as_str().is_some_and(|version| !version.is_empty()));
    assert!(good["abi"].is_string());
    assert_eq!(good["error"], Value::Null);
    assert_eq!((&text["name"], &text["state"]), (&json!("text"), &json!("bad")));
    assert_eq!((&text["version"], &text["abi"]), (&Value::Null, &Value::Null));
    assert!(text["error"].is_string());
    let id = hotglue("first", r#"{"status":"JOB_X"}"#).to(&yard).json()["id"].clone();
    let event = wait("the attempt", || {
        let event = yard.event(id.as_str().unwrap());
        (event["deliveries"][0]["state"] == "done").then_some(event)
    });
    assert_eq!(event["deliveries"][0]["attempts"][0]["handler_version"], good["version"]);
}

#[test]
fn the_metrics_count_what_was_asked_and_done() {
    let config = format!(
        "{SOURCES}[[routes]]\nname = \"no\"\nsource = \"hotglue\"\nevent = \"JOB_X\"\nhandler = \"no\"\n"
    );
    let yard = Yard::start(&config, &[("good", &wat::ack()), ("no", &wat::reject("no"))]);
    for body in [r#"{"status":"JOB_X"}"#, r#"{"status":"JOB_X"}"#, r#"{"status":"JOB_Y"}"#] {
        assert_eq!(hotglue("first", body).to(&yard).status, 200);
    }
    for _ in 0..4 {
        assert_eq!(hotglue("wrong", "{}").to(&yard).status, 401);
    }
    for path in ["/a", "/b", "/b/c?d"] {
        assert_eq!(Sending::new(path, "").to(&yard).status, 404);
    }
    yard.raw(b"PUT /hooks/hotglue HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let all = [
        (r#"requests_total{result="accepted",source="hotglue"}"#, 2.0),
        (r#"requests_total{result="duplicate",source="hotglue"}"#, 1.0),
        (r#"requests_total{result="unauthorized",source="hotglue"}"#, 4.0),
        (r#"requests_total{result="wrong_method",source="hotglue"}"#, 1.0),
        (r#"requests_total{result="not_found",source=""}"#, 3.0),
        (r#"events_stored_total{source="hotglue"}"#, 2.0),
        (r#"deliveries{state="pending"}"#, 0.0),
        (r#"deliveries{state="done"}"#, 2.0),
        (r#"deliveries{state="dead"}"#, 1.0),
        (r#"deliveries{state="parked"}"#, 0.0),
        (r#"deliveries_settled_total{route="jobs",state="done"}"#, 2.0),
        (r#"deliveries_settled_total{route="no",state="dead"}"#, 1.0),
        (r#"attempts_total{outcome="ack",route="jobs"}"#, 2.0),
        (r#"attempts_total{outcome="reject",route="no"}"#, 1.0),
        (r#"attempt_duration_seconds_count{route="jobs"}"#, 2.0),
        ("ack_duration_seconds_count", 3.0),
        ("dedupe_horizon_seconds", 86_400.0),
        ("commit_failures_total", 0.0),
        ("connections_refused_total", 0.0),
    ];
    wait("the deliveries to be settled", || {
        let settled = |name| yard.metric(name);
        let ends = settled(r#"hookyard_deliveries{state="done"}"#)
            + settled(r#"hookyard_deliveries{state="dead"}"#);
        (ends == 3.0).then_some(())
    });
    let page = yard.ask("/metrics");
    assert!(page.header("content-type").unwrap().starts_with("text/plain"));
    for (name, expected) in all {
        let line = format!("hookyard_{name} {expected}");
        assert!(page.body.lines().any(|found| found == line), "{line} is not in\n{}", page.body);
    }
    let not_found = page.body.lines().filter(|line| line.contains("not_found"));
    assert_eq!(not_found.count(), 1, "unknown paths must share a series");
}

#[test]
fn the_counts_of_deliveries_outlive_a_restart() {
    let mut yard = Yard::start(SOURCES, &[]);
    let id = hotglue("first", r#"{"status":"JOB_X"}"#).to(&yard).json()["id"].clone();
    yard.until(id.as_str().unwrap(), "parked");
    let is_counted = |yard: &Yard| {
        let parked = yard.metric(r#"hookyard_deliveries{state="parked"}"#);
        (parked == 1.0).then_some(())
    };
    wait("the parked delivery to be counted", || is_counted(&yard));
    yard.kill();
    yard.run();
    wait("the parked delivery to be counted again", || is_counted(&yard));
}
