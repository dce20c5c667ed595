//! `hookyard replay --shadow`.

use serde_json::{Value, json};

use super::Ran;
use crate::effects::emitted;
use crate::letters::routes;
use crate::wat;
use crate::wat_commands::{STDOUT, prints};
use crate::yard::Yard;

const ONCE: &str = "retry = { attempts = 1 }";

impl Yard {
    /// Runs a module, given in text form, on what the arguments say.
    fn shadows(&self, module: &str, arguments: &[&str]) -> Ran {
        std::fs::write(self.path("candidate.wat"), module).unwrap();
        self.hookyard(&[&["replay", "--shadow", "candidate.wat"], arguments].concat())
    }
}

/// What of a shadow run's report is about counts.
fn counts(report: &Value) -> [u64; 4] {
    ["compared", "same", "different", "skipped"].map(|name| report[name].as_u64().unwrap())
}

#[test]
fn a_fix_is_tried_on_dead_letters_and_on_what_was_well() {
    const EVENTS: usize = 300;
    let config = routes(&["bad", "good"], ONCE);
    let yard =
        Yard::start(&config, &[("bad", &wat::reject("order 7 is odd")), ("good", &wat::ack())]);
    let dead: Vec<String> = (0..EVENTS).map(|_| yard.send("bad", "{}")).collect();
    let good = yard.send("good", "{}");
    dead.iter().for_each(|id| drop(yard.until(id, "dead")));
    yard.until(&good, "done");

    let ran = yard.shadows(&wat::ack(), &["--route", "bad"]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    let (head, rest) = ran.out.split_once('\n').unwrap();
    assert_eq!(head, "300 compared: 0 as before, 300 different");
    assert!(rest.contains("\n300    reject    ack        outcome\n"), "{rest}");
    let first =
        format!("\n{} on bad\n  happened   reject: order 7 is odd\n  candidate  ack\n", dead[0]);
    assert!(rest.contains(&first), "{rest}");
    assert_eq!(rest.matches(" on bad\n").count(), 5);

    let report = yard.shadows(&wat::ack(), &["--since", "1h", "--json"]).json();
    assert_eq!(counts(&report), [301, 1, 300, 0]);
    let alike =
        yard.shadows(&wat::reject("order 88 is odd"), &["--state", "dead", "--json"]).json();
    assert_eq!(counts(&alike), [300, 300, 0, 0]);
    let other = yard.shadows(&wat::reject("gone"), &["--state", "done", "--json"]).json();
    assert_eq!(
        other["kinds"],
        json!([
            { "happened": "ack", "candidate": "reject", "differs": ["outcome"], "count": 1 }
        ])
    );
    assert_eq!(other["first"][0]["event"], good);
    assert_eq!(other["first"][0]["candidate"]["error"], "gone");
    let some = yard.shadows(&wat::ack(), &["--route", "bad", "--limit", "7", "--json"]).json();
    assert_eq!((counts(&some), &some["more"]), ([7, 0, 7, 0], &json!(true)));

    assert_eq!(yard.event(&dead[0])["deliveries"][0]["state"], "dead");
    let attempts = yard.metric(r#"hookyard_attempts_total{outcome="reject",route="bad"}"#);
    assert_eq!(attempts, EVENTS as f64, "nothing was tried by the server");
}

#[test]
fn replies_and_emitted_events_are_compared() {
    let emits = |kinds: &[&str], status: u16| {
        let emit: Vec<_> =
            kinds.iter().map(|kind| json!({ "event_type": kind, "body": "1" })).collect();
        let outcome = json!({ "outcome": "reply", "status": status, "body": "x", "emit": emit });
        prints(STDOUT, &outcome.to_string(), "")
    };
    let config = routes(&["r"], ONCE) + "[handlers.r]\nemit = [\"a\", \"b\"]\n";
    let yard = Yard::start(&config, &[("r", &emits(&["a", "b"], 201))]);
    let id = yard.send("r", "{}");
    yard.until(&id, "done");
    emitted(&yard, "r", 2);
    let differs = |module: &str| {
        let report = yard.shadows(module, &[&id, "--json"]).json();
        (report["same"].as_u64().unwrap(), report["first"][0]["differs"].clone())
    };
    assert_eq!(differs(&emits(&["a", "b"], 201)), (1, Value::Null));
    assert_eq!(differs(&emits(&["a", "b"], 202)), (0, json!(["reply"])));
    assert_eq!(differs(&emits(&["a"], 201)), (0, json!(["emit"])));
    assert_eq!(differs(&wat::ack()), (0, json!(["outcome"])));
    let shown = yard.shadows(&emits(&["b", "c"], 201), &[&id]).out;
    assert!(shown.contains("happened   reply 201\n") && shown.contains("emits a: 1\n"), "{shown}");
    emitted(&yard, "r", 2);
}

#[test]
fn it_reads_the_handlers_state_and_keeps_nothing() {
    let config = routes(&["p"], ONCE) + "[handlers.p]\nstate = { bytes = \"1MiB\" }\n";
    let mut yard = Yard::new(&config);
    yard.add_probe("p");
    yard.run();
    let counted = |yard: &Yard| {
        let body = json!({ "do": "count", "arg": "n", "via": "log" }).to_string();
        let event = yard.until(&yard.send("p", &body), "done");
        let logs = event["deliveries"][0]["attempts"][0]["logs"].as_array().unwrap().clone();
        logs.last().unwrap()["message"].as_str().unwrap().to_owned()
    };
    assert_eq!([counted(&yard), counted(&yard)], ["1", "2"]);
    for _ in 0..2 {
        let ran = yard.hookyard(&["replay", "--shadow", "plugins/p.wasm", "--state", "done"]);
        assert!(ran.out.starts_with("2 compared: 2 as before"), "{ran:?}");
    }
    assert_eq!(counted(&yard), "3");
    let read = yard.until(&yard.send("p", r#"{"do":"get","arg":"n"}"#), "dead");
    assert_eq!(read["deliveries"][0]["attempts"][0]["error"], "3");
    let ran = yard.hookyard(&["replay", "--shadow", "plugins/p.wasm", "--state", "dead", "--json"]);
    assert_eq!(counts(&ran.json()), [1, 1, 0, 0], "{ran:?}");
}

#[test]
fn a_candidate_sends_no_requests() {
    let remote = crate::remote::Remote::start(&crate::remote::ok("hello"));
    let grants = format!("egress = [\"{}\"]\negress_private = [\"127.0.0.1/32\"]\n", remote.url());
    let mut yard = Yard::new(&(routes(&["p"], ONCE) + "[handlers.p]\n" + &grants));
    yard.add_probe("p");
    yard.run();
    let arg = json!({ "url": remote.url() }).to_string();
    let body = json!({ "do": "send", "arg": arg }).to_string();
    yard.until(&yard.send("p", &body), "dead");
    remote.next();
    let ran = yard.hookyard(&["replay", "--shadow", "plugins/p.wasm", "--state", "dead", "--json"]);
    let report = ran.json();
    assert_eq!(report["different"], 1, "{ran:?}");
    let error = report["first"][0]["candidate"]["error"].as_str().unwrap();
    assert!(error.contains("HttpRequestDenied"), "{error}");
    assert_eq!(yard.stop().code(), Some(0));
    remote.closed();
    assert!(remote.is_quiet(), "the candidate sent nothing");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let mut yard = Yard::start(&routes(&["r"], ONCE), &[("r", &wat::reject("no"))]);
    let id = yard.send("r", "{}");
    yard.until(&id, "dead");
    let pending = yard.shadows(&wat::ack(), &["--state", "pending"]);
    assert!(
        pending.code == Some(1) && pending.err.contains("--state is dead or done"),
        "{pending:?}"
    );
    let nothing = yard.shadows(&wat::ack(), &["--route", "other"]);
    assert!(nothing.code == Some(1) && nothing.out.starts_with("nothing matches"), "{nothing:?}");
    let bad = yard.shadows("(module", &[&id]);
    assert!(bad.code == Some(1) && bad.err.contains("candidate.wat"), "{bad:?}");
    let both = yard.shadows(&wat::ack(), &[&id, "--dry-run"]);
    assert_eq!(both.code, Some(2), "{both:?}");
    yard.stop();
    let alone = yard.shadows(&wat::ack(), &[&id]);
    assert!(alone.out.starts_with("1 compared: 0 as before, 1 different"), "{alone:?}");
    yard.configure(&routes(&["elsewhere"], ONCE));
    let gone = yard.shadows(&wat::ack(), &[&id]);
    assert!(gone.out.contains("1 left out: their events or routes are gone"), "{gone:?}");
}
