//! `hookyard events`: the same of a server that runs, and of a ledger that none uses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use super::Ran;
use crate::senders::Sending;
use crate::wat;
use crate::yard::{Yard, wait};

const CONFIG: &str = r#"
[sources.shop]
scheme = { kind = "none" }
event_type = { pointer = "/type" }
[sources.other]
scheme = { kind = "none" }
[[routes]]
name = "orders"
source = "shop"
event = "order.*"
handler = "reject"
[[routes]]
name = "acme"
source = "shop"
when = 'body.tenant == "acme"'
handler = "ack"
[[routes]]
name = "later"
source = "shop"
event = ["late"]
handler = "retry"
retry = { attempts = 3, first = "1h", factor = 1, max = "1h" }
[[routes]]
name = "lost"
source = "shop"
event = "lost"
handler = "gone"
[[routes]]
name = "elsewhere"
source = "other"
handler = "ack"
"#;

fn yard() -> Yard {
    let reject = wat::reject("no such customer: 4711");
    let retry = wat::retry(None, "crm is down");
    Yard::start(CONFIG, &[("ack", &wat::ack()), ("reject", &reject), ("retry", &retry)])
}

impl Yard {
    /// Asks the server that runs.
    fn asks(&self, arguments: &[&str]) -> Ran {
        let url = format!("http://{}", self.admin());
        self.hookyard(&[&["events"], arguments, &["--url", &url]].concat())
    }
}

/// Posts a body to the shop, and waits until every delivery was tried or parked.
fn post(yard: &Yard, body: &str) -> String {
    let answer = Sending::new("/hooks/shop", body).to(yard);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    yard.tried(&id);
    id
}

#[test]
fn events_are_listed_with_what_became_of_them() {
    let yard = yard();
    let bodies = [r#"{"type":"order.new"}"#, r#"{"type":"late"}"#, r#"{"type":"nobody"}"#];
    let [order, late, nobody] = bodies.map(|body| post(&yard, body));
    let listed = yard.asks(&["list"]);
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!((listed.code, &*listed.err, lines.len()), (Some(0), "", 3), "{listed:?}");
    for (line, parts) in lines.iter().zip([
        [&*nobody, "shop", "nobody", "  unrouted"],
        [&*late, "shop", "late", "  later pending"],
        [&*order, "shop", "order.new", "  orders dead"],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    for (arguments, expected) in [
        (&["--state", "dead"][..], &[&order][..]),
        (&["--route", "later"], &[&late]),
        (&["--cause", "no such customer: 1"], &[&order]),
        (&["--cause", "no such thing"], &[]),
        (&["--type", "late", "--since", "1h"], &[&late]),
        (&["--until", "1h"], &[]),
        (&["--state", "unrouted"], &[&nobody]),
        (&["--limit", "1"], &[&nobody]),
        (&["--limit", "0"], &[]),
    ] {
        let page = yard.asks(&[&["list", "--json"], arguments].concat()).json();
        let items = page["items"].as_array().unwrap().iter();
        let ids: Vec<&str> = items.map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{arguments:?}");
    }
    let why = yard.asks(&["why", &nobody]).out;
    let advice = format!("hookyard replay {nobody} --state unrouted --to ROUTE\n");
    assert!(why.ends_with(&advice), "{why}");
    let none = yard.asks(&["list", "--limit", "0"]);
    assert_eq!((none.code, &*none.out, &*none.err), (Some(0), "", ""));
    let first = yard.asks(&["list", "--json", "--limit", "1"]).json();
    let before = first["next"].as_str().unwrap();
    let rest = yard.asks(&["list", "--before", before]);
    assert_eq!(rest.out.lines().count(), 2, "{rest:?}");
}

#[test]
fn a_ledger_without_a_server_gives_the_same_answers() {
    let mut yard = yard();
    let id = post(&yard, r#"{"type":"order.new"}"#);
    let asked = |yard: &Yard, ran: &dyn Fn(&Yard, &[&str]) -> Ran| {
        [&["list", "--json"][..], &["show", &id, "--json"], &["dead", "--json"]]
            .map(|arguments| ran(yard, arguments).json())
    };
    let online = asked(&yard, &|yard, arguments| yard.asks(arguments));
    let in_use = yard.hookyard(&["events", "list"]);
    assert_eq!((in_use.code, &*in_use.out), (Some(1), ""));
    assert!(in_use.err.contains("give --url"), "{in_use:?}");
    yard.kill();
    let offline =
        asked(&yard, &|yard, arguments| yard.hookyard(&[&["events"], arguments].concat()));
    assert_eq!(online, offline);
    let why = yard.hookyard(&["events", "why"]);
    assert!(why.out.contains(&id) && why.out.contains("the handler rejected it"), "{why:?}");
    yard.run();
    assert_eq!(yard.event(&id)["id"], id);
}

#[test]
fn mistakes_elsewhere_in_router_toml_do_not_keep_anybody_from_asking() {
    let mut yard = yard();
    let id = post(&yard, r#"{"type":"nobody"}"#);
    yard.stop();
    let secret =
        "[sources.more]\nscheme = \"hotglue\"\nsecrets = [{ env = \"NOT_SET_IN_TESTS\" }]\n";
    yard.configure(&format!("{CONFIG}{secret}"));
    let ran = yard.hookyard(&["events", "list"]);
    assert!(ran.code == Some(0) && ran.out.contains(&id), "{ran:?}");
    assert!(ran.err.contains("router.toml has mistakes"), "{ran:?}");
}

#[test]
fn where_there_is_no_ledger_that_is_said() {
    let ran = Yard::new("").hookyard(&["events", "list"]);
    assert_eq!((ran.code, &*ran.out), (Some(1), ""));
    assert!(ran.err.contains("there is no ledger in data"), "{ran:?}");
}

#[test]
fn what_is_wrong_with_a_ledger_is_said_once() {
    let mut yard = Yard::start("", &[]);
    yard.stop();
    fs::write(yard.path("data/ledger.db"), "no ledger").unwrap();
    let ran = yard.hookyard(&["events", "list"]);
    let said = "error: cannot read the ledger: file is not a database\n";
    assert_eq!((ran.code, &*ran.err), (Some(1), said));
}

#[test]
fn why_says_what_every_route_said_and_what_comes_next() {
    let yard = yard();
    let id = post(&yard, r#"{"type":"order.new","tenant":"b"}"#);
    let why = yard.asks(&["why", &id]).out;
    for part in [
        &*format!("{id}  order.new of shop, received 20"),
        "\n  nothing was verified: the source's scheme proves nothing\n",
        "\nroutes, as router.toml is now\n",
        "\n  acme    no: `when` is false: body.tenant == \"acme\"\n",
        "\n  later   no: takes type `late`, and this is `order.new`\n",
        "\n  orders  takes it\n",
        "\n  of other sources: elsewhere\n",
        "\ndelivery orders: dead\n  attempt 1  20",
        "Z  took ",
        " ms: reject, no such customer: 4711\n",
        "\n  next: nothing: the handler rejected it\n",
    ] {
        assert!(why.contains(part), "{part}\nis not in\n{why}");
    }
    for (body, parts) in [
        (
            r#"{"type":"late"}"#,
            &[
                "acme    no: `when` cannot be answered, there is no `tenant`: body.tenant",
                "next: attempt 2 of 3 in ",
                " ms: retry, crm is down\n",
            ][..],
        ),
        (
            r#"{"type":"lost"}"#,
            &[
                "next: nothing while the handler `gone` has no file\n",
                "do:   put gone.wasm into `plugins`: it goes on by itself\n",
            ],
        ),
        (
            "no json",
            &["the type was not found", "acme    no: `when` cannot be answered, the body is no"],
        ),
    ] {
        let id = post(&yard, body);
        let why = yard.asks(&["why", &id]).out;
        parts.iter().for_each(|part| assert!(why.contains(part), "{part}\nis not in\n{why}"));
    }
}

#[test]
fn why_without_an_id_is_about_the_newest_event_in_trouble() {
    let yard = yard();
    assert!(yard.asks(&["why"]).err.contains("no event has come in yet"));
    let fine = post(&yard, r#"{"type":"x","tenant":"acme"}"#);
    assert!(yard.asks(&["why"]).out.starts_with(&fine));
    let dead = post(&yard, r#"{"type":"order.new"}"#);
    post(&yard, r#"{"type":"y","tenant":"acme"}"#);
    assert!(yard.asks(&["why"]).out.starts_with(&dead));
    let parked = post(&yard, r#"{"type":"lost"}"#);
    assert!(yard.asks(&["why"]).out.starts_with(&parked));
}

#[test]
fn routes_that_changed_since_are_told_from_those_that_took_it() {
    let yard = yard();
    let id = post(&yard, r#"{"type":"order.new"}"#);
    let changed = CONFIG.replace("\"order.*\"", "\"none\"").replace("[\"late\"]", "\"order.new\"");
    yard.configure(&changed);
    assert_eq!(yard.reload()["result"], "ok");
    let why = yard.asks(&["why", &id]).out;
    assert!(why.contains("took it when it came in, and would not now: takes type `none`"), "{why}");
    assert!(why.contains("later   takes it now; it did not when the event came in"), "{why}");
}

#[test]
fn dead_letters_are_grouped_by_route_and_cause() {
    let yard = yard();
    assert_eq!(yard.asks(&["dead"]).out, "no dead letters\n");
    let ids = ["1", "2", "3"].map(|n| post(&yard, &format!(r#"{{"type":"order.{n}"}}"#)));
    let ran = yard.asks(&["dead", "--json"]);
    let Value::Array(mut groups) = ran.json() else { panic!("{ran:?}") };
    let [group] = &mut groups[..] else { panic!("{ran:?}") };
    assert!(group["first"].as_str() <= group["last"].as_str());
    (group["first"], group["last"]) = (Value::Null, Value::Null);
    let expected = json!({
        "route": "orders", "cause": "no such customer: …", "count": 3, "first": null, "last": null,
        "example": ids[2],
    });
    assert_eq!(*group, expected);
    let shown = yard.asks(&["dead"]).out;
    assert!(shown.contains("COUNT  ROUTE   CAUSE"), "{shown}");
    assert!(shown.contains("3      orders  no such customer: …"), "{shown}");
    let commands = format!(
        "\nhookyard events why {}\nhookyard replay --route 'orders' --cause 'no such customer: …' --dry-run\n",
        ids[2]
    );
    assert!(shown.ends_with(&commands), "{shown}");
}

#[test]
fn following_tells_of_each_event_once_until_nobody_reads() {
    let yard = yard();
    let before = post(&yard, r#"{"type":"before"}"#);
    let url = format!("http://{}", yard.admin());
    let mut command = yard.command(&["events", "list", "--follow", "--url", &url]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().contains(&before));
    for n in 0..3 {
        let id = post(&yard, &format!(r#"{{"type":"n{n}"}}"#));
        assert!(next().contains(&id));
    }
    drop(lines);
    let ended = wait("it to end", || {
        post(&yard, r#"{"type":"unread"}"#);
        child.try_wait().unwrap()
    });
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn what_senders_write_cannot_move_a_cursor() {
    let yard = yard();
    let id = post(&yard, "{\"type\":\"order.\\u001b[2J\",\"x\":\"\u{1b}[31m\"}");
    for arguments in [&["list"][..], &["show", &id], &["why", &id]] {
        let ran = yard.asks(arguments);
        assert!(ran.code == Some(0) && !ran.out.contains('\u{1b}'), "{ran:?}");
        assert!(ran.out.contains("\\u{1b}[2J"), "{ran:?}");
    }
    assert!(yard.asks(&["show", &id]).out.contains("\\u{1b}[31m"));
}

#[test]
fn what_is_no_id_is_wrong_usage() {
    let yard = Yard::new("");
    for verb in ["show", "why"] {
        let ran = yard.hookyard(&["events", verb, "evt_1"]);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""));
        assert!(ran.err.contains("not an event id"), "{ran:?}");
    }
}
