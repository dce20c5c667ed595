//! Routes with `order_by`: one at a time for each value, in order of arrival.

use serde_json::Value;

use crate::letters::{attempts, delivery, routes};
use crate::wat;
use crate::yard::{Yard, wait};

/// Fails twice, then acks: whoever does not wait for the one before would overtake it.
const RETRY: &str = r#"retry = { attempts = 5, first = "20ms", factor = 1, max = "20ms" }"#;

fn ordered() -> String {
    routes(&["h"], &format!("order_by = \"/tenant\"\n{RETRY}"))
}

fn send(yard: &Yard, tenant: &str, n: usize) -> String {
    yard.send("h", &format!(r#"{{"n":{n},"tenant":"{tenant}"}}"#))
}

/// Milliseconds since 1970 of the start of an event's first attempt, and of the last one's.
fn span(event: &Value) -> (i64, i64) {
    let at = |attempt: &Value| {
        let at: jiff::Timestamp = attempt["started_at"].as_str().unwrap().parse().unwrap();
        at.as_millisecond()
    };
    let attempts = attempts(event);
    (at(&attempts[0]), at(attempts.last().unwrap()))
}

/// Each begins when the one before has ended.
fn follow_each_other(yard: &Yard, ids: &[String]) {
    let spans: Vec<_> = ids.iter().map(|id| span(&yard.until(id, "done"))).collect();
    assert!(spans.is_sorted_by(|one, next| one.1 <= next.0), "{spans:?}");
}

#[test]
fn events_of_one_value_follow_each_other_through_retries_and_kill_9() {
    let mut yard = Yard::start(&ordered(), &[("h", &wat::ack_at(3))]);
    let mut sent: [Vec<String>; 2] = Default::default();
    for n in 0..5 {
        sent[0].push(send(&yard, "a", n));
        sent[1].push(send(&yard, "b", n));
        if n % 2 == 0 {
            yard.kill();
            yard.run();
        }
    }
    sent.iter().for_each(|ids| follow_each_other(&yard, ids));
}

#[test]
fn a_dead_one_lets_the_next_go_on() {
    let yard = Yard::start(&ordered(), &[("h", &wat::reject("no"))]);
    let sent: Vec<_> = (0..3).map(|n| send(&yard, "a", n)).collect();
    for id in &sent {
        assert_eq!(attempts(&yard.until(id, "dead")).len(), 1);
    }
}

#[test]
fn one_that_waits_says_so_and_others_pass_it() {
    let never = r#"retry = { attempts = 5, first = "1h", factor = 1, max = "1h" }"#;
    let config = routes(&["h"], &format!("order_by = \"/tenant\"\n{never}"));
    let yard = Yard::start(&config, &[("h", &wat::retry(None, "not now"))]);
    let tried = |id: &str| {
        wait("the first attempt", || (!attempts(&yard.event(id)).is_empty()).then_some(()));
    };
    tried(&send(&yard, "a", 1));
    let waits = send(&yard, "a", 2);
    tried(&send(&yard, "b", 1));
    tried(&yard.send("h", "tenant=a but no JSON"));
    tried(&yard.send("h", r#"{"tenant":null}"#));
    let event = yard.event(&waits);
    assert_eq!(delivery(&event)["state"], "pending");
    let cause = delivery(&event)["cause"].as_str().unwrap();
    assert!(cause.contains("earlier event"), "{cause}");
    assert_eq!(attempts(&event).len(), 0);
}

#[test]
fn what_waits_goes_on_when_the_route_keeps_no_order_any_more() {
    let never = r#"retry = { attempts = 5, first = "1h", factor = 1, max = "1h" }"#;
    let yard = Yard::start(
        &routes(&["h"], &format!("order_by = \"/tenant\"\n{never}")),
        &[("h", &wat::retry(None, "not now"))],
    );
    let sent: Vec<_> = (0..3).map(|n| send(&yard, "a", n)).collect();
    wait("the first", || (!attempts(&yard.event(&sent[0])).is_empty()).then_some(()));
    yard.configure(&routes(&["h"], never));
    assert_eq!(yard.reload()["result"], "ok");
    for id in &sent {
        wait("the others", || (!attempts(&yard.event(id)).is_empty()).then_some(()));
    }
}
