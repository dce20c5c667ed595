//! What a handler sees, what it can reach, and what it leaves behind.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::letters::{attempts, delivery, order, routes};
use crate::wat;
use crate::yard::{Yard, wait};

const ONCE: &str = "retry = { attempts = 1 }";

const NO_EGRESS: &str = r#"not granted: requests to https://api.example.com; router.toml would grant it with egress = ["https://api.example.com"] in [handlers.probe]"#;
const NO_STATE: &str = r#"not granted: this handler has no state; router.toml would grant it with state = { bytes = "16MiB" } in [handlers.probe]"#;
const NO_EMIT: &str = r#"not granted: this handler may not emit events of type crm.updated; router.toml would grant it with emit = ["crm.updated"] in [handlers.probe]"#;

/// A yard with the probe, and `config` after its routes.
fn with_probe(config: &str) -> Yard {
    let mut yard = Yard::new(&(routes(&["probe"], ONCE) + config));
    yard.add_probe("probe");
    yard.run();
    yard
}

/// What the probe finds out.
fn found(yard: &Yard, action: &str, arg: &str) -> String {
    let event = yard.until(&yard.send("probe", &order(action, arg)), "dead");
    attempts(&event)[0]["error"].as_str().unwrap().to_owned()
}

/// The lines of an event's only attempt: level and message.
fn logs(event: &Value) -> Vec<(&str, &str)> {
    let [attempt] = attempts(event) else { panic!("{event}") };
    let lines = attempt["logs"].as_array().unwrap().iter();
    lines.map(|line| (line["level"].as_str().unwrap(), line["message"].as_str().unwrap())).collect()
}

/// What the probe saw of an event on that route, its attributes as a map.
fn echoed(event: &Value, route: &str) -> Value {
    let deliveries = event["deliveries"].as_array().unwrap();
    let delivery = deliveries.iter().find(|delivery| delivery["route"] == route).unwrap();
    let line = delivery["attempts"][0]["logs"][0]["message"].as_str().unwrap();
    let mut seen: Value = serde_json::from_str(line).unwrap();
    let attributes: BTreeMap<String, String> =
        serde_json::from_value::<Vec<_>>(seen["attributes"].take()).unwrap().into_iter().collect();
    seen["attributes"] = json!(attributes);
    seen
}

#[test]
fn a_handler_sees_the_event_as_it_came_in_even_much_later() {
    let mut yard = Yard::new(
        r#"
[sources.s]
scheme = { kind = "none" }
event_type = { header = "x-type" }
event_id = { header = "x-delivery" }
[[routes]]
name = "now"
source = "s"
handler = "probe"
[[routes]]
name = "later"
source = "s"
handler = "late"
"#,
    );
    yard.add_probe("probe");
    yard.run();
    let body = r#"{"do":"echo","via":"log","more":"grüße \u0000"}"#;
    let mut request = format!(
        "POST /hooks/s?a=1&b=%20&token=hush HTTP/1.1\r\nHost: hooks\r\nX-Type: order.made\r\n\
         X-Delivery: d-1\r\nX-Same: one\r\nX-Same: two\r\nX-Empty:\r\nCookie: hush\r\n\
         Authorization: Bearer hush\r\nConnection: close\r\nContent-Length: {}\r\nX-Bytes: ",
        body.len()
    )
    .into_bytes();
    request.extend(b"\xff\x80\r\n\r\n");
    request.extend(body.as_bytes());
    let answer = yard.raw(&request);
    let id = answer.split('"').nth(3).unwrap();
    let settled = |state| {
        wait("both deliveries", || {
            let event = yard.event(id);
            let [now, later] = &event["deliveries"].as_array()?[..] else { return None };
            (now["state"] == "done" && later["state"] == state).then_some(event)
        })
    };
    let event = settled("parked");
    let received_at: jiff::Timestamp = event["received_at"].as_str().unwrap().parse().unwrap();
    let seen = echoed(&event, "now");
    assert_eq!(
        seen,
        json!({
            "id": id,
            "source": "s",
            "event_type": "order.made",
            "route": "now",
            "received_at": received_at.as_millisecond(),
            "attempt": 1,
            "headers": [
                ["host", "hooks"],
                ["x-type", "order.made"],
                ["x-delivery", "d-1"],
                ["x-same", "one"],
                ["x-same", "two"],
                ["x-empty", ""],
                ["connection", "close"],
                ["content-length", body.len().to_string()],
                ["x-bytes", r"\xff\x80"],
            ],
            "attributes": {
                "path": "/hooks/s",
                "query": "a=1&b=%20&token=hush",
                "sender-id": "d-1",
                "peer": "127.0.0.1",
            },
            "body": body,
        })
    );

    yard.kill();
    let plugin = |name: &str| yard.path("plugins").join(name);
    fs::rename(plugin("probe.wasm"), plugin("late.wasm")).unwrap();
    yard.run();
    let mut later = echoed(&yard.until(id, "done"), "later");
    assert_eq!(later["route"], "later");
    later["route"] = "now".into();
    assert_eq!(later, seen);
}

#[test]
fn every_attempt_gets_a_fresh_instance() {
    let many = r#"retry = { attempts = 4, first = "1ms", factor = 1, max = "1ms" }"#;
    let yard = Yard::start(&routes(&["count"], many), &[("count", &wat::count())]);
    let sent: Vec<String> = (0..20).map(|_| yard.send("count", "{}")).collect();
    for id in &sent {
        let event = yard.until(id, "dead");
        let reasons: Vec<_> = attempts(&event).iter().map(|attempt| &attempt["error"]).collect();
        assert_eq!(reasons, ["111", "211", "311", "411"]);
    }
}

#[test]
fn configuration_is_handed_over_as_text() {
    let config = r#"config = { region = "eu", limit = 5, ratio = 0.5, strict = true, empty = "" }"#;
    let yard = with_probe(&format!("[handlers.probe]\n{config}"));
    for (key, value) in [
        ("region", "eu"),
        ("limit", "5"),
        ("ratio", "0.5"),
        ("strict", "true"),
        ("empty", ""),
        ("Region", "none"),
        ("nowhere", "none"),
    ] {
        assert_eq!(found(&yard, "config", key), value, "{key}");
    }
    assert_eq!(
        found(&yard, "config", ""),
        r#"[("empty", ""), ("limit", "5"), ("ratio", "0.5"), ("region", "eu"), ("strict", "true")]"#
    );
}

#[test]
fn what_is_logged_or_printed_is_kept_with_the_attempt_and_told_with_the_event() {
    let yard = with_probe("");
    let event = yard.until(&yard.send("probe", &order("log", "knock")), "done");
    let levels = ["debug", "debug", "info", "warn", "error"];
    assert_eq!(logs(&event), levels.map(|level| (level, "knock")));
    let id = &event["id"];
    for level in ["INFO", "WARN", "ERROR"] {
        let line = format!(
            r#""level":"{level}","message":"knock","event":{id},"handler":"probe","route":"probe""#
        );
        wait(&line, || (yard.log().matches(&line).count() == 1).then_some(()));
    }
    assert!(!yard.log().contains(r#""level":"DEBUG""#));

    let event = yard.until(&yard.send("probe", &order("stdout", "one\n\ntwo\u{7}")), "done");
    let (out, err) = ("info", "warn");
    let lines = [(out, "one"), (out, r"two\u{7}"), (err, "one"), (err, r"two\u{7}")];
    assert_eq!(logs(&event), lines);
}

#[test]
fn a_log_is_kept_up_to_its_last_byte() {
    let full = ("warn", "the log is full: later lines are dropped");
    let cases = [
        ("b0", vec![]),
        ("b1", vec![("info", "a"), full]),
        ("b5", vec![("info", "abcde"), full]),
        ("b6", vec![("info", "abcdef"), full]),
        ("b7", vec![("info", "abcdef")]),
    ];
    let names = cases.each_ref().map(|(name, _)| *name);
    let limit = |name: &str| format!("[handlers.{name}]\nlog_bytes = {}\n", &name[1..]);
    let config = routes(&names, ONCE) + &names.map(limit).concat();
    let log = wat::log("abcdef");
    let yard = Yard::start(&config, &names.map(|name| (name, &*log)));
    for (name, expected) in cases {
        let event = yard.until(&yard.send(name, "{}"), "done");
        assert_eq!(logs(&event), expected, "{name}");
    }
}

#[test]
fn a_handler_without_a_table_reaches_nothing() {
    let yard = with_probe("");
    let admin = yard.admin().to_string();
    for (action, arg, answer) in [
        ("config", "region", "none"),
        ("config", "", "[]"),
        ("env", "", "[] []"),
        ("files", "/", "No such file or directory"),
        ("files", ".", "No such file or directory"),
        ("files", "/proc/self", "No such file or directory"),
        ("connect", &*admin, "Permission denied"),
        ("connect", "192.0.2.1:80", "Permission denied"),
        ("listen", "127.0.0.1:0", "Permission denied"),
        ("resolve", "localhost:80", "failed to lookup address"),
    ] {
        let found = found(&yard, action, arg);
        assert!(found.contains(answer), "{action} {arg}: {found}");
    }
    for (action, arg, answer, why) in [
        ("egress", "https://api.example.com/v1", "HttpRequestDenied", NO_EGRESS),
        ("keyvalue", "k", "not granted: this handler has no state", NO_STATE),
        ("emit", "crm.updated", NO_EMIT, NO_EMIT),
    ] {
        let event = yard.until(&yard.send("probe", &order(action, arg)), "dead");
        assert!(delivery(&event)["cause"].as_str().unwrap().contains(answer), "{event}");
        assert_eq!(logs(&event), [("warn", why)]);
    }
}
