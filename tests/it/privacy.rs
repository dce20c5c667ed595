//! What must not be seen, where it must not be seen.

use std::fs;
use std::path::Path;

use crate::senders::{Sending, hotglue};
use crate::yard::{self, Yard};

/// A word that stands in every header and secret of these tests.
const HUSH: &str = "hush3f9a";

const HOTGLUE: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "hush3f9a first" }]
[[routes]]
source = "hotglue"
handler = "probe"
"#;

/// Signs in places whose names do not tell it.
const QUIET: &str = r#"
[sources.header]
secrets = [{ value = "s" }]
scheme = { kind = "hmac", digest = "sha1", encoding = "hex", content = "{body}", signature = { header = "X-Proof" } }
[sources.query]
secrets = [{ value = "s" }]
scheme = { kind = "hmac", digest = "sha1", encoding = "hex", content = "{body}", signature = { query = "proof" } }
"#;

/// All files below a folder that hold this word.
fn holding(word: &str, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(word, &path));
        } else if contains(&fs::read(&path).unwrap(), word) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

fn id(answer: &yard::Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn headers_that_are_secrets_are_dropped() {
    let mut yard = Yard::new(HOTGLUE);
    fs::copy(yard::probe(), yard.path("plugins/probe.wasm")).unwrap();
    yard.run();
    let sending = hotglue("hush3f9a first", r#"{"do":"echo"}"#)
        .with("authorization", format!("Bearer {HUSH}"))
        .with("Proxy-Authorization", format!("Basic {HUSH}"))
        .with("COOKIE", format!("session={HUSH}"))
        .with("x-kept", "kept4b1e");
    let id = id(&sending.to(&yard));
    let event = yard.until(&id, "dead");
    let told = event["deliveries"][0]["attempts"][0]["error"].as_str().unwrap();
    assert!(told.contains("kept4b1e"), "the handler sees its headers: {told}");
    assert!(yard.stop().success());
    assert!(!holding("kept4b1e", &yard.path("data")).is_empty(), "headers are kept");
    assert_eq!(holding(HUSH, &yard.path("data")), Vec::<String>::new());
    assert!(!contains(event.to_string().as_bytes(), HUSH), "{event}");
    assert!(!contains(yard.log().as_bytes(), HUSH), "{}", yard.log());
}

#[test]
fn signatures_and_tokens_are_not_shown() {
    let yard = Yard::start(&format!("{HOTGLUE}{QUIET}"), &[]);
    let signed = yard::hotglue_signature("s", b"{}");
    let sent = [
        hotglue("hush3f9a first", "{}"),
        Sending::new("/hooks/header", "{}").with("x-proof", &*signed),
        Sending::new(&format!("/hooks/query?a=1&proof={signed}"), "{}"),
        Sending::new("/hooks/header?access_token=hush3f9a&a=1&sig_HMAC=hush3f9a", "[]")
            .with("x-proof", yard::hotglue_signature("s", b"[]"))
            .with("x-gitlab-token", HUSH)
            .with("X-Api-Key", HUSH),
    ];
    for sending in sent {
        let event = yard.event(&id(&sending.to(&yard))).to_string();
        assert!(event.contains("[redacted]"), "{event}");
        for secret in [HUSH, &signed, &yard::hotglue_signature("hush3f9a first", b"{}")] {
            assert!(!contains(event.as_bytes(), secret), "{secret} is in {event}");
        }
    }
    assert!(!contains(yard.log().as_bytes(), &signed));
}

#[test]
fn secrets_are_not_in_what_is_said_about_the_file() {
    for config in [HOTGLUE.replace("routes", "rautes"), HOTGLUE.replace("value", "valve")] {
        let yard = Yard::new(&config);
        let (code, said) = yard.fails_to_start();
        assert_eq!(code, Some(1));
        assert!(said.contains("router.toml"), "{said}");
        assert!(!said.contains(HUSH), "{said}");
    }
}
