//! The main job: a signed webhook in, verified, stored, handled.

use std::path::Path;
use std::process::Command;

use crate::wat;
use crate::yard::{Yard, wait};

const HOTGLUE: &str = r#"
[sources.hotglue]
scheme = "hotglue"
secrets = [{ value = "first" }, { value = "second" }]

[[routes]]
source = "hotglue"
event = "JOB_*"
handler = "h"
"#;

const JOB: &str = r#"{"job_id":"tVN_B","status":"JOB_COMPLETED","tenant":"1414_1"}"#;

fn id(answer: &crate::yard::Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_signed_webhook_is_stored_answered_and_handled() {
    let yard = Yard::start(HOTGLUE, &[("h", &wat::log("hello"))]);
    let answer = yard.hotglue("first", JOB);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let event = yard.until(&id(&answer), "done");
    assert_eq!(event["source"], "hotglue");
    assert_eq!(event["type"], "JOB_COMPLETED");
    assert_eq!(event["body"], JOB);
    assert_eq!(event["secret"], 0);
    let delivery = &event["deliveries"][0];
    assert_eq!((&delivery["route"], &delivery["handler"]), (&"hotglue/h".into(), &"h".into()));
    let attempt = &delivery["attempts"][0];
    assert_eq!((&attempt["n"], &attempt["outcome"]), (&1.into(), &"ack".into()));
    assert_eq!(attempt["logs"][0]["message"], "hello");
    wait("the handler's line in the log", || {
        yard.log().contains(&format!(r#""message":"hello","event":{}"#, event["id"])).then_some(())
    });
}

#[test]
fn any_of_the_secrets_may_match() {
    let yard = Yard::start(HOTGLUE, &[("h", &wat::ack())]);
    let event = yard.until(&id(&yard.hotglue("second", JOB)), "done");
    assert_eq!(event["secret"], 1);
    assert_eq!(yard.hotglue("third", JOB).status, 401);
}

#[test]
fn the_same_event_again_is_a_duplicate_even_after_a_restart() {
    let mut yard = Yard::start(HOTGLUE, &[("h", &wat::ack())]);
    let first = id(&yard.hotglue("first", JOB));
    for _ in 0..2 {
        let again = yard.hotglue("first", JOB);
        assert_eq!(again.header("hookyard-duplicate"), Some("true"));
        assert_eq!(again.json()["duplicate"], true);
        assert_eq!(id(&again), first);
        yard.until(&first, "done");
        yard.kill();
        yard.run();
    }
    let event = yard.until(&first, "done");
    assert_eq!(event["duplicates"], 2);
    assert_eq!(event["deliveries"].as_array().unwrap().len(), 1);
}

#[test]
fn the_projects_own_configuration_works_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let handler = root.join("plugins/job-report");
    let built = Command::new(root.join("plugins/build.sh")).arg(&handler).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let text = std::fs::read_to_string(root.join("router.toml")).unwrap();
    let text =
        text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8081", "127.0.0.1:0");
    let mut yard = Yard::new("");
    std::fs::write(yard.path("router.toml"), text).unwrap();
    std::fs::copy(handler.with_extension("wasm"), yard.path("plugins/job-report.wasm")).unwrap();
    yard.run();
    let job = r#"{"tenant":"1414_1","flow_id":"F","status":"JOB_COMPLETED","error":null,"metrics":{"recordCount":{"Lead":2,"User":1}}}"#;
    let event = yard.until(&id(&yard.hotglue("try-hookyard", job)), "done");
    let line = event["deliveries"][0]["attempts"][0]["logs"][0]["message"].as_str().unwrap();
    assert!(line.contains("3 records (Lead 2, User 1)"), "{line}");
}
