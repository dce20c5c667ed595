//! Secrets that handlers use, and do not hold.

use std::fs;

use serde_json::{Value, json};

use crate::letters::{attempts, order, routes};
use crate::remote::{Remote, ok};
use crate::yard::{Yard, wait};

const VALUE: &str = "hunter2-of-the-crm";

/// A yard with the probe, which may send to that server under two names, and has this secret.
fn with_secret(remote: &Remote, secret: &str) -> Yard {
    let port = remote.address.port();
    let mut yard = Yard::new(&format!(
        r#"{}
        [handlers.probe]
        egress = ["http://127.0.0.1:{port}", "http://localhost:{port}"]
        egress_private = ["127.0.0.1/32"]
        config = {{ region = "eu" }}
        secrets = {{ token = {secret} }}
        "#,
        routes(&["probe"], "retry = { attempts = 1 }")
    ));
    yard.add_probe("probe");
    yard.run();
    yard
}

fn literal(hosts: &str) -> String {
    format!(r#"{{ value = "{VALUE}", {hosts} }}"#)
}

/// What the probe finds out, and the lines of its log.
fn found(yard: &Yard, action: &str, arg: &str) -> (String, Vec<String>) {
    let event = yard.until(&yard.send("probe", &order(action, arg)), "dead");
    let [attempt] = attempts(&event) else { panic!("{event}") };
    let lines = attempt["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = lines.iter().map(|line| line["message"].as_str().unwrap().to_owned());
    (attempt["error"].as_str().unwrap().to_owned(), lines.collect())
}

fn sent(yard: &Yard, request: Value) -> (Value, Vec<String>) {
    let (found, lines) = found(yard, "send", &request.to_string());
    let mut found: Vec<Value> = serde_json::from_str(&found).unwrap();
    (found.remove(0), lines)
}

#[test]
fn a_secret_goes_to_its_host_and_nowhere_else() {
    let echo = format!("HTTP/1.1 200 OK\r\nx-echo: <{VALUE}>\r\ncontent-length: 0\r\n\r\n");
    let remote = Remote::start(&echo);
    let yard = with_secret(&remote, &literal(r#"hosts = ["127.0.0.1"]"#));
    let (held, _) = found(&yard, "config", "token");
    assert!(held.starts_with("secret-") && !held.contains(VALUE), "{held}");
    let (all, _) = found(&yard, "config", "");
    assert_eq!(all, format!("[(\"region\", \"eu\"), (\"token\", \"{held}\")]"));

    let bearer = json!([["Authorization", "Bearer {token}"]]);
    let (answer, lines) = sent(&yard, json!({ "url": remote.url(), "headers": bearer }));
    assert_eq!(remote.next().header("authorization"), Some(&*format!("Bearer {VALUE}")));
    assert_eq!(answer["headers"][0], json!(["x-echo", format!("<{held}>")]));
    assert_eq!(lines, Vec::<String>::new());

    let elsewhere = remote.url().replace("127.0.0.1", "localhost");
    let (answer, lines) = sent(&yard, json!({ "url": elsewhere, "headers": bearer }));
    assert_eq!(answer, "ErrorCode::HttpRequestDenied");
    let line = r#"would grant it with hosts = ["127.0.0.1", "localhost"] in [handlers.probe.secrets.token]"#;
    assert!(lines[0].ends_with(line), "{lines:?}");
    assert!(remote.is_quiet());

    let everything = [
        yard.log(),
        yard.ask("/api/v1/events").body,
        yard.ask("/api/v1/handlers").body,
        yard.ask("/metrics").body,
    ];
    assert!(!everything.concat().contains("hunter2"));
}

#[test]
fn a_secret_stands_in_headers_alone() {
    let remote = Remote::start(&ok(""));
    let yard = with_secret(&remote, &literal(r#"hosts = ["127.0.0.1"]"#));
    let (held, _) = found(&yard, "config", "token");
    let url = format!("{}/v1?key={{token}}", remote.url());
    let (answer, lines) = sent(&yard, json!({ "url": url, "method": "POST", "body": "{token}" }));
    assert_eq!(answer["status"], 200);
    assert!(
        lines[0].ends_with("the secret `token` is put into headers, not into URLs"),
        "{lines:?}"
    );
    let request = remote.next();
    assert_eq!(request.line, format!("POST /v1?key={held} HTTP/1.1"));
    assert!(request.body.contains(&held), "{request:?}");
}

#[test]
fn a_secret_that_is_exposed_is_read() {
    let remote = Remote::start(&ok(""));
    let yard = with_secret(&remote, &literal("expose = true"));
    assert_eq!(found(&yard, "config", "token").0, VALUE);
}

#[test]
fn a_secret_is_as_its_file_is_now() {
    let remote = Remote::start(&ok(""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "first\n").unwrap();
    let secret = format!("{{ file = {file:?}, hosts = [\"127.0.0.1\"] }}");
    let yard = with_secret(&remote, &secret);
    let shown = || {
        let headers = json!([["x-token", "{token}"]]);
        sent(&yard, json!({ "url": remote.url(), "headers": headers }));
        remote.requests(|_| true).remove(0).header("x-token").unwrap().to_owned()
    };
    assert_eq!(shown(), "first");
    fs::write(&file, "second\n").unwrap();
    wait("the new secret", || (shown() == "second").then_some(()));
}
