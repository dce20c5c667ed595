//! What the program is given to do while its disk is watched.

use std::thread;

use serde_json::{Value, json};

use super::Watched;
use super::image::Chance;
use crate::ends;
use crate::yard::{Yard, wait};

/// Each event's deliveries, and how they end.
pub const ROUTES: [(&str, &str); 3] =
    [("hotglue/acks", "done"), ("hotglue/retries", "done"), ("hotglue/rejects", "dead")];

const CLIENTS: u64 = 4;

/// Something that was true from a moment on, as the record tells moments.
#[derive(Debug, Clone)]
pub struct Since<T> {
    pub moment: usize,
    pub what: T,
}

/// What the program told.
#[derive(Debug, Default)]
pub struct Told {
    /// Ids and bodies of events that were answered 200.
    pub acked: Vec<Since<(String, String)>>,
    /// Ids of events all of whose deliveries were seen settled.
    pub settled: Vec<Since<String>>,
}

/// A yard with these routes.
pub fn watched() -> Watched {
    let plugins = ends::plugins();
    Watched::new(ends::CONFIG, &plugins.each_ref().map(|(name, text)| (*name, &**text)))
}

/// Posts so many events from each of some clients, the first of which has this number, and waits
/// until all is settled.
pub fn post(on: &Watched, first: u64, events: u64) -> Told {
    let mut told = thread::scope(|threads| {
        let clients: Vec<_> = (first..first + CLIENTS)
            .map(|client| threads.spawn(move || post_some(on, client, events)))
            .collect();
        let mut told = Told::default();
        for client in clients {
            let one = client.join().unwrap();
            told.acked.extend(one.acked);
            told.settled.extend(one.settled);
        }
        told
    });
    for Since { what: (id, _), .. } in &told.acked {
        wait("everything to be settled", || is_settled(&on.yard.event(id)).then_some(()));
    }
    let moment = on.moment();
    let all = told.acked.iter().map(|acked| Since { moment, what: acked.what.0.clone() });
    told.settled.extend(all);
    told
}

fn post_some(on: &Watched, client: u64, events: u64) -> Told {
    let mut told = Told::default();
    for n in 0..events {
        let body = body(client, n);
        let id = wait("the event to be taken", || send(&on.yard, &body));
        told.acked.push(Since { moment: on.moment(), what: (id, body) });
        // One of those before is done by now, or nearly.
        if let Some(before) = told.acked.iter().rev().nth(3) {
            let (id, _) = &before.what;
            if is_settled(&on.yard.event(id)) {
                told.settled.push(Since { moment: on.moment(), what: id.clone() });
            }
        }
    }
    told
}

/// Whether an event's deliveries have all ended as they must.
pub fn is_settled(event: &Value) -> bool {
    let ends = event["deliveries"].as_array().unwrap().iter().map(|it| &it["state"]);
    ends.eq(ROUTES.iter().map(|(_, end)| end))
}

/// Posts an event: its id when it is answered 200. What is answered 503 may be sent again.
pub fn send(to: &Yard, body: &str) -> Option<String> {
    let answer = to.hotglue(ends::SECRET, body);
    if answer.status == 503 {
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        return None;
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    Some(answer.json()["id"].as_str().unwrap().to_owned())
}

/// Most are small; some fill pages, and some are files of their own. None can be compressed.
pub fn body(client: u64, n: u64) -> String {
    let length = match n % 12 {
        5 => 300_000,
        1 | 8 => 20_000,
        _ => 500,
    };
    let mut chance = Chance(client << 32 | n);
    let noise: String = (0..length).map(|_| char::from(b'0' + chance.below(75) as u8)).collect();
    json!({ "status": "JOB_COMPLETED", "client": client, "n": n, "noise": noise }).to_string()
}
