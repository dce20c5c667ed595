//! Bodies: how large they may be, and that they come back as they came.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::senders::{Sending, hotglue};
use crate::wire::Wire;
use crate::yard::{self, Yard};

const SECRET: &str = "a secret of the tests";
const LIMIT: usize = 64 * 1024;
const MIB: usize = 1024 * 1024;

const SOURCES: &str = r#"
[sources.hotglue]
scheme = "hotglue"
body_limit = "64KiB"
secrets = [{ value = "a secret of the tests" }]
[sources.open]
scheme = { kind = "none" }
[[routes]]
source = "open"
handler = "probe"
"#;

/// A chunked request whose body comes in these many bytes at a time.
fn chunked(sending: &Sending, body: &[u8], piece: usize) -> Vec<u8> {
    let mut bytes = sending.head("transfer-encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.chunks(piece) {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn id(answer: &yard::Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_body_at_its_limit_passes_and_one_byte_more_does_not() {
    let yard = Yard::start(SOURCES, &[]);
    let (fits, over) = ("x".repeat(LIMIT), "x".repeat(LIMIT + 1));
    for (body, status) in [(&fits, 200), (&over, 413)] {
        let sending = hotglue(SECRET, body);
        assert_eq!(sending.to(&yard).status, status);
        for piece in [LIMIT + 1, 1_000] {
            let mut wire = Wire::to(yard.public());
            wire.send(chunked(&sending, body.as_bytes(), piece));
            assert_eq!(wire.answer().status, status, "chunks of {piece}");
        }
    }
    let promise = hotglue(SECRET, "").head(&format!("content-length: {}\r\n\r\n", LIMIT + 1));
    let mut wire = Wire::to(yard.public());
    wire.send(promise);
    let answer = wire.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (413, Some("body too large")));
    let counted = r#"hookyard_requests_total{result="too_large",source="hotglue"}"#;
    yard.reads(counted, 4.0);
}

#[test]
fn a_length_beyond_all_numbers_is_refused() {
    let yard = Yard::start(SOURCES, &[]);
    for (length, status) in [("9223372036854775807", "413"), ("18446744073709551616", "400")] {
        let head = hotglue(SECRET, "").head(&format!("content-length: {length}\r\n\r\n"));
        let answer = yard.raw(head.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
    }
}

#[test]
fn a_large_body_comes_back_whole_even_after_a_restart() {
    let mut yard = Yard::new(SOURCES);
    fs::copy(yard::probe(), yard.path("plugins/probe.wasm")).unwrap();
    yard.run();
    let padding = "ü0123456789\"\\".repeat(MIB / 10);
    let body = serde_json::json!({ "do": "ack", "padding": padding }).to_string();
    assert!(body.len() > MIB);
    let first = id(&Sending::new("/hooks/open", &body).to(&yard));
    assert_eq!(yard.until(&first, "done")["body"], *body);
    yard.kill();
    // Without its handler the second waits, and is handled from the disk.
    fs::rename(yard.path("plugins/probe.wasm"), yard.path("aside")).unwrap();
    yard.run();
    assert_eq!(yard.event(&first)["body"], *body);
    let second = body.replace("0123456789", "9876543210");
    let later = id(&Sending::new("/hooks/open", &second).to(&yard));
    yard.until(&later, "parked");
    assert!(yard.stop().success());
    fs::rename(yard.path("aside"), yard.path("plugins/probe.wasm")).unwrap();
    yard.run();
    // The probe acks only what it could read to its end.
    assert_eq!(yard.until(&later, "done")["body"], *second);
    assert_eq!(fs::read_dir(yard.path("data/bodies")).unwrap().count(), 2);
}

#[test]
fn bytes_that_are_no_text_come_back_in_base64() {
    let mut yard = Yard::start(SOURCES, &[]);
    let bytes: Vec<u8> = (0..=255).cycle().take(300 * 1024).collect();
    for body in [&b"\xff"[..], b"{\"a\":\"\xc3\x28\"}", &bytes[..1_000], &bytes] {
        let id = id(&Sending::new("/hooks/open", body).to(&yard));
        for _ in 0..2 {
            let event = yard.event(&id);
            assert_eq!(event.get("body"), None);
            let found = STANDARD.decode(event["body_base64"].as_str().unwrap()).unwrap();
            assert!(found == body, "{} bytes are not the {} sent", found.len(), body.len());
            yard.kill();
            yard.run();
        }
    }
}

#[test]
fn text_comes_back_as_text_whatever_stands_in_it() {
    let yard = Yard::start(SOURCES, &[]);
    for body in ["", "a\0b\0", "\u{1b}[2J\r\n\t", "\u{feff}{}", "\u{202e}\u{10ffff}"] {
        let event = yard.event(&id(&Sending::new("/hooks/open", body).to(&yard)));
        assert_eq!(event["body"], *body);
        assert_eq!(event.get("body_base64"), None);
    }
}

#[test]
fn an_event_whose_body_is_gone_fails_its_attempt_which_is_counted() {
    let (paused, once) = ("paused = true\n", "retry = { attempts = 1 }\n");
    let mut yard = Yard::new(&[SOURCES, paused, once].concat());
    fs::copy(yard::probe(), yard.path("plugins/probe.wasm")).unwrap();
    yard.run();
    id(&yard.post("/hooks/open", &[], "x".repeat(MIB).as_bytes()));
    yard.kill();
    for body in fs::read_dir(yard.path("data/bodies")).unwrap() {
        fs::remove_file(body.unwrap().path()).unwrap();
    }
    yard.configure(&[SOURCES, once].concat());
    yard.run();
    yard::wait("it to be a dead letter", || {
        (yard.metric("hookyard_deliveries{state=\"dead\"}") == 1.0).then_some(())
    });
    for counted in [
        "hookyard_attempts_total{outcome=\"trap\",route=\"open/probe\"}",
        "hookyard_deliveries_settled_total{route=\"open/probe\",state=\"dead\"}",
    ] {
        assert_eq!(yard.metric(counted), 1.0, "{counted}");
    }
}
