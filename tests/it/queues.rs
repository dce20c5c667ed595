//! What routes may do to each other, which is nothing: pauses, backlogs, and slow handlers.

use serde_json::{Value, json};

use crate::letters::{attempts, order, routes};
use crate::wat;
use crate::yard::{Answer, Yard, wait};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

impl Yard {
    /// What `/api/v1/routes` says of a route.
    fn route(&self, name: &str) -> Value {
        let routes = self.ask("/api/v1/routes").json();
        let named = |route: &&Value| route["name"] == name;
        routes["items"].as_array().unwrap().iter().find(named).cloned().unwrap_or_default()
    }

    /// Posts to a route's `pause` or `resume`.
    pub fn tell(&self, route: &str, verb: &str) -> Answer {
        self.admin_request("POST", &format!("/api/v1/routes/{route}/{verb}"), &JSON)
    }

    fn post_for(&self, handler: &str) -> Answer {
        self.post("/hooks/s", &[("x-for", handler)], b"{}")
    }
}

#[test]
fn a_route_that_is_paused_by_request_stays_so_over_restarts_and_goes_on_where_it_was() {
    let mut yard =
        Yard::start(&routes(&["h", "other"], ""), &[("h", &wat::ack()), ("other", &wat::ack())]);
    let paused = yard.tell("h", "pause");
    assert_eq!((paused.status, &paused.json()["state"]), (200, &json!("paused")));
    assert_eq!(paused.json()["paused_by"], json!(["request"]));
    let sent: Vec<_> = (0..3).map(|_| yard.send("h", "{}")).collect();
    yard.until(&yard.send("other", "{}"), "done");
    for round in 0..2 {
        for id in &sent {
            let event = yard.until(id, "parked");
            assert_eq!(attempts(&event).len(), 0);
            assert_eq!(event["deliveries"][0]["cause"], "the route was paused by request");
        }
        let route = yard.route("h");
        assert_eq!((&route["parked"], &route["pending"]), (&json!(3), &json!(0)));
        yard.reads(r#"hookyard_deliveries{state="parked"}"#, 3.0);
        if round == 0 {
            yard.kill();
            yard.run();
        }
    }
    let resumed = yard.tell("h", "resume");
    assert_eq!(resumed.json()["state"], "running");
    sent.iter().for_each(|id| drop(yard.until(id, "done")));
}

#[test]
fn the_key_and_the_request_both_pause() {
    let yard = Yard::start(&routes(&["h"], "paused = true"), &[("h", &wat::ack())]);
    let id = yard.send("h", "{}");
    let event = yard.until(&id, "parked");
    assert_eq!(event["deliveries"][0]["cause"], "router.toml pauses the route");
    let resumed = yard.tell("h", "resume").json();
    assert_eq!(
        (&resumed["state"], &resumed["paused_by"]),
        (&json!("paused"), &json!(["router.toml"]))
    );
    yard.tell("h", "pause");
    yard.configure(&routes(&["h"], ""));
    yard.reload();
    assert_eq!(yard.route("h")["paused_by"], json!(["request"]));
    yard.tell("h", "resume");
    yard.until(&id, "done");
}

#[test]
fn only_routes_that_there_are_can_be_paused() {
    let yard = Yard::start(&routes(&["h"], ""), &[("h", &wat::ack())]);
    assert_eq!(yard.tell("nobody", "pause").status, 404);
    assert_eq!(
        yard.admin_request("GET", "/api/v1/routes/h/pause", &[]).header("allow"),
        Some("POST")
    );
    assert_eq!(yard.admin_request("POST", "/api/v1/routes/h/pause", &[]).status, 415);
    assert_eq!(yard.route("h")["state"], "running");
}

#[test]
fn a_removed_route_is_parked_and_comes_back() {
    let yard = Yard::start(
        &routes(&["h", "other"], "paused = true"),
        &[("h", &wat::ack()), ("other", &wat::ack())],
    );
    let id = yard.send("h", "{}");
    yard.configure(&routes(&["other"], ""));
    yard.reload();
    let route = yard.route("h");
    assert_eq!((&route["state"], &route["parked"]), (&json!("parked"), &json!(1)));
    assert!(route["cause"].as_str().unwrap().contains("no such route"), "{route}");
    assert!(route.get("handler").is_none());
    yard.configure(&routes(&["other", "h"], ""));
    yard.reload();
    yard.until(&id, "done");
    assert_eq!(yard.route("h")["parked"], 0);
}

const FULL: &str = "the `backlog` of a route is full: an event is refused";

#[test]
fn a_full_backlog_refuses_its_own_events_and_no_others() {
    let narrow = "paused = true\nbacklog = { events = 2 }";
    let mut config = routes(&["narrow"], narrow);
    config += &routes(&["other"], "").replace("[sources.s]", "[sources.unused]");
    let mut yard = Yard::start(&config, &[("narrow", &wat::ack()), ("other", &wat::ack())]);
    for _ in 0..2 {
        yard.send("narrow", "{}");
    }
    for _ in 0..2 {
        let full = yard.post_for("narrow");
        assert_eq!((full.status, full.header("retry-after")), (503, Some("5")));
        yard.until(&yard.send("other", "{}"), "done");
        yard.kill();
        yard.run();
    }
    yard.reads(r#"hookyard_backlog_events{route="narrow"}"#, 2.0);
    assert_eq!(yard.route("narrow")["backlog"]["events"], 2);
    assert_eq!(yard.ask("/api/v1/events").json()["items"].as_array().unwrap().len(), 4);
    yard.post_for("narrow");
    let refused = r#"hookyard_requests_total{result="backlog_full",source="s"}"#;
    yard.reads(refused, 1.0);
    wait("it to be told", || yard.log().contains(FULL).then_some(()));
}

#[test]
fn where_more_is_dead_it_is_answered_and_kept() {
    let narrow = "paused = true\nbacklog = { events = 1, full = \"dead\" }";
    let yard = Yard::start(&routes(&["h"], narrow), &[("h", &wat::ack())]);
    yard.until(&yard.send("h", "{}"), "parked");
    let event = yard.until(&yard.send("h", "{}"), "dead");
    assert_eq!(event["deliveries"][0]["cause"], "the route's backlog was full");
    assert_eq!(attempts(&event).len(), 0);
    let id = event["id"].as_str().unwrap();
    let why = yard.ask(&format!("/api/v1/events/{id}/why")).json();
    let next = "nothing: no attempt was made, since the route's backlog was full";
    assert_eq!(why["deliveries"][0]["next"], next);
    let group = yard.ask("/api/v1/dead-letters").json()["items"][0].clone();
    assert_eq!([&group["first"], &group["last"]], [&event["received_at"]; 2], "{group}");
}

#[test]
fn no_attempt_is_made_for_a_sender_who_is_refused_for_another_route() {
    let full = "[[routes]]\nname = \"full\"\nsource = \"s\"\nevent = \"sync\"\nhandler = \"probe\"\n\
        paused = true\nbacklog = { events = 1 }\n";
    let sync = "[[routes]]\nname = \"sync\"\nsource = \"s\"\nevent = \"sync\"\nhandler = \"probe\"\n\
        mode = \"sync\"\n";
    let mut yard = Yard::new(&[&routes(&["probe"], ""), sync, full].concat());
    yard.add_probe("probe");
    yard.run();
    let post =
        |says: &str| yard.post("/hooks/s", &[("x-for", "sync")], order("log", says).as_bytes());
    assert_eq!(post("the first").status, 200);
    assert_eq!(post("the second").status, 503);
    wait("it to be told", || yard.log().contains(FULL).then_some(()));
    // What was logged before is seen before this.
    yard.send("probe", &order("log", "the third"));
    wait("the third", || yard.log().contains("the third").then_some(()));
    assert!(yard.log().contains("the first") && !yard.log().contains("the second"));
}

#[test]
fn a_slow_route_with_a_backlog_starves_no_other() {
    /// More than are out for attempts at once.
    const MANY: usize = 1_500;
    let spin = routes(&["slow"], "timeout = \"2s\"\nretry = { attempts = 1 }");
    let config = spin + &routes(&["fast"], "").replace("[sources.s]", "[sources.unused]");
    let yard = Yard::start(&config, &[("slow", &wat::spin()), ("fast", &wat::ack())]);
    for _ in 0..MANY {
        yard.send("slow", "{}");
    }
    for _ in 0..10 {
        yard.until(&yard.send("fast", "{}"), "done");
    }
    let left = yard.route("slow")["pending"].as_u64().unwrap();
    assert!(left > MANY as u64 / 2, "{left}");
}

#[test]
fn no_more_attempts_of_a_route_are_under_way_than_it_allows() {
    const EVENTS: usize = 6;
    let narrow = "concurrency = 2\ntimeout = \"100ms\"\nretry = { attempts = 1 }";
    let yard = Yard::start(&routes(&["h"], narrow), &[("h", &wat::spin())]);
    let sent: Vec<_> = (0..EVENTS).map(|_| yard.send("h", "{}")).collect();
    let spans: Vec<(i64, i64)> = sent.iter().map(|id| span(&yard.until(id, "dead"))).collect();
    for (start, _) in &spans {
        let together = spans.iter().filter(|(from, to)| from <= start && start < to).count();
        assert!(together <= 2, "{spans:?}");
    }
    assert_eq!(yard.route("h")["concurrency"], 2);
}

/// When an event's attempt began and ended, in milliseconds since 1970.
fn span(event: &Value) -> (i64, i64) {
    let [attempt] = attempts(event) else { panic!("{event}") };
    let at: jiff::Timestamp = attempt["started_at"].as_str().unwrap().parse().unwrap();
    let start = at.as_millisecond();
    (start, start + attempt["duration_ms"].as_i64().unwrap())
}

#[test]
fn a_delivery_that_is_out_for_its_attempt_is_shown_as_leased() {
    let yard = Yard::start(&routes(&["h"], "timeout = \"60s\""), &[("h", &wat::spin())]);
    let id = yard.send("h", "{}");
    wait("it to be leased", || {
        (yard.event(&id)["deliveries"][0]["state"] == "leased").then_some(())
    });
}
