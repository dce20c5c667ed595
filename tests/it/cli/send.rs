//! `hookyard send`, to a yard that runs.

use std::fs;

use serde_json::Value;

use super::Ran;
use crate::wat;
use crate::yard::Yard;

const SENDERS: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "gone", not_after = "2020-01-01T00:00:00Z" }, { value = "second" }]

[sources.supaglue]
scheme = "supaglue"
secrets = [{ value = "whsec_c2VjcmV0IGtleQ==" }]

[sources.github]
scheme = "github"
secrets = [{ value = "secret" }]

[sources.standard]
scheme = "standard-webhooks"
secrets = [{ value = "whsec_c2VjcmV0IGtleQ==" }]

[sources.acme]
path = "/in/acme"
secrets = [{ value = "secret" }]
event_type = { pointer = "/data/kind" }
event_id = { header = "X-Acme-Id" }
public_url = "https://hooks.example.com/in/acme"

[sources.acme.scheme]
kind = "hmac"
digest = "sha512"
encoding = "base64url"
content = "{url}{timestamp}.{header:X-Acme-Id}.{body}"
signature = { header = "X-Acme-Signature", parse = "kv", item_separator = ",", kv_separator = "=", key = "v1" }
timestamp = { field = "t", format = "unix_ms" }
require_headers = { X-Acme-Version = "2" }

[sources.open]
scheme = { kind = "none" }

[[routes]]
source = ["hotglue", "supaglue", "github", "standard", "acme", "open"]
name = "all"
handler = "h"
"#;

fn yard() -> Yard {
    Yard::start(SENDERS, &[("h", &wat::ack())])
}

impl Yard {
    /// `hookyard send` to this yard, which prints JSON.
    fn sends(&self, source: &str, more: &[&str], body: &str) -> Ran {
        let path =
            if source == "acme" { "/in/acme?k=1".into() } else { format!("/hooks/{source}") };
        let url = format!("http://{}{path}", self.public());
        let send = ["send", source, "--json", "--url", &url];
        self.hookyard_reading(body, &[&send, more].concat())
    }

    /// The event that a send became, when it is done.
    fn sent(&self, ran: &Ran) -> Value {
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
        let answer = ran.json();
        assert_eq!(answer["status"], 200, "{answer}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        self.until(body["id"].as_str().unwrap(), "done")
    }
}

#[test]
fn each_senders_samples_are_verified_and_handled() {
    let yard = yard();
    for (source, event, kind) in [
        ("hotglue", None, "JOB_COMPLETED"),
        ("hotglue", Some("JOB_FAILED"), "JOB_FAILED"),
        ("hotglue", Some("DISCOVER_SUCCESS"), "DISCOVER_SUCCESS"),
        ("hotglue", Some("LINK"), "LINK"),
        ("supaglue", None, "sync.complete"),
        ("supaglue", Some("connection.created"), "connection.created"),
        ("supaglue", Some("a \"quoted\" one"), "a \"quoted\" one"),
        ("github", None, "push"),
        ("github", Some("ping"), "ping"),
        ("github", Some("issues"), "issues"),
        ("standard", None, "test"),
        ("acme", Some("order.paid"), "order.paid"),
        ("open", None, "event"),
    ] {
        let asked = event.map_or(vec![], |event| vec!["--event", event]);
        let event = yard.sent(&yard.sends(source, &asked, ""));
        assert_eq!((&event["source"], &event["type"]), (&source.into(), &kind.into()));
        let body = event["body"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(body).is_ok() && !body.contains('<'), "{body}");
    }
}

#[test]
fn every_sample_is_an_event_of_its_own() {
    let yard = yard();
    for source in ["hotglue", "supaglue", "github", "standard", "acme"] {
        let [first, second] = [(); 2].map(|()| yard.sent(&yard.sends(source, &[], "")));
        assert_ne!(first["id"], second["id"], "{source}");
        assert_eq!((&first["duplicates"], &second["duplicates"]), (&0.into(), &0.into()));
    }
}

#[test]
fn a_given_body_is_sent_byte_for_byte_and_the_second_time_it_is_a_duplicate() {
    let yard = yard();
    let body = "{ \"status\" :\t\"JOB_CREATED\", \"ü\": 1}\r\n\n";
    let first = yard.sent(&yard.sends("hotglue", &["--body", "-"], body));
    assert_eq!((&first["body"], &first["type"]), (&body.into(), &"JOB_CREATED".into()));
    assert_eq!(first["secret"], 1);
    fs::write(yard.path("body"), body).unwrap();
    let again = yard.sends("hotglue", &["--body", "body"], "");
    let headers = again.json()["headers"].clone();
    let mark = serde_json::json!(["hookyard-duplicate", "true"]);
    assert!(headers.as_array().unwrap().contains(&mark), "{headers}");
    assert_eq!(yard.sent(&again)["id"], first["id"]);

    let typed = yard.sent(&yard.sends("github", &["--body", "body", "--event", "star"], ""));
    assert_eq!((&typed["body"], &typed["type"]), (&body.into(), &"star".into()));
    let ran = yard.sends("hotglue", &["--body", "body", "--event", "LINK"], "");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("leave out --event"), "{ran:?}");
}

#[test]
fn an_answer_that_is_no_2xx_is_shown_and_a_failure() {
    let yard = yard();
    let other = fs::read_to_string(yard.path("router.toml")).unwrap();
    fs::write(yard.path("other.toml"), other.replace("second", "another")).unwrap();
    let url = format!("http://{}/hooks/hotglue", yard.public());
    let ran = yard.hookyard(&["send", "hotglue", "--config", "other.toml", "--url", &url]);
    let (head, body) = ran.out.split_once("\n\n").unwrap();
    assert_eq!(ran.code, Some(1));
    assert!(head.starts_with("HTTP/1.1 401 Unauthorized\n"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("date:"), "{head}");
    assert_eq!(body, "{\"error\":\"unauthorized\"}\n");
}

#[test]
fn without_a_url_it_posts_to_where_the_server_listens() {
    let yard = yard();
    let config = fs::read_to_string(yard.path("router.toml")).unwrap();
    let listen = |address: &str| {
        let text = config.replacen("127.0.0.1:0", address, 1);
        fs::write(yard.path("known.toml"), text).unwrap();
        yard.hookyard(&["send", "acme", "--config", "known.toml", "--json"])
    };
    yard.sent(&listen(&yard.public().to_string()));
    let everywhere = listen(&format!("0.0.0.0:{}", yard.public().port()));
    assert_eq!(everywhere.json()["url"], format!("http://{}/in/acme", yard.public()));
    assert!(everywhere.err.contains("warning: a secret in the file itself"), "{everywhere:?}");

    let unknown = yard.hookyard(&["send", "hotglue"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("give --url"), "{unknown:?}");
}

#[test]
fn what_cannot_be_sent_says_why() {
    let config = r#"
[sources.body]
secrets = [{ value = "secret" }]
[sources.body.scheme]
kind = "hmac"
digest = "sha256"
encoding = "hex"
content = "{body}"
signature = { body = "/signature" }
"#;
    let yard = Yard::new(config);
    // Bound and closed again: nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/");
    fs::write(yard.path("open.toml"), "[sources.s]\nscheme = { kind = \"none\" }\n").unwrap();
    for (arguments, why) in [
        (&["body", "--url", &url][..], "the signature stands in the body"),
        (&["nobody"], "there is no source `nobody` in router.toml; there are: body"),
        (&["s", "--config", "open.toml", "--url", &url], "cannot connect to 127.0.0.1"),
        (&["s", "--config", "open.toml", "--url", "ftp://h/"], "must begin with http://"),
        (&["s", "--config", "open.toml", "--url", "https://h/"], "give an http URL"),
        (&["s", "--config", "open.toml", "--url", "/hooks/s"], "names no host"),
    ] {
        let ran = yard.hookyard(&[&["send"], arguments].concat());
        assert_eq!((ran.code, &*ran.out), (Some(1), ""), "{arguments:?}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains(why), "{ran:?}");
    }
}

#[test]
fn over_tls_only_the_servers_own_certificate_is_believed() {
    let certify = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let [known, other] = ["hooks.example.com", "127.0.0.1"].map(certify);
    let tls = "tls = { cert = \"cert.pem\", key = \"key.pem\" }\n";
    let mut yard = Yard::new(&format!("{tls}{SENDERS}"));
    yard.plugin("h.wat", wat::ack());
    fs::write(yard.path("cert.pem"), known.cert.pem()).unwrap();
    fs::write(yard.path("key.pem"), known.signing_key.serialize_pem()).unwrap();
    yard.run();
    let text = fs::read_to_string(yard.path("router.toml")).unwrap();
    let text = text.replacen("127.0.0.1:0", &yard.public().to_string(), 1);
    fs::write(yard.path("known.toml"), &text).unwrap();
    fs::write(yard.path("other.toml"), text.replace("cert.pem", "other.pem")).unwrap();
    fs::write(yard.path("other.pem"), other.cert.pem()).unwrap();
    yard.sent(&yard.hookyard(&["send", "hotglue", "--config", "known.toml", "--json"]));
    let ran = yard.hookyard(&["send", "hotglue", "--config", "other.toml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("the server must have the certificate of other.pem"), "{ran:?}");
}
