//! The same event again.

use std::collections::BTreeSet;
use std::io::{BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Barrier;

use flate2::Compression;
use flate2::write::GzEncoder;
use rusqlite::Connection;

use crate::senders::{Sending, acme, acme_source, github, hotglue, now, source, standard};
use crate::yard::{self, Answer, Yard};

const SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw==";

fn sources() -> String {
    let presets = ["github", "hotglue", "svix", "supaglue"].map(|name| source(name, SECRET));
    presets.concat() + &acme_source(SECRET, "event_id = { header = \"X-Acme-Delivery\" }")
}

const CLIENTS: usize = 32;

fn svix(id: &str, at: u64, body: &str) -> Sending {
    standard("/hooks/svix", "svix", SECRET, id, at, body)
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn is_duplicate(answer: &Answer) -> bool {
    let said = answer.header("hookyard-duplicate") == Some("true");
    assert_eq!(said, answer.header("hookyard-duplicate").is_some());
    assert_eq!(said.then_some(true), answer.json().get("duplicate").and_then(|d| d.as_bool()));
    said
}

/// Sends one after the other: whether the second is a duplicate of the first.
fn same(yard: &Yard, first: &Sending, second: &Sending) -> bool {
    let (first, second) = (first.to(yard), second.to(yard));
    assert!(!is_duplicate(&first), "{first:?}");
    assert_eq!(is_duplicate(&second), id(&first) == id(&second));
    is_duplicate(&second)
}

#[test]
fn where_the_id_is_not_signed_the_body_counts_too() {
    let yard = Yard::start(&sources(), &[]);
    assert!(same(&yard, &github(SECRET, "1", "[1]"), &github(SECRET, "1", "[1]")));
    assert!(!same(&yard, &github(SECRET, "2", "[1]"), &github(SECRET, "2", "[2]")));
    assert!(!same(&yard, &github(SECRET, "3", "[1]"), &github(SECRET, "4", "[1]")));
}

#[test]
fn where_the_id_is_signed_it_counts_alone() {
    let yard = Yard::start(&sources(), &[]);
    assert!(same(&yard, &svix("1", now(), "[1]"), &svix("1", now() - 9, "[2]")));
    assert!(!same(&yard, &svix("2", now(), "[1]"), &svix("3", now(), "[1]")));
}

#[test]
fn an_id_is_the_same_under_either_of_the_names_of_its_header() {
    let yard = Yard::start(&sources(), &[]);
    let sent = |names| standard("/hooks/supaglue", names, SECRET, "1", now(), "[1]");
    assert!(same(&yard, &sent("svix"), &sent("webhook")));
}

#[test]
fn where_there_is_no_id_the_body_is_it() {
    let yard = Yard::start(&sources(), &[]);
    assert!(same(&yard, &hotglue(SECRET, "[1]"), &hotglue(SECRET, "[1]").with("x-new", "1")));
    assert!(!same(&yard, &hotglue(SECRET, "[2]"), &hotglue(SECRET, "[3]")));
}

#[test]
fn a_body_that_is_compressed_anew_is_the_same() {
    let source = acme_source(SECRET, "event_id = \"body\"") + "signed_body = \"decoded\"\n";
    let yard = Yard::start(&source, &[]);
    let sent = acme(SECRET, now(), "[1]");
    let packed = |level| {
        let mut encoder = GzEncoder::new(Vec::new(), level);
        encoder.write_all(b"[1]").unwrap();
        sent.clone().body(encoder.finish().unwrap()).with("content-encoding", "gzip")
    };
    let (best, none) = (packed(Compression::best()), packed(Compression::none()));
    assert_ne!(best.bytes(""), none.bytes(""));
    assert!(same(&yard, &best, &none));
    assert!(is_duplicate(&sent.to(&yard)));
}

#[test]
fn an_id_that_the_request_lacks_makes_no_duplicate() {
    let yard = Yard::start(&sources(), &[]);
    let without = acme(SECRET, now(), "[1]");
    assert!(!same(&yard, &without, &without));
    let with = without.with("x-acme-delivery", "1");
    assert!(same(&yard, &with, &with));
}

#[test]
fn one_source_is_no_duplicate_of_another() {
    let yard = Yard::start(&sources(), &[]);
    let sent = |path| standard(path, "svix", SECRET, "1", now(), "[1]");
    assert!(!same(&yard, &sent("/hooks/svix"), &sent("/hooks/supaglue")));
}

#[test]
fn what_was_refused_is_no_first_one() {
    let yard = Yard::start(&sources(), &[]);
    let good = svix("1", now(), "[1]");
    assert_eq!(good.clone().body("[2]").to(&yard).status, 401);
    assert!(!is_duplicate(&good.to(&yard)));
}

#[test]
fn of_many_at_once_one_is_stored() {
    let yard = Yard::start(&sources(), &[]);
    for round in ["1", "2", "3"] {
        let (sending, together) = (svix(round, now(), "[1]"), Barrier::new(CLIENTS));
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let send = || {
                together.wait();
                sending.to(&yard)
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(send)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        let ids: BTreeSet<String> = answers.iter().map(id).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(answers.iter().filter(|answer| !is_duplicate(answer)).count(), 1);
        assert_eq!(yard.event(ids.first().unwrap())["duplicates"], CLIENTS - 1);
    }
    assert_eq!(yard.ask("/api/v1/events").json()["items"].as_array().unwrap().len(), 3);
}

/// Posts the same event on so many connections, without reading what is answered.
fn post_together(yard: &Yard, sending: &Sending) -> Vec<TcpStream> {
    let post = |_| {
        let mut stream = yard::connect(yard.public());
        stream.write_all(&sending.bytes("connection: close\r\n")).unwrap();
        stream
    };
    (0..100).map(post).collect()
}

/// No answer has come on any of these. What the program, which reads sockets with one thread, could
/// answer, it has answered when it has answered others that came later.
fn nothing_is_answered(yard: &Yard, streams: &[TcpStream]) {
    for _ in 0..20 {
        assert_eq!(Sending::new("/nowhere", "").to(yard).status, 404);
    }
    for stream in streams {
        stream.set_nonblocking(true).unwrap();
        let seen = stream.peek(&mut [0]).map_err(|error| error.kind());
        assert_eq!(seen, Err(ErrorKind::WouldBlock));
        stream.set_nonblocking(false).unwrap();
    }
}

#[test]
fn none_of_a_hundred_is_answered_before_the_first_is_durable() {
    let mut yard = Yard::start(&sources(), &[]);
    let sending = svix("1", now(), "[1]");
    for crash in [true, false] {
        // While another writes, the program cannot commit.
        let ledger = Connection::open(yard.path("data/ledger.db")).unwrap();
        ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
        let streams = post_together(&yard, &sending);
        nothing_is_answered(&yard, &streams);
        if crash {
            yard.kill();
            drop(ledger);
            yard.run();
            let events = yard.ask("/api/v1/events").json();
            assert_eq!(events["items"].as_array().unwrap().len(), 0);
            continue;
        }
        ledger.execute_batch("ROLLBACK").unwrap();
        let read = |stream| Answer::read(&mut BufReader::new(stream)).unwrap();
        let answers: Vec<Answer> = streams.into_iter().map(read).collect();
        let ids: BTreeSet<String> = answers.iter().map(id).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(answers.iter().filter(|answer| !is_duplicate(answer)).count(), 1);
        assert_eq!(yard.event(ids.first().unwrap())["duplicates"], 99);
    }
}

#[test]
fn a_repeat_is_known_after_a_restart_within_the_window_and_memory_that_are_set() {
    // Room for nineteen ids.
    let memory = "dedupe_memory = \"1KiB\"\n";
    let mut yard = Yard::start(&(memory.to_owned() + &sources()), &[]);
    let sent = |n: usize| svix(&n.to_string(), now(), "[1]");
    let first: Vec<String> = (0..=19).map(|n| id(&sent(n).to(&yard))).collect();
    yard.kill();
    yard.run();
    let page = yard.ask("/metrics").body;
    let horizon =
        page.lines().find_map(|line| line.strip_prefix("hookyard_dedupe_horizon_seconds "));
    let horizon: f64 = horizon.unwrap().parse().unwrap();
    assert!(horizon < 3_600.0, "it is not the window");
    for (n, known) in [(19, true), (1, true), (0, false)] {
        let again = sent(n).to(&yard);
        assert_eq!(is_duplicate(&again), known, "{n}");
        assert_eq!(first.contains(&id(&again)), known);
    }
}
