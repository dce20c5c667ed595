//! `hookyard call`.

use serde_json::{Value, json};

use crate::wat;
use crate::yard::{Yard, probe};

/// A yard with handlers that each do one thing.
fn yard() -> Yard {
    let yard = Yard::new(
        r#"
[sources.s]
scheme = { kind = "none" }
event_type = { pointer = "/do" }

[handlers.grow]
memory = "3MiB"

[[routes]]
source = "s"
handler = "grow"
"#,
    );
    for (name, text) in [
        ("ack", wat::ack()),
        ("reply", wat::reply(404, &[], "no")),
        ("retry", wat::retry(Some(250), "busy")),
        ("reject", wat::reject("no \u{1b}[31mgood")),
        ("trap", wat::trap()),
        ("spin", wat::spin()),
        ("grow", wat::grow()),
        ("log", wat::log("hello")),
    ] {
        yard.plugin(&format!("{name}.wat"), text);
    }
    yard
}

#[test]
fn each_outcome_is_told_and_decides_over_the_exit_code() {
    let yard = yard();
    for (handler, code, outcome) in [
        ("ack", 0, "outcome  ack\n"),
        ("reply", 0, "outcome  reply 404\n"),
        ("retry", 1, "outcome  retry after 250 ms: busy\n"),
        ("reject", 1, "outcome  reject: no \\u{1b}[31mgood\n"),
        ("trap", 1, "outcome  trap: "),
        ("spin", 1, "outcome  timeout: no outcome within 100 ms\n"),
        ("grow", 1, "outcome  limit: memory: "),
    ] {
        let ran = yard.hookyard(&["call", handler, "--body", "-", "--timeout", "100ms"]);
        assert_eq!((ran.code, &*ran.err), (Some(code), ""), "{handler}: {ran:?}");
        assert!(ran.out.starts_with(outcome), "{handler}: {ran:?}");
        for line in ["load", "wall", "cpu", "memory", "ran", "time"] {
            assert!(ran.out.contains(&format!("\n{line:9}")), "{line}: {ran:?}");
        }
        let is_cut_off = ["spin", "grow"].contains(&handler);
        assert_eq!(ran.out.contains("at least "), is_cut_off, "{ran:?}");
    }
    assert!(!yard.path("data").exists(), "a call stores nothing");
}

#[test]
fn json_has_all_that_an_attempt_leaves() {
    let yard = yard();
    let call = |handler| {
        let mut called = yard.hookyard(&["call", handler, "--body", "-", "--json"]).json();
        for time in ["load_ms", "wall_ms", "cpu_ms"] {
            assert!(called[time].take().as_f64().unwrap() > 0.0, "{called}");
        }
        assert!(called["instructions"].take().is_u64(), "{called}");
        called.as_object_mut().unwrap().remove("time");
        assert_eq!(called["version"].take().as_str().unwrap().len(), 16);
        called
    };
    let same = json!({
        "version": null, "load_ms": null, "wall_ms": null, "cpu_ms": null, "instructions": null, "requests": [], "peak_memory": 2 * 65_536,
        "status": null, "after_ms": null, "error": null, "logs": [],
        "state": {}, "emit": [],
    });
    let with = |fields: Value| {
        let mut expected = same.clone();
        expected.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        expected
    };
    let hello = json!([{ "level": "info", "message": "hello" }]);
    assert_eq!(call("log"), with(json!({ "handler": "log", "outcome": "ack", "logs": hello })));
    assert_eq!(
        call("retry"),
        with(json!({ "handler": "retry", "outcome": "retry", "after_ms": 250, "error": "busy" }))
    );
    assert_eq!(
        call("reply"),
        with(json!({ "handler": "reply", "outcome": "reply", "status": 404 }))
    );
    assert_eq!(call("grow")["peak_memory"], 34 * 65_536, "2 MiB more, and not a third");
}

#[test]
fn an_attempts_instructions_and_time_are_told_by_what_they_were_for() {
    let yard = yard();
    std::fs::copy(probe(), yard.path("plugins/probe.wasm")).unwrap();
    let call = |handler: &str, body: &str| {
        std::fs::write(yard.path("body"), body).unwrap();
        yard.hookyard(&["call", handler, "--json", "--body", "body", "--timeout", "50s"]).json()
    };
    let [once, again] = [call("ack", ""), call("ack", "more")];
    assert_eq!(once["instructions"], again["instructions"], "the same is the same");
    let short = call("probe", r#"{"do":"config","arg":"region","via":"log"}"#);
    let long = call("probe", r#"{"do":"sleep","arg":"200"}"#);
    assert!(once["instructions"].as_u64() < short["instructions"].as_u64(), "{once} {short}");
    let host = &short["time"]["host"];
    assert_eq!(
        (&host["config"]["calls"], &host["log"]["calls"]),
        (&json!(1), &json!(1)),
        "{short}"
    );
    assert!(host["state"].is_null() && long["time"]["host"] == json!({}), "{short} {long}");
    for called in [&short, &long] {
        let time = &called["time"];
        let of_host = time["host"].as_object().unwrap().values().map(|of| &of["ms"]);
        let parts = ["instantiate_ms", "own_ms", "waiting_ms"].map(|part| &time[part]);
        let sum: f64 = of_host.chain(parts).map(|ms| ms.as_f64().unwrap()).sum();
        assert!((sum - called["wall_ms"].as_f64().unwrap()).abs() < 0.001, "{called}");
    }
    assert!(long["time"]["waiting_ms"].as_f64().unwrap() >= 190.0, "{long}");
}

#[test]
fn the_event_is_as_the_operator_says() {
    let yard = yard();
    let config = std::fs::read_to_string(yard.path("router.toml")).unwrap();
    std::fs::copy(probe(), yard.path("plugins/probe.wasm")).unwrap();
    std::fs::write(yard.path("body"), r#"{"do":"echo","via":"log"}"#).unwrap();
    let echo = |more: &[&str]| -> Value {
        let called =
            yard.hookyard(&[&["call", "probe", "--json", "--body", "body"], more].concat());
        let called = called.json();
        serde_json::from_str(called["logs"][0]["message"].as_str().unwrap()).unwrap()
    };
    let bare = echo(&[]);
    assert_eq!((&bare["source"], &bare["event_type"]), (&"call".into(), &"event".into()));
    assert_eq!((&bare["attempt"], &bare["headers"]), (&1.into(), &json!([])));
    assert_eq!(bare["body"], r#"{"do":"echo","via":"log"}"#);

    let sourced = echo(&["--source", "s", "--header", "X-One: 1", "--header", "x-two:  2 : 3 "]);
    assert_eq!((&sourced["source"], &sourced["event_type"]), (&"s".into(), &"echo".into()));
    assert_eq!(sourced["headers"], json!([["x-one", "1"], ["x-two", "2 : 3"]]));
    assert!(sourced["attributes"].as_array().unwrap().contains(&json!(["path", "/hooks/s"])));
    assert_eq!(echo(&["--source", "s", "--event", "mine"])["event_type"], "mine");

    let order = r#"{"do":"config","arg":"region","via":"log"}"#;
    std::fs::write(yard.path("body"), order).unwrap();
    std::fs::write(yard.path("router.toml"), config + "[handlers.probe]\nconfig.region = \"eu\"\n")
        .unwrap();
    let ran = yard.hookyard(&["call", "probe", "--body", "body"]);
    assert!(ran.out.contains("log      info: ") && ran.out.contains("eu"), "{ran:?}");
}

#[test]
fn a_file_anywhere_can_be_called() {
    let yard = yard();
    std::fs::create_dir(yard.path("elsewhere")).unwrap();
    std::fs::write(yard.path("elsewhere/new.wat"), wat::ack()).unwrap();
    std::fs::write(yard.path("here.wat"), "(component)").unwrap();
    assert_eq!(yard.hookyard(&["call", "elsewhere/new.wat", "--body", "-"]).code, Some(0));
    for (handler, report) in [
        ("here.wat", "error: the component exports no handler (it exports nothing)"),
        (
            "nothing",
            "error: there is no such file, and no .wat beside it\n--> plugins/nothing.wasm",
        ),
        ("elsewhere/ack.wasm", "--> elsewhere/ack.wasm"),
    ] {
        let ran = yard.hookyard(&["call", handler, "--body", "-"]);
        assert_eq!((ran.code, &*ran.out), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains(report), "{ran:?}");
    }
}

#[test]
fn what_the_command_line_lacks_is_a_usage_error() {
    let yard = yard();
    for arguments in [
        &["call", "ack"][..],
        &["call", "ack", "--body", "-", "--header", "no colon"],
        &["call", "ack", "--body", "-", "--timeout", "5 s"],
    ] {
        assert_eq!(yard.hookyard(arguments).code, Some(2), "{arguments:?}");
    }
    let ran = yard.hookyard(&["call", "ack", "--body", "nowhere"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with("error: cannot read nowhere: "), "{ran:?}");
}
