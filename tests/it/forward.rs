//! Routes that forward: what the other side gets, and what becomes of its answers.

use std::fs;

use http::HeaderMap;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::letters::{attempts, delivery};
use crate::remote::{Remote, Request, ok};
use crate::wat;
use crate::yard::Yard;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A source that takes anything, and a route of its events.
fn config(route: &str) -> String {
    format!(
        r#"
[sources.s]
scheme = {{ kind = "none" }}
[[routes]]
name = "r"
source = "s"
retry = {{ attempts = 2, first = "1ms", factor = 1, max = "1h" }}
{route}
"#
    )
}

/// The keys that forward to there.
fn to(remote: &Remote) -> String {
    format!("forward = \"{}/in?a=1\"\negress_private = [\"127.0.0.1/32\"]\n", remote.url())
}

fn send(yard: &Yard) -> String {
    let fields = [("x-a", "1"), ("hookyard-route", "forged"), ("webhook-id", "forged")];
    let answer = yard.post("/hooks/s", &fields, b"{\"n\":1}");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Has the official library verify a request.
fn verify(key: &str, request: &Request) {
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).unwrap().parse().unwrap());
    }
    Webhook::new(key).unwrap().verify(request.body.as_bytes(), &headers).unwrap();
}

#[test]
fn an_event_is_posted_on_as_it_came_and_signed() {
    let remote = Remote::start(&ok(""));
    let route = to(&remote) + &format!("secret = {{ value = \"{KEY}\" }}");
    let yard = Yard::start(&config(&route), &[]);
    let id = send(&yard);
    let request = remote.next();
    assert_eq!(request.line, "POST /in?a=1 HTTP/1.1");
    assert_eq!(request.body, "{\"n\":1}");
    let host = remote.address.to_string();
    for (name, value) in [
        ("host", &*host),
        ("x-a", "1"),
        ("hookyard-event-id", &id),
        ("hookyard-source", "s"),
        ("hookyard-event-type", "event"),
        ("hookyard-route", "r"),
        ("hookyard-attempt", "1"),
        ("webhook-id", &id),
        ("idempotency-key", &format!("{id}/r")),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    verify(KEY, &request);
    let event = yard.until(&id, "done");
    let [attempt] = attempts(&event) else { panic!("{event}") };
    assert_eq!((&attempt["outcome"], &attempt["handler_version"]), (&json!("ack"), &Value::Null));
    assert_eq!(delivery(&event)["handler"], Value::Null);
    let routes = yard.ask("/api/v1/routes").json();
    assert_eq!(routes["items"][0]["forward"], format!("{}/in", remote.url()));
}

#[test]
fn a_key_of_its_own_signs_where_the_route_has_none() {
    let remote = Remote::start(&ok(""));
    let mut yard = Yard::start(&config(&to(&remote)), &[]);
    send(&yard);
    let first = remote.next();
    let key = fs::read_to_string(yard.path("data/forward.secret")).unwrap();
    verify(key.trim_end(), &first);
    yard.stop();
    yard.run();
    send(&yard);
    let second =
        remote.requests(|request| request.header("webhook-id") != first.header("webhook-id"));
    verify(key.trim_end(), second.last().unwrap());
}

#[test]
fn an_answer_decides_what_becomes_of_a_delivery() {
    let status = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\nno \u{1b}.");
    for (answer, outcomes, error) in [
        (status("500 Broken"), &["retry", "retry"][..], r"status 500 no \u{1b}."),
        (status("404 Not Found"), &["retry", "retry"], r"status 404 no \u{1b}."),
        (status("302 Found\r\nlocation: http://127.0.0.1:1"), &["retry", "retry"], "status 302"),
        (status("410 Gone"), &["reject"], r"status 410 no \u{1b}."),
        ("nonsense".to_owned(), &["retry", "retry"], ": "),
    ] {
        let remote = Remote::with(answer.into_bytes(), |_| {});
        let yard = Yard::start(&config(&to(&remote)), &[]);
        let event = yard.until(&send(&yard), "dead");
        let found: Vec<&Value> = attempts(&event).iter().map(|one| &one["outcome"]).collect();
        assert_eq!(found, outcomes, "{event}");
        let cause = delivery(&event)["cause"].as_str().unwrap();
        assert!(cause.contains(error), "{cause}");
    }
}

#[test]
fn retry_after_is_heeded_up_to_the_longest_wait() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 600\r\ncontent-length: 0\r\n\r\n";
    let remote = Remote::start(busy);
    let yard = Yard::start(&config(&to(&remote)), &[]);
    let id = send(&yard);
    let due = crate::yard::wait("the first attempt to have failed", || {
        let event = yard.event(&id);
        let due: jiff::Timestamp = delivery(&event)["due_at"].as_str()?.parse().unwrap();
        let began: jiff::Timestamp =
            attempts(&event).first()?["started_at"].as_str()?.parse().unwrap();
        Some(due.as_second() - began.as_second())
    });
    assert!((600..3_600).contains(&due), "{due}");
}

#[test]
fn what_takes_too_long_is_a_timeout() {
    let remote = Remote::start("");
    let yard = Yard::start(&config(&(to(&remote) + "timeout = \"100ms\"")), &[]);
    let event = yard.until(&send(&yard), "dead");
    assert_eq!(attempts(&event)[0]["outcome"], "timeout");
    assert_eq!(attempts(&event)[0]["error"], "no outcome within 100 ms");
}

#[test]
fn only_public_addresses_and_named_ranges_are_reached_and_never_hookyard_itself() {
    let remote = Remote::start(&ok(""));
    let yard = Yard::start(&config(&format!("forward = \"{}\"", remote.url())), &[]);
    let event = yard.until(&send(&yard), "dead");
    let cause = delivery(&event)["cause"].as_str().unwrap();
    let grant = "egress_private = [\"127.0.0.1/32\"] beside `forward` in the route `r`";
    assert!(cause.ends_with(grant), "{cause}");
    let own = format!("http://{}/hooks/s", yard.public());
    yard.configure(&config(&format!(
        "forward = \"{own}\"\negress_private = [\"127.0.0.0/8\"]\nevent = \"event\""
    )));
    yard.reload();
    let event = yard.until(&send(&yard), "dead");
    let cause = delivery(&event)["cause"].as_str().unwrap();
    assert!(cause.contains("is hookyard itself"), "{cause}");
    assert!(remote.is_quiet());
}

#[test]
fn a_handler_may_rewrite_what_is_forwarded_or_keep_it_back() {
    let remote = Remote::start(&ok(""));
    let url = remote.url();
    let route = format!(
        "handler = \"h\"\nthen = {{ forward = \"{url}\", egress_private = [\"127.0.0.1/32\"], \
         secret = {{ value = \"{KEY}\" }} }}"
    );
    let rewrites = wat::reply(200, &[("content-type", "text/csv")], "1,2");
    let yard = Yard::start(&config(&route), &[("h", &rewrites)]);
    let id = send(&yard);
    let request = remote.next();
    verify(KEY, &request);
    assert_eq!((&*request.line, &*request.body), ("POST / HTTP/1.1", "1,2"));
    assert_eq!(request.header("content-type"), Some("text/csv"));
    assert_eq!((request.header("x-a"), request.header("hookyard-event-id")), (None, Some(&*id)));
    let event = yard.until(&id, "done");
    assert!(attempts(&event)[0]["handler_version"].is_string(), "{event}");

    yard.plugin("h.wat", wat::ack());
    yard.reload();
    yard.until(&send(&yard), "done");
    yard.plugin("h.wat", rewrites);
    yard.reload();
    let last = send(&yard);
    let is_last = |request: &Request| request.header("webhook-id") == Some(&last);
    assert_eq!(remote.requests(is_last).len(), 1, "what is acked goes nowhere");
}
