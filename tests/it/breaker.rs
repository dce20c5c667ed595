//! Routes that fail steadily, and are left alone for a while.

use serde_json::{Value, json};

use crate::letters::routes;
use crate::wat;
use crate::yard::{Yard, wait};

/// Whatever fails is tried again at once, one at a time.
const RETRY: &str = r#"
retry = { attempts = 1000, first = "1ms", factor = 1, max = "1ms" }
concurrency = 1
"#;

fn yard(breaker: &str) -> Yard {
    let config = routes(&["r"], &format!("{RETRY}breaker = {breaker}\n"));
    let other =
        "[[routes]]\nname = \"other\"\nsource = \"s\"\nevent = \"other\"\nhandler = \"other\"\n";
    Yard::start(&(config + other), &[("r", &wat::retry(None, "down")), ("other", &wat::ack())])
}

fn breaker(yard: &Yard) -> Value {
    let routes = yard.ask("/api/v1/routes").json();
    let named = |route: &&Value| route["name"] == "r";
    routes["items"].as_array().unwrap().iter().find(named).unwrap()["breaker"].clone()
}

fn attempts(yard: &Yard) -> f64 {
    yard.metric(r#"hookyard_attempts_total{outcome="retry",route="r"}"#)
}

fn is_open(yard: &Yard) -> bool {
    yard.metric(r#"hookyard_breaker_open{route="r"}"#) == 1.0
}

#[test]
fn deliveries_of_a_route_that_fails_steadily_wait_and_others_do_not() {
    let yard = yard(r#"{ failures = 3, after = "1ms", first = "1d", max = "1d" }"#);
    assert_eq!(breaker(&yard), json!({ "state": "closed", "failures": 0, "trial_at": null }));
    let first = yard.send("r", "{}");
    wait("it to be left alone", || is_open(&yard).then_some(()));
    let open = breaker(&yard);
    assert_eq!(open["state"], "open");
    assert!(open["trial_at"].as_str().unwrap().starts_with("20"), "{open}");
    let later = yard.send("r", "{}");
    let why = yard.ask(&format!("/api/v1/events/{later}/why")).json();
    let next = why["deliveries"][0]["next"].as_str().unwrap();
    assert!(next.starts_with("attempt 1 of 1000, but its route failed steadily"), "{next}");
    let other = yard.send("other", "{}");
    yard.until(&other, "done");
    assert!(attempts(&yard) >= 3.0);
    let tried = |id: &str| yard.event(id)["deliveries"][0]["attempts"].as_array().unwrap().len();
    assert!(tried(&first) >= 3);
    assert_eq!(tried(&later), 0);
    assert!(yard.log().contains("it fails steadily"), "{}", yard.log());
}

#[test]
fn a_trial_that_succeeds_lets_all_of_them_go_on() {
    const EVENTS: usize = 40;
    let yard = yard(r#"{ failures = 5, after = "1ms", first = "10ms", max = "20ms" }"#);
    let all: Vec<String> = (0..EVENTS).map(|_| yard.send("r", "{}")).collect();
    wait("some trials in vain", || (attempts(&yard) >= 8.0).then_some(()));
    assert!(is_open(&yard));
    yard.plugin("r.wat", wat::ack());
    assert_eq!(yard.reload()["result"], "ok");
    all.iter().for_each(|id| drop(yard.until(id, "done")));
    assert!(!is_open(&yard));
    assert_eq!(breaker(&yard)["state"], "closed");
}

#[test]
fn a_route_that_was_mended_is_tried_at_once() {
    let yard = yard(r#"{ failures = 3, after = "1ms", first = "1d", max = "1d" }"#);
    let event = yard.send("r", "{}");
    wait("it to be left alone", || is_open(&yard).then_some(()));
    let before = attempts(&yard);
    let json = [("content-type", "application/json")];
    assert_eq!(yard.admin_request("POST", "/api/v1/routes/r/resume", &json).status, 200);
    wait("a trial", || (attempts(&yard) > before).then_some(()));
    yard.plugin("r.wat", wat::ack());
    assert_eq!(yard.reload()["result"], "ok");
    yard.until(&event, "done");
    wait("it to go on", || (!is_open(&yard)).then_some(()));
}

#[test]
fn a_route_without_a_breaker_is_never_left_alone() {
    let yard = yard("{ failures = 0 }");
    yard.send("r", "{}");
    wait("more attempts than the default allows", || (attempts(&yard) >= 60.0).then_some(()));
    assert!(!is_open(&yard));
}
