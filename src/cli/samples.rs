//! Bodies as the senders post them, with a time and an id of now.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::config::presets;
use crate::source::Source;
use crate::verify::{EventId, Location};

/// The event type of a sample that nobody asked for by name, where the sender has none of its own.
const TEST: &str = "test";

/// A body of one sender.
struct Sample {
    preset: &'static str,
    /// What the types of its events begin with.
    types: &'static [&'static str],
    /// The body, with `<event>`, `<id>` and `<time>` (RFC 3339 without a zone) to be filled in.
    body: &'static str,
}

/// The first row of a sender is its default, and the first of its types is that one's event.
const SAMPLES: &[Sample] = &[
    Sample {
        preset: "hotglue",
        types: &["JOB_COMPLETED", "JOB_", "SYNC_", "ETL_", "EXPORT_"],
        body: include_str!("samples/hotglue-job.json"),
    },
    Sample {
        preset: "hotglue",
        types: &["DISCOVER_"],
        body: include_str!("samples/hotglue-discover.json"),
    },
    Sample {
        preset: "hotglue",
        types: &[""],
        body: include_str!("samples/hotglue-connection.json"),
    },
    Sample {
        preset: "supaglue",
        types: &["sync.complete"],
        body: include_str!("samples/supaglue-sync.json"),
    },
    Sample {
        preset: "supaglue",
        types: &["connection."],
        body: include_str!("samples/supaglue-connection.json"),
    },
    Sample {
        preset: "adyen",
        types: &["AUTHORISATION", ""],
        body: include_str!("samples/adyen-authorisation.json"),
    },
    Sample {
        preset: "dropbox-sign",
        types: &["signature_request_sent", ""],
        body: include_str!("samples/dropbox-sign-event.json"),
    },
    Sample {
        preset: "mandrill",
        types: &["send", ""],
        body: include_str!("samples/mandrill-events.json"),
    },
    Sample { preset: "github", types: &["push"], body: include_str!("samples/github-push.json") },
    Sample { preset: "github", types: &["ping"], body: include_str!("samples/github-ping.json") },
];

/// The type of a source's sample when none is asked for.
pub fn default_event(source: &Source) -> &'static str {
    let own = of(source).find_map(|sample| sample.types.first().copied());
    let row = || source.preset.and_then(presets::find)?.sample.as_deref();
    own.or_else(row).unwrap_or(TEST)
}

/// A body with an event of that type, which happened at `now` (milliseconds since 1970).
pub fn body(source: &Source, event: &str, id: &str, now: u64) -> String {
    let is_of_type = |sample: &&Sample| sample.types.iter().any(|start| event.starts_with(start));
    match of(source).find(is_of_type) {
        Some(sample) => fill(sample.body, event, id, now),
        None => plain(source, event, id, now),
    }
}

fn of(source: &Source) -> impl Iterator<Item = &'static Sample> {
    SAMPLES.iter().filter(|sample| Some(sample.preset) == source.preset)
}

fn fill(template: &str, event: &str, id: &str, now: u64) -> String {
    let quoted = Value::from(event).to_string();
    template
        .replace("<time>", rfc3339(now).trim_end_matches('Z'))
        .replace("<id>", id)
        .replace("\"<event>\"", &quoted)
}

/// An object with type and id where the source looks for them first.
fn plain(source: &Source, event: &str, id: &str, now: u64) -> String {
    let mut body = json!({ "id": id, "timestamp": rfc3339(now), "data": {} });
    let kind = source.event_type.as_ref().and_then(|event_type| event_type.at.first());
    let own = match &source.event_id {
        EventId::At(places) => places.first(),
        EventId::None | EventId::Body => None,
    };
    let places = own.map(|place| (place, id)).into_iter().chain(kind.map(|place| (place, event)));
    for (place, text) in places.flat_map(|(place, text)| parts(place, text)) {
        if let Location::Pointer(pointer) = place {
            pointer.put(&mut body, text);
        }
    }
    body.to_string()
}

/// The single places that a place is made of, and the part of the text at each.
pub fn parts<'a>(place: &'a Location, text: &'a str) -> Vec<(&'a Location, &'a str)> {
    let Location::Joined(places) = place else { return vec![(place, text)] };
    let mut texts = text.splitn(places.len(), '.');
    places.iter().map(|place| (place, texts.next().unwrap_or(text))).collect()
}
