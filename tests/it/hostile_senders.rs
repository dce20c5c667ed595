//! Senders that break the rules of HTTP, or keep to them as slowly as they can.

use std::time::Duration;

use crate::senders::{Sending, hotglue};
use crate::wire::Wire;
use crate::yard::{Yard, wait};

const SECRET: &str = "a secret of the tests";

const SOURCES: &str = r#"
[sources.hotglue]
scheme = "hotglue"
body_limit = "4MiB"
secrets = [{ value = "a secret of the tests" }]
"#;

/// Between two bytes of a slow sender.
const PAUSE: Duration = Duration::from_millis(50);

/// What answers these bytes; the connection must end after it.
fn end(yard: &Yard, bytes: &str) -> String {
    let answer = yard.raw(bytes.as_bytes());
    answer.lines().next().unwrap_or_default().to_owned()
}

fn still_serves(yard: &Yard) {
    assert_eq!(hotglue(SECRET, "{}").to(yard).status, 200);
}

#[test]
fn a_secret_that_is_empty_is_refused_at_the_start() {
    let yard = Yard::new("");
    for secret in [r#"value = """#, r#"file = "empty""#, r#"env = "HOOKYARD_TEST_UNSET""#] {
        std::fs::write(yard.path("empty"), "\n").unwrap();
        for scheme in ["hotglue", "svix"] {
            yard.configure(&format!(
                "[sources.a]\nscheme = \"{scheme}\"\nsecrets = [{{ {secret} }}]\n"
            ));
            let (code, said) = yard.fails_to_start();
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("router.toml:7"), "{said}");
        }
    }
}

#[test]
fn too_many_headers_or_too_long_ones_are_refused() {
    let yard = Yard::start(SOURCES, &[]);
    let sending = hotglue(SECRET, "{}");
    let with = |lines: &str| sending.head(&format!("{lines}content-length: 2\r\n\r\n{{}}"));
    // Three beside them: host, the signature and the length.
    let many = |count: usize| "x: y\r\n".repeat(count - 3);
    let long = |length: usize| format!("x: {}\r\nconnection: close\r\n", "y".repeat(length));
    let mut wire = Wire::to(yard.public());
    wire.send(with(&many(100)));
    assert_eq!(wire.answer().status, 200);
    wire.send(with(&long(60 * 1024)));
    assert_eq!(wire.answer().status, 200);
    let path = format!("POST /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(100_000));
    for bytes in [with(&many(101)), with(&many(10_000)), with(&long(64 * 1024)), path] {
        let status = end(&yard, &bytes);
        assert!(
            status.starts_with("HTTP/1.1 431 ") || status.starts_with("HTTP/1.1 414 "),
            "{status}"
        );
    }
    still_serves(&yard);
}

#[test]
fn what_two_readers_could_read_differently_is_refused_and_the_connection_closed() {
    let yard = Yard::start(SOURCES, &[]);
    let sending = hotglue(SECRET, "{}");
    let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    for lines in [
        "x-folded: a\r\n b\r\ncontent-length: 2\r\n",
        "x-folded: a\r\n\tb\r\ncontent-length: 2\r\n",
        "content-length: 2\r\ncontent-length: 2\r\n",
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2, 2\r\n",
        "content-length: +2\r\n",
        "content-length: -2\r\n",
        "content-length: 0x2\r\n",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding : chunked\r\n",
        "content-length : 2\r\n",
        "host: other\r\ncontent-length: 2\r\n",
        "x-nul: \0\r\ncontent-length: 2\r\n",
        "x-return: a\rb\r\ncontent-length: 2\r\n",
    ] {
        let answer = yard.raw((sending.head(lines) + "\r\n{}" + hidden).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lines:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines:?}: {answer}");
    }
    assert_eq!(yard.metric("hookyard_events_stored_total{source=\"hotglue\"}"), 0.0);
    still_serves(&yard);
}

#[test]
fn what_is_no_http_is_refused() {
    let yard = Yard::start(SOURCES, &[]);
    for bytes in [
        "nonsense\r\n\r\n",
        "POST /hooks/hotglue\r\n\r\n",
        "POST /hooks/hotglue HTTP/9.9\r\nhost: a\r\n\r\n",
        "POST /hooks/hotglue HTTP/1.1\r\n\r\n",
        "POST  /hooks/hotglue HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /hooks/hot glue HTTP/1.1\r\nhost: a\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n",
    ] {
        let status = end(&yard, bytes);
        assert!(status.starts_with("HTTP/1.1 400 ") || status.is_empty(), "{bytes:?}: {status}");
    }
    still_serves(&yard);
}

#[test]
fn headers_that_come_a_byte_at_a_time_are_cut_off() {
    let yard = Yard::start(&format!("header_timeout = \"1s\"{SOURCES}"), &[]);
    std::thread::scope(|scope| {
        for begun in ["", "P", "POST /hooks/hotglue HTTP/1.1\r\nhost: ", "after another"] {
            let mut wire = Wire::to(yard.public());
            if begun == "after another" {
                wire.send(hotglue("wrong", "{}").bytes(""));
                assert_eq!(wire.answer().status, 401);
            }
            wire.send(begun);
            scope.spawn(move || {
                let said = wire.drip(b'a', PAUSE);
                assert_eq!(String::from_utf8_lossy(&said), "", "{begun:?}");
            });
        }
    });
    still_serves(&yard);
}

#[test]
fn a_body_that_comes_a_byte_at_a_time_is_answered_408() {
    let yard = Yard::start(SOURCES, &[]);
    let sending = hotglue(SECRET, "x".repeat(9_999));
    let slow = sending.promise(&yard, 9_999);
    let chunked = Wire::to(yard.public());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| slow.drip(b'x', PAUSE));
        let chunked = scope.spawn(|| {
            let mut wire = chunked;
            wire.send(sending.head("transfer-encoding: chunked\r\n\r\nffff\r\n"));
            wire.drip(b'x', PAUSE)
        });
        for slow in [slow, chunked] {
            let answer = String::from_utf8(slow.join().unwrap()).unwrap();
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
            assert!(answer.contains("connection: close\r\n"), "{answer}");
        }
    });
    still_serves(&yard);
}

#[test]
fn connections_over_the_limit_are_refused_and_the_rest_served() {
    let yard = Yard::start(&format!("connections = 3\nidle_timeout = \"1h\"{SOURCES}"), &[]);
    let mut open: Vec<_> = (0..3).map(|_| Wire::to(yard.public())).collect();
    let ask = |wire: &mut Wire<_>| {
        wire.send(hotglue("wrong", "{}").bytes(""));
        wire.answer().status
    };
    for wire in &mut open {
        assert_eq!(ask(wire), 401);
    }
    for _ in 0..5 {
        assert_eq!(Wire::to(yard.public()).rest(), "");
    }
    for wire in &mut open {
        assert_eq!(ask(wire), 401);
    }
    yard.reads("hookyard_connections_refused_total", 5.0);
    open.pop();
    let good = hotglue(SECRET, "{}");
    let answer = wait("a free place", || good.try_to(&yard).ok());
    assert_eq!(answer.status, 200);
}

#[test]
fn an_early_answer_reaches_a_sender_that_is_still_sending() {
    let yard = Yard::start(SOURCES, &[]);
    let large = "x".repeat(8 * 1024 * 1024);
    for (sending, status) in [
        (Sending::new("/hooks/hotglue", &large), 401),
        (hotglue(SECRET, "").with("x-hub-signature", "short").body(&large), 401),
        (Sending::new("/hooks/nobody", &large), 404),
        (hotglue(SECRET, "").body(&large), 413),
    ] {
        let mut wire = Wire::to(yard.public());
        wire.send(sending.bytes(""));
        let answer = wire.answer();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")));
    }
}

#[test]
fn control_characters_do_not_reach_the_log() {
    let config = r#"
        [sources.open]
        scheme = { kind = "none" }
        event_type = { pointer = "/type" }
        [[routes]]
        source = "open"
        handler = "h"
    "#;
    let reject = crate::wat::reject("\u{1b}[31mred\u{9b}2J\r\nforged\u{7f}");
    let yard = Yard::start(config, &[("h", &reject)]);
    let body = r#"{"type":"\u001b[2J\r\nforged\u0000\u009b"}"#;
    let sending = Sending::new("/hooks/open?%1b=%0a\u{9b}", body).with("x-a", "\u{9b}2J");
    let answer = sending.to(&yard);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let event = yard.until(&id, "dead");
    assert_eq!(event["type"], "\u{1b}[2J\r\nforged\0\u{9b}");
    assert_eq!(Sending::new("/%1b[2J\u{9b}", "").to(&yard).status, 404);
    let log = wait("the dead letter in the log", || {
        Some(yard.log()).filter(|log| log.contains("dead letter"))
    });
    let raw = |letter: char| letter.is_control() && letter != '\n';
    assert_eq!(log.chars().find(|letter| raw(*letter)), None, "{log:?}");
    assert!(
        log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{log}"
    );
}
