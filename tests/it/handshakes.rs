//! What providers ask before they send, through the public path.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::senders::{Sending, now};
use crate::yard::{Answer, Yard};

fn yard(sources: &str) -> Yard {
    Yard::start(sources, &[])
}

fn source(preset: &str) -> String {
    format!("[sources.{preset}]\nscheme = \"{preset}\"\nsecrets = [{{ value = \"secret\" }}]\n")
}

/// A request without a body.
fn ask(yard: &Yard, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let fields: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request =
        format!("{method} {target} HTTP/1.1\r\nhost: hooks\r\n{fields}connection: close\r\n\r\n");
    let answer = yard.raw(request.as_bytes());
    Answer::read(&mut answer.as_bytes()).unwrap_or_else(|_| panic!("{answer}"))
}

fn tag(key: &str, text: &str) -> Vec<u8> {
    use hmac::{Hmac, KeyInit, Mac};
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// Signed as Slack and Zoom do.
fn timed(preset: &str, names: [&str; 2], key: &str, body: &Value) -> Sending {
    let (body, at) = (body.to_string(), now());
    let signature = format!("v0={}", hex::encode(tag(key, &format!("v0:{at}:{body}"))));
    Sending::new(&format!("/hooks/{preset}"), body)
        .with(names[0], signature)
        .with(names[1], at.to_string())
}

const SLACK: [&str; 2] = ["x-slack-signature", "x-slack-request-timestamp"];
const ZOOM: [&str; 2] = ["x-zm-signature", "x-zm-request-timestamp"];

fn is_text(answer: &Answer) -> bool {
    answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain"))
        && answer.header("x-content-type-options") == Some("nosniff")
}

/// Nothing was stored.
fn no_events(yard: &Yard) {
    assert_eq!(yard.ask("/api/v1/events").json()["items"], json!([]));
}

#[test]
fn slack_gets_its_challenge_only_for_a_good_signature() {
    let yard = yard(&source("slack"));
    let challenge = json!({ "type": "url_verification", "challenge": "3eZbrw1aB" });
    let answer = timed("slack", SLACK, "secret", &challenge).to(&yard);
    assert_eq!((answer.status, answer.json()), (200, json!({ "challenge": "3eZbrw1aB" })));
    let forged = timed("slack", SLACK, "other", &challenge).to(&yard);
    assert_eq!((forged.status, forged.json()), (401, json!({ "error": "unauthorized" })));
    no_events(&yard);
    let event =
        json!({ "type": "event_callback", "event_id": "E", "event": { "type": "message" } });
    assert_eq!(timed("slack", SLACK, "secret", &event).to(&yard).status, 200);
    assert_eq!(yard.ask("/api/v1/events").json()["items"][0]["type"], "message");
}

#[test]
fn zoom_gets_its_token_signed() {
    let yard = yard(&source("zoom"));
    let ask = json!({ "event": "endpoint.url_validation", "payload": { "plainToken": "qgg8vlvZRS6UYooatFL8Aw" } });
    let answer = timed("zoom", ZOOM, "secret", &ask).to(&yard);
    let encrypted = hex::encode(tag("secret", "qgg8vlvZRS6UYooatFL8Aw"));
    let expected = json!({ "plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted });
    assert_eq!((answer.status, answer.json()), (200, expected));
    assert_eq!(timed("zoom", ZOOM, "other", &ask).to(&yard).status, 401);
    no_events(&yard);
}

#[test]
fn meta_gets_its_challenge_for_its_own_token() {
    let yard = yard(&format!(
        "{}with = {{ verify_token = {{ value = \"ours\" }} }}\n",
        source("whatsapp")
    ));
    let get = |query: &str| ask(&yard, "GET", &format!("/hooks/whatsapp?{query}"), &[]);
    let good = get("hub.mode=subscribe&hub.verify_token=ours&hub.challenge=1158201444");
    assert_eq!((good.status, &*good.body, is_text(&good)), (200, "1158201444", true));
    for bad in [
        "hub.mode=subscribe&hub.verify_token=theirs&hub.challenge=1",
        "hub.mode=subscribe&hub.challenge=1",
        "hub.mode=unsubscribe&hub.verify_token=ours&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=theirs&hub.verify_token=ours&hub.challenge=1",
        "",
    ] {
        let answer = get(bad);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, GET")), "{bad}");
    }
    no_events(&yard);
}

#[test]
fn x_gets_its_token_signed_although_it_signs_nothing() {
    let yard = yard(&source("x"));
    let answer = ask(&yard, "GET", "/hooks/x?crc_token=9b4507b3&nonce=1", &[]);
    let expected = format!("sha256={}", STANDARD.encode(tag("secret", "9b4507b3")));
    assert_eq!((answer.status, answer.json()), (200, json!({ "response_token": expected })));
}

#[test]
fn what_is_sent_back_is_short_plain_text() {
    let yard = yard(&source("dropbox"));
    let get =
        |challenge: &str| ask(&yard, "GET", &format!("/hooks/dropbox?challenge={challenge}"), &[]);
    let long = "a".repeat(1024);
    for good in ["zq3-_.~", "a%20b%2Bc", &long] {
        let answer = get(good);
        assert_eq!((answer.status, is_text(&answer)), (200, true), "{good}");
    }
    assert_eq!(get("a%20b%2Bc+d").body, "a b+c d");
    let longer = format!("{long}a");
    for bad in ["%3Cscript%3E", "a%0d%0ab", "a%00", "%C3%A9", "a%22b", &longer] {
        let answer = get(bad);
        assert_eq!((answer.status, &*answer.body), (400, r#"{"error":"bad handshake"}"#), "{bad}");
    }
    assert_eq!(get("").status, 405);
    no_events(&yard);
}

#[test]
fn only_a_source_with_such_a_handshake_takes_another_method() {
    let yard = yard(
        &[
            source("github"),
            source("trello").replace("secrets", "public_url = \"https://h/t\"\nsecrets"),
            source("dropbox"),
        ]
        .concat(),
    );
    for (method, target, expected) in [
        ("GET", "/hooks/github?challenge=x", (405, Some("POST"))),
        ("GET", "/hooks/trello", (405, Some("POST, HEAD"))),
        ("PUT", "/hooks/dropbox?challenge=x", (405, Some("POST, GET"))),
        ("GET", "/hooks/unknown?challenge=x", (404, None)),
    ] {
        let answer = ask(&yard, method, target, &[]);
        assert_eq!((answer.status, answer.header("allow")), expected, "{method} {target}");
    }
    assert!(
        yard.raw(b"HEAD /hooks/trello HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 200")
    );
}

#[test]
fn headers_and_bodies_are_asked_for_too() {
    let sources = [
        "smartsheet",
        "ringcentral",
        "okta",
        "monday",
        "twitch",
        "microsoft-graph",
        "azure-event-grid",
        "woocommerce",
    ]
    .map(source)
    .concat();
    let cloud =
        format!("{}with = {{ origin = [\"a.example\", \"b.example\"] }}\n", source("cloudevents"));
    let yard = yard(&[sources, cloud].concat());
    let post = |path: &str, headers: &[(&str, &str)], body: &str| {
        yard.post(path, headers, body.as_bytes())
    };
    let answer = post("/hooks/smartsheet", &[("Smartsheet-Hook-Challenge", "c-1")], "{}");
    assert_eq!(
        (answer.header("smartsheet-hook-response"), answer.json()),
        (Some("c-1"), json!({ "smartsheetHookResponse": "c-1" }))
    );
    let answer = post("/hooks/ringcentral", &[("Validation-Token", "v-1")], "");
    assert_eq!((answer.status, answer.header("validation-token")), (200, Some("v-1")));
    let answer = post("/hooks/monday", &[], r#"{"challenge":"m-1"}"#);
    assert_eq!((answer.status, answer.json()), (200, json!({ "challenge": "m-1" })));
    let token = "/hooks/microsoft-graph?validationToken=Validation%3a+Testing+client+application+reachability";
    let answer = post(token, &[], "");
    assert_eq!(answer.body, "Validation: Testing client application reachability");
    assert!(is_text(&answer));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(post("/hooks/woocommerce", &form, "webhook_id=7").status, 200);
    let challenge = ("X-Okta-Verification-Challenge", "o-1");
    let answer = ask(&yard, "GET", "/hooks/okta", &[challenge, ("authorization", "secret")]);
    assert_eq!((answer.status, answer.json()), (200, json!({ "verification": "o-1" })));
    assert_eq!(
        ask(&yard, "GET", "/hooks/okta", &[challenge, ("authorization", "other")]).status,
        401
    );
    let grid = r#"[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"g-1"}}]"#;
    let kind = [("aeg-event-type", "SubscriptionValidation")];
    let answer = post("/hooks/azure-event-grid?key=secret", &kind, grid);
    assert_eq!((answer.status, answer.json()), (200, json!({ "validationResponse": "g-1" })));
    assert_eq!(post("/hooks/azure-event-grid?key=other", &kind, grid).status, 401);
    for (origin, expected) in [("b.example", (200, Some("b.example"))), ("c.example", (405, None))]
    {
        let answer =
            ask(&yard, "OPTIONS", "/hooks/cloudevents", &[("WebHook-Request-Origin", origin)]);
        assert_eq!((answer.status, answer.header("webhook-allowed-origin")), expected);
    }
    no_events(&yard);
}

#[test]
fn a_handshake_that_nobody_signs_has_a_small_body() {
    let yard = yard(&source("monday"));
    let body =
        |padding: usize| format!(r#"{{"challenge":"c","padding":"{}"}}"#, "x".repeat(padding));
    let fits = body(16 * 1024 - body(0).len());
    assert_eq!(yard.post("/hooks/monday", &[], fits.as_bytes()).status, 200);
    let answer = yard.post("/hooks/monday", &[], format!("{fits} ").as_bytes());
    assert_eq!(answer.status, 413);
    let event = json!({ "challenge": "c", "event": { "type": "create_item" } }).to_string();
    assert_eq!(yard.post("/hooks/monday", &[], event.as_bytes()).status, 401);
    no_events(&yard);
}

#[test]
fn braintree_gets_its_challenge_signed() {
    use hmac::{Hmac, KeyInit, Mac};
    use sha1::{Digest, Sha1};
    let yard = yard(&format!("{}with = {{ public_key = \"pub\" }}\n", source("braintree")));
    let answer =
        ask(&yard, "GET", "/hooks/braintree?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53", &[]);
    let mac = Hmac::<Sha1>::new_from_slice(&Sha1::digest("secret")).unwrap();
    let tag = mac.chain_update("20f9f8ed05f77439fe955c977e4c8a53").finalize().into_bytes();
    assert_eq!((answer.status, answer.body), (200, format!("pub|{}", hex::encode(tag))));
}

#[test]
fn what_a_user_describes_is_answered_too() {
    let yard = yard(
        r#"[sources.acme]
secrets = [{ value = "secret" }]
[sources.acme.scheme]
kind = "hmac"
digest = "sha256"
encoding = "hex"
content = "{body}"
signature = { header = "X-Sig" }
handshake = { match = { body = { "/type" = "ping" } }, respond = { status = 202, header = { X-Pong = { pointer = "/id" } }, json = { ok = true, proof = { hmac = { pointer = "/id" } } } } }
"#,
    );
    let body = r#"{"type":"ping","id":"p-1"}"#;
    let signed = Sending::new("/hooks/acme", body).with("x-sig", hex::encode(tag("secret", body)));
    let answer = signed.to(&yard);
    let expected = json!({ "ok": true, "proof": hex::encode(tag("secret", "p-1")) });
    assert_eq!(
        (answer.status, answer.header("x-pong"), answer.json()),
        (202, Some("p-1"), expected)
    );
    assert_eq!(signed.body(r#"{"type":"ping","id":"p-2"}"#).to(&yard).status, 401);
}
