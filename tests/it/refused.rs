//! Refused requests, as the API keeps and explains them.

use serde_json::Value;

use crate::senders::{Sending, github, hotglue};
use crate::wire::Wire;
use crate::yard::Yard;

const SOURCES: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "hush one" }]
[sources.github]
scheme = "github"
secrets = [{ value = "hush two" }]
allow = ["127.0.0.0/8"]
[sources.gitlab]
scheme = "gitlab"
secrets = [{ value = "hush token" }]
[sources.open]
scheme = { kind = "none" }
"#;

fn refused(yard: &Yard, source: &str) -> Vec<Value> {
    let answer = yard.ask(&format!("/api/v1/sources/{source}/refused"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.body.contains("hush"), "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

#[test]
fn the_last_refused_requests_are_kept_and_explained_without_what_is_secret() {
    let yard = Yard::start(SOURCES, &[]);
    let good = hotglue("hush one", r#"{"a":1}"#);
    assert_eq!(good.to(&yard).status, 200);
    assert_eq!(refused(&yard, "hotglue"), [Value::Null; 0]);
    let signature = good.header("x-hub-signature").to_owned();
    let wrong = good
        .body(r#"{ "a": 1 }"#)
        .with("cookie", "hush")
        .with("authorization", "Bearer hush")
        .with("x-api-token", "hush")
        .with("x-plain", "seen");
    assert_eq!(wrong.at("/hooks/hotglue?page=1&token=hush").to(&yard).status, 401);
    let [item] = &refused(&yard, "hotglue")[..] else { panic!() };
    for (key, value) in [
        ("verified", false.into()),
        ("cause", "mismatch".into()),
        ("message", "the signature does not match".into()),
        ("peer", "127.0.0.1".into()),
        ("method", "POST".into()),
        ("path", "/hooks/hotglue".into()),
        ("query", "page=1&token=[redacted]".into()),
    ] {
        let value: Value = value;
        assert_eq!(item[key], value, "{item}");
    }
    assert_eq!(item["body"]["bytes"], 10);
    assert_eq!(item["body"]["sha256"].as_str().unwrap().len(), 64);
    let likely = item["likely_cause"].as_str().unwrap();
    assert!(likely.contains("the same JSON without white space"), "{likely}");
    assert!(item["steps"].as_array().unwrap().iter().any(|step| step["check"] == "secret 0"));
    let text = item.to_string();
    assert!(!text.contains(&signature) && !text.contains(&signature[5..]), "{text}");
    let headers = item["headers"].to_string();
    assert!(headers.contains(r#"["x-hub-signature","[redacted]"]"#), "{headers}");
    assert!(headers.contains(r#"["x-plain","seen"]"#) && !headers.contains("cookie"), "{headers}");
}

#[test]
fn what_was_refused_before_its_body_is_explained_by_its_head() {
    let yard = Yard::start(SOURCES, &[]);
    let good = github("hush two", "1", "{}");
    let bare = good.header("x-hub-signature-256").replace("sha256=", "");
    let mut wire = Wire::to(yard.public());
    wire.send(good.clone().with("x-hub-signature-256", bare).head("content-length: 2\r\n\r\n"));
    assert_eq!(wire.answer().status, 401);
    assert_eq!(good.without("x-hub-signature-256").to(&yard).status, 401);
    let token = Sending::new("/hooks/gitlab", "{}").with("x-gitlab-token", "hush two");
    assert_eq!(token.to(&yard).status, 401);
    let [missing, malformed] = &refused(&yard, "github")[..] else { panic!() };
    assert_eq!(
        (&missing["cause"], &missing["body"]["bytes"]),
        (&"missing_signature".into(), &Value::Null)
    );
    assert_eq!(malformed["cause"], "malformed_signature");
    let likely = malformed["likely_cause"].as_str().unwrap();
    assert!(likely.contains("by its looks, the signature has no `sha256=` before it"), "{likely}");
    let [token] = &refused(&yard, "gitlab")[..] else { panic!() };
    let likely = token["likely_cause"].as_str().unwrap();
    assert!(likely.contains("the secret of source `github`"), "{likely}");
}

#[test]
fn no_more_than_the_last_few_are_kept_and_bodies_only_up_to_a_size() {
    let yard = Yard::start(SOURCES, &[]);
    let large = hotglue("another", "x".repeat(64 * 1024 + 1));
    assert_eq!(large.to(&yard).status, 401);
    let [item] = &refused(&yard, "hotglue")[..] else { panic!() };
    assert_eq!((&item["verified"], &item["body"]["bytes"]), (&false.into(), &65_537.into()));
    assert!(item["likely_cause"].as_str().unwrap().contains("too large to be kept"), "{item}");
    for number in 0..20 {
        let answer = hotglue("another", "{}").with("x-number", number.to_string()).to(&yard);
        assert_eq!(answer.status, 401);
    }
    let items = refused(&yard, "hotglue");
    assert_eq!(items.len(), 16);
    assert!(items[0]["headers"].to_string().contains(r#"["x-number","19"]"#), "{}", items[0]);
    assert_eq!(refused(&yard, "github").len(), 0);
}

#[test]
fn a_source_that_is_set_right_explains_what_it_refused_before() {
    let yard = Yard::start(SOURCES, &[]);
    assert_eq!(hotglue("the right one", "{}").to(&yard).status, 401);
    yard.configure(&SOURCES.replace("hush one", "the right one"));
    assert_eq!(yard.reload()["result"], "ok");
    let [item] = &refused(&yard, "hotglue")[..] else { panic!() };
    assert_eq!((&item["verified"], &item["cause"]), (&true.into(), &"mismatch".into()));
}

#[test]
fn sources_are_listed() {
    let yard = Yard::start(SOURCES, &[]);
    let listed = yard.ask("/api/v1/sources").json();
    let names: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["github", "gitlab", "hotglue", "open"]);
    let open = serde_json::json!({ "name": "open", "path": "/hooks/open", "preset": null, "verified": false });
    assert_eq!(listed["items"][3], open);
    assert_eq!(yard.ask("/api/v1/sources/gone/refused").status, 404);
    assert_eq!(yard.ask("/api/v1/sources/open/else").status, 404);
}
