//! What attempts come to, and what follows from it.

use serde_json::Value;

use crate::letters::{attempts, delivery, routes};
use crate::wat;
use crate::yard::{Yard, wait};

/// Three attempts, close to each other.
const QUICK: &str = r#"retry = { attempts = 3, first = "50ms", factor = 1, max = "100ms" }"#;

/// Milliseconds since 1970 of an attempt's start.
fn started_at(attempt: &Value) -> i64 {
    let at: jiff::Timestamp = attempt["started_at"].as_str().unwrap().parse().unwrap();
    at.as_millisecond()
}

/// The numbers of an event's attempts.
fn numbers(event: &Value) -> Vec<u64> {
    attempts(event).iter().map(|attempt| attempt["n"].as_u64().unwrap()).collect()
}

#[test]
fn ack_and_reply_are_done_and_reject_is_dead_at_once() {
    let reply = wat::reply(418, &[("x-a", "b")], "short and stout");
    let plugins =
        [("ack", &*wat::ack()), ("reply", &*reply), ("reject", &*wat::reject("not for us"))];
    let yard = Yard::start(&routes(&["ack", "reply", "reject"], QUICK), &plugins);
    for (handler, state, error) in [
        ("ack", "done", Value::Null),
        ("reply", "done", Value::Null),
        ("reject", "dead", "not for us".into()),
    ] {
        let event = yard.until(&yard.send(handler, "{}"), state);
        assert_eq!(numbers(&event), [1]);
        let attempt = &attempts(&event)[0];
        assert_eq!((&attempt["outcome"], &attempt["error"]), (&handler.into(), &error));
        assert_eq!(delivery(&event)["cause"], error);
        assert_eq!(attempt["handler_version"], yard.handler(handler)["version"]);
        let settled = |route, state| {
            yard.metric(&format!(
                r#"hookyard_deliveries_settled_total{{route="{route}",state="{state}"}}"#
            ))
        };
        assert_eq!(settled(handler, state), 1.0);
    }
}

#[test]
fn a_failing_handler_is_tried_again_until_it_is_out_of_attempts() {
    let yard = Yard::start(
        &routes(&["retry", "trap"], QUICK),
        &[("retry", &wat::retry(None, "not now")), ("trap", &wat::trap())],
    );
    for (handler, error) in [("retry", "not now"), ("trap", "unreachable")] {
        let event = yard.until(&yard.send(handler, "{}"), "dead");
        assert_eq!(numbers(&event), [1, 2, 3]);
        for attempt in attempts(&event) {
            assert_eq!(attempt["outcome"], handler);
            assert!(attempt["error"].as_str().unwrap().contains(error), "{attempt}");
        }
        assert_eq!(delivery(&event)["cause"], attempts(&event)[2]["error"]);
        assert_eq!(delivery(&event)["due_at"], Value::Null);
        for two in attempts(&event).windows(2) {
            // Jitter takes a fifth of 50 ms at the most; clocks round to a millisecond.
            assert!(started_at(&two[1]) - started_at(&two[0]) >= 38, "{event}");
        }
    }
}

#[test]
fn a_handler_may_say_when_to_try_again_within_the_routes_limit() {
    let in_an_hour = r#"retry = { attempts = 2, first = "1h", factor = 1, max = "1h" }"#;
    let soon = r#"retry = { attempts = 2, first = "1ms", factor = 1, max = "300ms" }"#;
    for (after, retry, wait) in
        [(0, in_an_hour, 0), (250, in_an_hour, 250), (250, soon, 250), (u32::MAX, soon, 300)]
    {
        let yard = Yard::start(&routes(&["h"], retry), &[("h", &wat::retry(Some(after), ""))]);
        let event = yard.until(&yard.send("h", "{}"), "dead");
        let [first, second] = attempts(&event) else { panic!("{event}") };
        // Clocks round to a millisecond.
        assert!(started_at(second) - started_at(first) >= wait - 2, "{after}: {event}");
    }
}

#[test]
fn a_retry_survives_a_crash_and_counts_on() {
    let slow = r#"retry = { attempts = 3, first = "400ms", factor = 1, max = "400ms" }"#;
    let mut yard = Yard::start(&routes(&["h"], slow), &[("h", &wat::retry(None, "not now"))]);
    let id = yard.send("h", "{}");
    let before = wait("the first attempt", || {
        let event = yard.event(&id);
        let pending = delivery(&event)["due_at"].is_string();
        pending.then_some(event)
    });
    assert_eq!(delivery(&before)["state"], "pending");
    assert_eq!(delivery(&before)["cause"], "not now");
    yard.kill();
    yard.run();
    let after = yard.until(&id, "dead");
    assert_eq!(numbers(&after), [1, 2, 3]);
    assert_eq!(attempts(&after)[0], attempts(&before)[0]);
}

#[test]
fn reasons_cannot_play_tricks_on_a_terminal() {
    let tricks = "gone\u{1b}[2J\r\nforged \u{202e}line";
    let shown = r"gone\u{1b}[2J\r\nforged \u{202e}line";
    let plugins = [("reject", &*wat::reject(tricks)), ("log", &*wat::log(tricks))];
    let yard = Yard::start(&routes(&["reject", "log"], QUICK), &plugins);
    let event = yard.until(&yard.send("reject", "{}"), "dead");
    assert_eq!(attempts(&event)[0]["error"], shown);
    assert_eq!(delivery(&event)["cause"], shown);
    let event = yard.until(&yard.send("log", "{}"), "done");
    assert_eq!(attempts(&event)[0]["logs"][0]["message"], shown);
    let in_log = serde_json::to_string(shown).unwrap();
    wait("both lines in the log", || (yard.log().matches(&in_log).count() == 2).then_some(()));
}

#[test]
fn a_long_reason_is_cut_where_a_character_ends() {
    let yard = Yard::start(&routes(&["h"], QUICK), &[("h", &wat::reject("é".repeat(2_000)))]);
    let event = yard.until(&yard.send("h", "{}"), "dead");
    assert_eq!(attempts(&event)[0]["error"], "é".repeat(1_024));
}
