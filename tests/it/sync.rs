//! Sync routes: the sender waits for the handler.

use std::io::Write;

use crate::wat;
use crate::yard::{Answer, Yard, connect, hotglue_signature, probe, wait};

const JOB: &str = r#"{"status":"JOB_COMPLETED","job_id":"a"}"#;

fn config(more: &str) -> String {
    format!(
        r#"
        [sources.hotglue]
        scheme = "hotglue"
        secrets = [{{ value = "secret" }}]
        [[routes]]
        name = "sync"
        source = "hotglue"
        handler = "h"
        mode = "sync"
        {more}
        "#
    )
}

fn yard(guest: &str) -> Yard {
    Yard::start(&config(""), &[("h", guest)])
}

fn only_event(yard: &Yard) -> serde_json::Value {
    let items = yard.ask("/api/v1/events").json();
    let [item] = items["items"].as_array().unwrap().as_slice() else { panic!("{items}") };
    yard.event(item["id"].as_str().unwrap())
}

fn status_and_state(guest: &str) -> (Answer, String) {
    let yard = yard(guest);
    let answer = yard.hotglue("secret", JOB);
    let event = only_event(&yard);
    let delivery = &event["deliveries"][0];
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "{event}");
    (answer, delivery["state"].as_str().unwrap().to_owned())
}

#[test]
fn an_ack_is_the_sources_own_answer() {
    let yard = yard(&wat::ack());
    let answer = yard.hotglue("secret", JOB);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!((answer.status, only_event(&yard)["id"].as_str()), (200, Some(&*id)));
    assert_eq!(only_event(&yard)["deliveries"][0]["state"], "done");
}

#[test]
fn a_reply_is_the_answer_and_a_duplicate_gets_it_again() {
    let mut yard = yard(&wat::reply(418, &[("x-kind", "tea")], "short and stout"));
    for (duplicate, restart) in [(None, true), (Some("true"), false), (Some("true"), true)] {
        let answer = yard.hotglue("secret", JOB);
        assert_eq!((answer.status, &*answer.body), (418, "short and stout"));
        assert_eq!(answer.header("x-kind"), Some("tea"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("hookyard-duplicate"), duplicate);
        if restart {
            yard.kill();
            yard.run();
        }
    }
    assert_eq!(only_event(&yard)["deliveries"][0]["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn each_failure_has_its_answer_and_is_not_retried_by_us() {
    let (retry, state) = status_and_state(&wat::retry(Some(1_200), "later"));
    assert_eq!((retry.status, retry.header("retry-after"), &*state), (503, Some("2"), "dead"));
    let (retry, _) = status_and_state(&wat::retry(None, "later"));
    assert_eq!((retry.status, retry.header("retry-after")), (503, Some("5")));
    let (reject, state) = status_and_state(&wat::reject("no"));
    assert_eq!((reject.status, &*reject.body, &*state), (422, r#"{"error":"rejected"}"#, "dead"));
    let (trap, state) = status_and_state(&wat::trap());
    assert_eq!((trap.status, &*state), (502, "dead"));
    for bad in [wat::reply(700, &[], ""), wat::reply(200, &[("connection", "close")], "")] {
        let (bad, state) = status_and_state(&bad);
        assert_eq!((bad.status, &*state), (502, "dead"));
    }
}

#[test]
fn a_timeout_is_504() {
    let mut yard = Yard::new(&config("timeout = \"50ms\""));
    yard.plugin("h.wasm", std::fs::read(probe()).unwrap());
    yard.run();
    let answer = yard.hotglue("secret", r#"{"status":"x","do":"sleep","arg":"60000"}"#);
    assert_eq!((answer.status, &*answer.body), (504, r#"{"error":"the handler took too long"}"#));
}

#[test]
fn without_a_handler_nothing_is_stored() {
    let mut yard = Yard::new(&config(""));
    yard.run();
    let answer = yard.hotglue("secret", JOB);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(yard.ask("/api/v1/events").json()["items"].as_array().unwrap().len(), 0);
}

#[test]
fn a_duplicate_of_a_failed_event_is_another_attempt_of_it() {
    let mut yard = yard(&wat::reject("not yet"));
    assert_eq!(yard.hotglue("secret", JOB).status, 422);
    assert_eq!(yard.hotglue("secret", JOB).status, 422);
    yard.stop();
    yard.plugin("h.wat", wat::ack());
    yard.run();
    let answer = yard.hotglue("secret", JOB);
    let event = only_event(&yard);
    assert_eq!((answer.status, &answer.json()["id"]), (200, &event["id"]));
    let delivery = &event["deliveries"][0];
    let outcomes: Vec<&str> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        (delivery["state"].as_str(), &*outcomes),
        (Some("done"), &["reject", "reject", "ack"][..])
    );
    yard.settled(1, 0);
}

#[test]
fn a_duplicate_of_a_running_event_waits_for_it() {
    let mut yard = Yard::new(&config(""));
    yard.plugin("h.wasm", std::fs::read(probe()).unwrap());
    yard.run();
    let body = r#"{"status":"x","do":"sleep","arg":"300","via":"reply"}"#;
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let sent: Vec<_> = (0..4).map(|_| scope.spawn(|| yard.hotglue("secret", body))).collect();
        sent.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let first = answers.iter().filter(|answer| answer.header("hookyard-duplicate").is_none());
    assert_eq!(first.count(), 1);
    assert_eq!(only_event(&yard)["deliveries"][0]["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn the_attempt_ends_though_the_client_has_gone() {
    let mut yard = Yard::new(&config(""));
    yard.plugin("h.wasm", std::fs::read(probe()).unwrap());
    yard.run();
    let body = r#"{"status":"x","do":"sleep","arg":"200","via":"reply"}"#;
    let signature = hotglue_signature("secret", body.as_bytes());
    let length = body.len();
    let mut client = connect(yard.public());
    write!(
        client,
        "POST /hooks/hotglue HTTP/1.1\r\nhost: h\r\nx-hub-signature: {signature}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    // What is answered later was taken later: the attempt is under way.
    assert_eq!(yard.ask("/healthz").status, 200);
    drop(client);
    let event = wait("the event to be stored", || {
        let items = yard.ask("/api/v1/events").json();
        items["items"].as_array().unwrap().first().cloned()
    });
    assert_eq!(event["deliveries"][0]["state"], "done");
}

#[test]
fn of_several_sync_routes_the_first_answers_and_the_others_run() {
    let more = "[[routes]]\nname = \"second\"\nsource = \"hotglue\"\nhandler = \"other\"\nmode = \"sync\"\n\
        [[routes]]\nname = \"third\"\nsource = \"hotglue\"\nhandler = \"other\"\n";
    let plugins = [("h", wat::reply(201, &[], "first")), ("other", wat::reply(299, &[], "other"))];
    let yard = Yard::start(&config(more), &plugins.each_ref().map(|(name, text)| (*name, &**text)));
    let answer = yard.hotglue("secret", JOB);
    assert_eq!((answer.status, &*answer.body), (201, "first"));
    let id = only_event(&yard)["id"].as_str().unwrap().to_owned();
    let event = yard.until(&id, "done");
    let routes: Vec<&str> = event["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["route"].as_str().unwrap())
        .collect();
    assert_eq!(routes, ["sync", "second", "third"]);
}

#[test]
fn what_a_full_backlog_refuses_is_counted_as_that_and_as_nothing_else() {
    let narrow = "[[routes]]\nname = \"narrow\"\nsource = \"hotglue\"\nhandler = \"h\"\n\
        paused = true\nbacklog = { events = 1 }\n";
    let yard = Yard::start(&config(narrow), &[("h", &wat::ack())]);
    assert_eq!(yard.hotglue("secret", JOB).status, 200);
    let full = yard.hotglue("secret", r#"{"status":"x"}"#);
    assert_eq!((full.status, full.header("retry-after")), (503, Some("5")));
    for sample in [
        r#"hookyard_requests_total{result="accepted",source="hotglue"}"#,
        r#"hookyard_requests_total{result="backlog_full",source="hotglue"}"#,
        r#"hookyard_attempts_total{outcome="ack",route="sync"}"#,
        r#"hookyard_attempt_duration_seconds_count{route="sync"}"#,
        r#"hookyard_deliveries_settled_total{route="sync",state="done"}"#,
        "hookyard_ack_duration_seconds_count",
    ] {
        assert_eq!(yard.metric(sample), 1.0, "{sample}");
    }
    only_event(&yard);
}
