//! What a handler must make of events before it is used.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::letters::routes;
use crate::wat;
use crate::wat_commands::{STDERR, STDOUT, prints};
use crate::yard::Yard;

impl Yard {
    fn selftest(&self, handler: &str, name: &str, test: &Value) {
        let folder = self.path("plugins").join(format!("{handler}.selftest"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), test.to_string()).unwrap();
    }
}

fn expects(expect: Value) -> Value {
    json!({ "event": { "type": "t", "body": { "n": 1 } }, "expect": expect })
}

#[test]
fn a_version_that_fails_its_selftest_never_replaces_a_good_one() {
    let mut yard = Yard::new(&routes(&["r"], "retry = { attempts = 1 }"));
    yard.plugin("r.wat", wat::ack());
    yard.selftest("r", "one.json", &expects(json!({ "outcome": "ack" })));
    yard.run();
    yard.until(&yard.send("r", "{}"), "done");
    yard.plugin("r.wat", wat::reject("order 7 is odd"));
    let report = yard.reload();
    assert_eq!(report["result"], "failed", "{report}");
    let error = yard.handler("r")["error"].as_str().unwrap().to_owned();
    let said = "selftest r.selftest/one.json: expected ack, came to reject (order 7 is odd)";
    assert_eq!(error, said);
    yard.until(&yard.send("r", "{}"), "done");

    yard.selftest("r", "one.json", &expects(json!({ "outcome": "reject", "reason": "7 is odd" })));
    assert_eq!(yard.reload()["result"], "ok");
    yard.until(&yard.send("r", "{}"), "dead");
}

#[test]
fn at_the_start_it_is_parked_like_any_bad_module() {
    let mut yard = Yard::new(&routes(&["r"], ""));
    yard.plugin("r.wat", wat::ack());
    yard.selftest("r", "one.json", &expects(json!({ "outcome": "reject" })));
    yard.run();
    let event = yard.until(&yard.send("r", "{}"), "parked");
    let cause = event["deliveries"][0]["cause"].as_str().unwrap();
    assert!(cause.contains("expected reject, came to ack"), "{cause}");
}

#[test]
fn what_a_handler_logs_of_them_is_not_in_the_servers_log() {
    let mut yard = Yard::new(&routes(&["r"], ""));
    yard.plugin("r.wat", prints(STDERR, "I was asked", ""));
    yard.selftest("r", "one.json", &expects(json!({ "outcome": "ack" })));
    yard.run();
    let said = |yard: &Yard| yard.log().matches("I was asked").count();
    assert_eq!(said(&yard), 0);
    yard.until(&yard.send("r", "{}"), "done");
    assert_eq!(said(&yard), 1);
}

#[test]
fn check_makes_them_and_call_does_not_mind_them() {
    let yard = Yard::new(&routes(&["r"], ""));
    let outcome = json!({
        "outcome": "reply", "status": 201, "body": "made",
        "emit": [{ "event_type": "a", "body": "1" }],
    });
    yard.plugin("r.wat", prints(STDOUT, &outcome.to_string(), ""));
    let config = fs::read_to_string(yard.path("router.toml")).unwrap();
    fs::write(yard.path("router.toml"), config + "[handlers.r]\nemit = [\"a\"]\n").unwrap();
    let checked = |expect: Value| {
        yard.selftest("r", "one.json", &expects(expect));
        let ran = yard.hookyard(&["check"]);
        (ran.code == Some(0), ran.out)
    };
    let whole =
        json!({ "outcome": "reply", "status": 201, "body": "made", "log": [], "emit": ["a"] });
    assert!(checked(whole).0);
    for body in [json!("1"), json!(1)] {
        assert!(checked(json!({ "outcome": "reply", "emit": [{ "type": "a", "body": body }] })).0);
    }
    assert!(checked(json!({ "outcome": "reply" })).0);
    for (expect, said) in [
        (json!({ "outcome": "ack" }), "expected ack, came to reply"),
        (json!({ "outcome": "reply", "status": 200 }), "expected status 200, it was 201"),
        (json!({ "outcome": "reply", "body": "x" }), r#"expected body "x", it was "made""#),
        (json!({ "outcome": "reply", "emit": [] }), r#"expected emit [], it was ["a"]"#),
        (
            json!({ "outcome": "reply", "emit": [{ "type": "a", "body": "1 " }] }),
            r#"expected emit ["a" "1 "], it was ["a" 1]"#,
        ),
        (json!({ "outcome": "reply", "emit": [{ "type": "a" }] }), "neither a type nor"),
        (json!({ "outcome": "reply", "log": ["one"] }), r#"expected log ["one"], it was []"#),
        (json!({ "outcome": "later" }), "unknown variant `later`"),
        (json!({ "outcome": "ack", "more": 1 }), "unknown field `more`"),
    ] {
        let (good, out) = checked(expect);
        assert!(!good && out.contains("r.selftest/one.json: ") && out.contains(said), "{out}");
    }
    fs::write(yard.path("body"), "{}").unwrap();
    let called = yard.hookyard(&["call", "r", "--body", "body"]);
    assert!(called.out.starts_with("outcome  reply 201"), "{called:?}");
}

#[test]
fn a_file_has_a_list_of_selftests_or_one() {
    let yard = Yard::new(&routes(&["r"], ""));
    yard.plugin("r.wat", wat::log("hello"));
    let named = |name: &str, expect: Value| {
        let mut case = expects(expect);
        case["name"] = name.into();
        case
    };
    let good = named("first", json!({ "outcome": "ack", "log": ["hello"] }));
    let bad = named("second", json!({ "outcome": "ack", "log": ["hello", "world"] }));
    let checked = |list: &[Value]| {
        yard.selftest("r", "all.json", &json!(list));
        let ran = yard.hookyard(&["check"]);
        (ran.code, ran.out)
    };
    let (code, out) = checked(&vec![good.clone(); 100]);
    assert_eq!(code, Some(0), "{out}");
    for (list, said) in [
        (vec![good.clone(), bad], r#"second: expected log ["hello", "world"], it was ["hello"]"#),
        (vec![good; 101], "it has 101 events, more than 100"),
    ] {
        let (code, out) = checked(&list);
        assert!(code == Some(1) && out.contains(&format!("r.selftest/all.json: {said}")), "{out}");
    }
}

#[test]
fn all_that_fail_are_told_up_to_five() {
    let yard = Yard::new(&routes(&["r"], ""));
    yard.plugin("r.wat", wat::ack());
    yard.selftest("r", "a.json", &json!("no selftest"));
    yard.selftest("r", "b.json", &expects(json!({ "outcome": "ack" })));
    for name in ["c", "d", "e", "f", "g"] {
        yard.selftest("r", &format!("{name}.json"), &expects(json!({ "outcome": "reject" })));
    }
    let out = yard.hookyard(&["check"]).out;
    let told = |name: &str| out.contains(&format!("selftest r.selftest/{name}.json: "));
    let all = ["a", "b", "c", "d", "e", "f", "g"].map(told);
    assert_eq!(all, [true, false, true, true, true, true, false], "{out}");
}

#[test]
fn a_selftest_is_a_file_of_a_mebibyte_at_the_most() {
    let yard = Yard::new(&routes(&["r"], ""));
    yard.plugin("r.wat", wat::ack());
    let case = expects(json!({ "outcome": "ack" }));
    yard.selftest("r", "one.json", &case);
    let file = yard.path("plugins/r.selftest/one.json");
    let padded = |bytes| {
        let case = case.to_string();
        " ".repeat(bytes - case.len()) + &case
    };
    fs::write(&file, padded(1 << 20)).unwrap();
    assert_eq!(yard.hookyard(&["check"]).code, Some(0));
    fs::write(&file, padded((1 << 20) + 1)).unwrap();
    let ran = yard.hookyard(&["check"]);
    assert!(ran.code == Some(1) && ran.out.contains("it has 1048577 bytes"), "{ran:?}");
    fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let ran = yard.hookyard(&["check"]);
    assert!(ran.code == Some(1) && ran.out.contains("it is no file"), "{ran:?}");
}

#[test]
fn a_selftest_has_a_body_headers_and_a_state() {
    let mut yard =
        Yard::new(&(routes(&["p"], "") + "[handlers.p]\nstate = { bytes = \"1MiB\" }\n"));
    yard.add_probe("p");
    yard.selftest("p", "state.json", &json!({
        "event": { "source": "s", "headers": { "x-a": "b" }, "body": { "do": "get", "arg": "k" } },
        "state": { "k": "there" },
        "expect": { "outcome": "reject", "reason": "there" },
    }));
    let ran = yard.hookyard(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    yard.run();
    assert_eq!(yard.handler("p")["error"], Value::Null);
}
