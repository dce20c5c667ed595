//! `kill -9` at random moments under load: what was answered is neither lost nor repeated, be it
//! small or large, handled at once or later, in vain, or while its sender waits.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::ends;
use crate::yard::{Answer, Yard, hotglue_signature, post, wait};

/// How many crashes, instead of a few.
const ROUNDS: &str = "HOOKYARD_CRASH_ROUNDS";
/// The seed of their moments, instead of one of the day.
const SEED: &str = "HOOKYARD_SEED";

const CLIENTS: usize = 4;
/// This one's events are handled while it waits.
const WAITS: usize = 3;
/// Of each client's events every so many is large enough for a file of its own.
const LARGE_EVERY: usize = 8;
const LARGE: usize = 300 * 1024;
/// The program lives this long at the most, once it listens.
const LIFE: Duration = Duration::from_millis(400);
/// Bodies that are posted again after each crash, of those that were answered.
const AGAIN: usize = 20;

/// A source whose senders wait, beside the one that [`ends`] has.
const WAITING: &str = r#"
[sources.waits]
scheme = "hotglue"
secrets = [{ value = "a secret of the tests" }]

[[routes]]
source = "waits"
handler = "acks"
mode = "sync"
"#;

/// The events of a run: their bodies, and the ids that they were answered with.
type Acked = BTreeMap<String, String>;

/// What came of one client's posts.
struct Posted {
    acked: Acked,
    /// The last one, which got no answer: it may be stored, and may not.
    unanswered: String,
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn send(to: SocketAddr, body: &str) -> std::io::Result<Answer> {
    let signature = hotglue_signature(ends::SECRET, body.as_bytes());
    let path = if is_awaited(body) { "/hooks/waits" } else { "/hooks/hotglue" };
    post(to, path, &[("x-hub-signature", &signature)], body.as_bytes())
}

fn body(round: u64, client: usize, n: usize) -> String {
    let rest = if n % LARGE_EVERY == LARGE_EVERY - 1 { "x".repeat(LARGE) } else { String::new() };
    let status = "JOB_COMPLETED";
    json!({ "client": client, "n": n, "rest": rest, "round": round, "status": status }).to_string()
}

fn is_awaited(body: &str) -> bool {
    body.starts_with(&format!("{{\"client\":{WAITS},"))
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Posts one event after the other until the program is gone.
fn post_all(to: SocketAddr, round: u64, client: usize) -> Posted {
    let mut acked = Acked::new();
    for n in 0.. {
        let body = body(round, client, n);
        match send(to, &body) {
            Ok(answer) => {
                assert_eq!(answer.header("hookyard-duplicate"), None);
                acked.insert(body, id(&answer));
            }
            Err(_) => return Posted { acked, unanswered: body },
        }
    }
    unreachable!()
}

/// Loads the program, and kills it at some moment.
fn crash(yard: &mut Yard, round: u64, after: Duration) -> Vec<Posted> {
    let to = yard.public();
    thread::scope(|threads| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| threads.spawn(move || post_all(to, round, client))).collect();
        thread::sleep(after);
        yard.kill();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// What was answered is known at once; what was not may be sent again, as senders do.
fn send_again(yard: &Yard, posted: Vec<Posted>, acked: &mut Acked) {
    for Posted { acked: answered, unanswered } in posted {
        for (body, first) in answered.iter().rev().take(AGAIN) {
            let again = send(yard.public(), body).unwrap();
            assert_eq!(again.header("hookyard-duplicate"), Some("true"), "{body}");
            assert_eq!(id(&again), *first);
        }
        acked.extend(answered);
        acked.insert(unanswered.clone(), id(&send(yard.public(), &unanswered).unwrap()));
    }
}

fn outcomes(delivery: &Value) -> Vec<(u64, &str)> {
    let attempts = delivery["attempts"].as_array().unwrap().iter();
    attempts.map(|a| (a["n"].as_u64().unwrap(), a["outcome"].as_str().unwrap())).collect()
}

/// Everything that was answered is there, and was handled; nothing else is there.
fn check(yard: &Yard, acked: &Acked) {
    let awaited = acked.keys().filter(|body| is_awaited(body)).count();
    let others = acked.len() - awaited;
    for (body, id) in acked {
        let event = wait(&format!("{id} to be handled"), || {
            let event = yard.event(id);
            let deliveries = event["deliveries"].as_array()?;
            let states = || deliveries.iter().map(|it| it["state"].as_str().unwrap());
            states().all(|state| ["done", "dead"].contains(&state)).then_some(event)
        });
        assert_eq!(event["body"], **body, "{event}");
        let deliveries = event["deliveries"].as_array().unwrap();
        let ends: Vec<_> =
            deliveries.iter().map(|it| (it["state"].as_str().unwrap(), outcomes(it))).collect();
        let acked = ("done", vec![(1, "ack")]);
        let retried = ("done", vec![(1, "retry"), (2, "retry"), (3, "ack")]);
        let rejected = ("dead", vec![(1, "reject")]);
        let expected = if is_awaited(body) { vec![acked] } else { vec![acked, retried, rejected] };
        assert_eq!(ends, expected, "{id}");
    }
    yard.settled(awaited + 2 * others, others);
}

/// The moments at which a run's rounds are killed, and the rounds' numbers.
pub fn moments() -> impl Iterator<Item = (u64, Duration)> {
    let day = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = variable(SEED).unwrap_or(day);
    println!("{SEED}={seed}");
    let mut moment = seed;
    (0..variable(ROUNDS).unwrap_or(5)).map(move |round| {
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (round, LIFE.mul_f64((moment >> 40) as f64 / (1_u64 << 24) as f64))
    })
}

#[test]
fn what_was_answered_survives_kill_9() {
    let plugins = ends::plugins();
    let mut yard = Yard::start(
        &(ends::CONFIG.to_owned() + WAITING),
        &plugins.each_ref().map(|(name, text)| (*name, &**text)),
    );
    let mut acked = Acked::new();
    for (round, after) in moments() {
        let posted = crash(&mut yard, round, after);
        yard.run();
        send_again(&yard, posted, &mut acked);
    }
    check(&yard, &acked);
    let large = acked.keys().filter(|body| body.len() > LARGE).count();
    wait("bodies that no event owns to be swept", || {
        (fs::read_dir(yard.path("data/bodies")).unwrap().count() == large).then_some(())
    });
    println!("{} events", acked.len());
}
