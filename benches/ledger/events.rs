//! Events as senders send them, and a ledger for them.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hookyard::clock::wall_ms;
use hookyard::delivery::{Backlog, Full, Outcome};
use hookyard::event::Event;
use hookyard::ledger::{Attempt, Ledger, Options, Order, Retention, Target};
use hookyard::metrics::Metrics;
use hookyard::verify::{Request, Scheme, Verifier};
use http::{HeaderMap, HeaderValue, Method};

/// The one route.
const ROUTE: &str = "crm";

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Some events of different bodies of 1.5 KB, in which a third is names and the rest is noise.
pub fn events() -> Vec<Event> {
    let verifier = Verifier::new(Scheme::Unsigned, Vec::new()).expect("a verifier");
    let event = |n: u64| {
        let request = Request {
            method: Method::POST,
            target: "/hooks/crm".to_owned(),
            headers: headers(),
            body: Bytes::from(body(n)),
            peer: Ipv4Addr::LOCALHOST.into(),
        };
        let verified = verifier.verify(request, 0).expect("anything is verified");
        Event::new(verified, "crm".into(), "contact.updated".into(), wall_ms(), None)
    };
    (0..256).map(event).collect()
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", "crm-webhooks/1.0"),
        ("x-delivery", "5e7b5c1a-9c1e-4a53-8f3d-0b7d8f0c2f11"),
        ("x-forwarded-proto", "https"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

fn body(n: u64) -> String {
    let mut noise = n;
    let mut body = format!("{{\"tenant\":\"t-{n}\"");
    for field in 0..26 {
        // SplitMix64.
        noise = noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (noise ^ (noise >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let (one, other) = (mixed ^ (mixed >> 31), mixed.rotate_left(17));
        write!(body, ",\"property_{field:02}\":\"{one:016x}{other:016x}\"").expect("memory");
    }
    body + "}"
}

/// A ledger in this folder, as `serve` opens it.
pub fn open(folder: &Path, metrics: &Metrics) -> Ledger {
    let options = Options {
        data: folder.to_owned(),
        dedupe_window: DAY,
        dedupe_memory: 64 << 20,
        min_free: 0,
        retention: Retention { done: 7 * DAY, dead: 30 * DAY, unrouted: DAY, bytes: 10 << 30 },
    };
    Ledger::open(&options, metrics).expect("a ledger")
}

/// The one route takes it.
pub fn target(order: Option<Order>) -> Target {
    let backlog = Backlog { events: u64::MAX, bytes: u64::MAX, full: Full::Refuse };
    Target { route: ROUTE.into(), order, backlog }
}

/// A handler that was quick.
pub fn acked() -> Attempt {
    let (duration, version) = (Duration::from_micros(20), "0123456789abcdef".into());
    Attempt { started_at: wall_ms(), duration, outcome: Outcome::Ack, version, logs: None }
}
