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

/// The project's router.toml with these of its plugins, built and running.
fn projects_own(plugins: &[&str]) -> Yard {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("router.toml")).unwrap();
    let text =
        text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8081", "127.0.0.1:0");
    let mut yard = Yard::new("");
    std::fs::write(yard.path("router.toml"), text).unwrap();
    for plugin in plugins {
        let folder = root.join("plugins").join(plugin);
        let built = Command::new(root.join("plugins/build.sh")).arg(&folder).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        yard.plugin(
            &format!("{plugin}.wasm"),
            std::fs::read(folder.with_extension("wasm")).unwrap(),
        );
    }
    yard.run();
    yard
}

#[test]
fn the_projects_own_configuration_works_as_it_is() {
    let yard = projects_own(&["job-report"]);
    let job = r#"{"tenant":"1414_1","flow_id":"F","status":"JOB_COMPLETED","error":null,"metrics":{"recordCount":{"Lead":2,"User":1}}}"#;
    let event = yard.until(&id(&yard.hotglue("try-hookyard", job)), "done");
    let line = event["deliveries"][0]["attempts"][0]["logs"][0]["message"].as_str().unwrap();
    assert!(line.contains("3 records (Lead 2, User 1)"), "{line}");
}

#[test]
#[ignore = "needs Go"]
fn the_example_written_in_go_reports_what_was_discovered() {
    let yard = projects_own(&["discover-report"]);
    let found =
        r#"{"tenant":"1414_1","flow_id":"F","status":"DISCOVER_FAILED","connector":"salesforce"}"#;
    let event = yard.until(&id(&yard.hotglue("try-hookyard", found)), "done");
    let line = event["deliveries"][0]["attempts"][0]["logs"][0]["message"].as_str().unwrap();
    assert_eq!(line, "1414_1 · F: DISCOVER_FAILED salesforce");
    let broken = r#"{"status":"DISCOVER_FAILED","tenant":7}"#;
    let event = yard.until(&id(&yard.hotglue("try-hookyard", broken)), "dead");
    let attempt = &event["deliveries"][0]["attempts"][0];
    assert_eq!(attempt["outcome"], "reject");
    assert!(attempt["error"].as_str().unwrap().starts_with("not a hotglue discover event: "));
}
