//! The tables `[sources.*]`.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use http::uri::PathAndQuery;

use crate::network::Networks;
use crate::quota::Bucket;
use crate::seldom::Seldom;
use crate::source::{EventType, FULL_REST, REFUSAL_REST, Source, Unrouted};
use crate::verify::EventId;

use super::diagnostic::Diagnostic;
use super::item::{Entry, Item};
use super::presets::Preset;
use super::section::Section;
use super::setting::Setting;
use super::{names, places, proving, reply};

const MIB: u64 = 1 << 20;

const BODY_LIMIT: Setting<u64> = Setting::new("body_limit", 25 * MIB, 1, 1_024 * MIB);

/// Reads all sources. Those with mistakes are missing in the result. `data` is where secrets are
/// kept that senders hand over.
pub(super) fn read(entries: Vec<Entry<'_>>, data: &Path) -> Vec<Source> {
    let mut paths = HashMap::new();
    let read = |entry| read_one(entry, &mut paths, data);
    entries.into_iter().filter_map(read).collect()
}

fn read_one(
    entry: Entry<'_>,
    paths: &mut HashMap<String, Range<usize>>,
    data: &Path,
) -> Option<Source> {
    let name = names::key(&entry, "source");
    let section = format!("sources.{}", entry.name);
    entry.item.section(&section, |source| {
        let path = path(source, &entry, paths);
        let proving = proving::read(source, entry.name, data);
        let preset = proving.preset;
        let event_type = event_type(source, preset);
        let event_id = event_id(source, preset);
        let allow = source.optional("allow", allow);
        let rate_limit = source.optional("rate_limit", Item::quota).map(Bucket::new);
        let body_limit = source.size(&BODY_LIMIT);
        let reply = source.optional_table("reply", reply::read).or(proving.reply);
        let unrouted = source.optional("unrouted", unrouted);
        Some(Source {
            name: name?.into(),
            path: path?,
            verifier: proving.verifier?,
            spec: proving.spec?,
            public_url: proving.public_url,
            keys: proving.keys,
            handshakes: proving.handshakes,
            confirm: proving.confirm,
            preset: preset.map(|preset| preset.name.as_str()),
            event_type,
            event_id,
            allow,
            rate_limit,
            body_limit: usize::try_from(body_limit).unwrap_or(usize::MAX),
            reply,
            failure_status: proving.failure_status?,
            unrouted: unrouted.unwrap_or(Unrouted::Keep),
            refusals: Seldom::new(REFUSAL_REST),
            full: Seldom::new(FULL_REST),
        })
    })
}

/// Two sources at one path could not be told apart.
fn path(
    source: &mut Section<'_>,
    entry: &Entry<'_>,
    paths: &mut HashMap<String, Range<usize>>,
) -> Option<String> {
    let (path, at) = match source.item("path") {
        Some(item) => {
            (item.parsed(r#"a path without a query ("/in/acme")"#, plain_path)?, item.span())
        }
        None => (format!("/hooks/{}", entry.name), entry.name_span.clone()),
    };
    if let Some(first) = paths.get(&path) {
        let message = format!("two sources have the path `{path}`");
        let twice = Diagnostic::error(at, &message, "give each source its own `path`");
        source.context.report(twice.related(first.clone(), "the first"));
        return None;
    }
    paths.insert(path.clone(), at);
    Some(path)
}

/// A path as it stands in a request, and nothing behind it.
fn plain_path(text: &str) -> Option<String> {
    let parsed: PathAndQuery = text.parse().ok()?;
    let is_plain = text.starts_with('/') && text.is_ascii() && parsed.path() == text;
    is_plain.then(|| text.to_owned())
}

fn event_type(source: &mut Section<'_>, preset: Option<&Preset>) -> Option<EventType> {
    match source.item("event_type") {
        Some(item) => Some(places::event_type(item)),
        None => {
            let at = preset?.event_type.clone();
            (!at.is_empty()).then_some(EventType { at, required: false })
        }
    }
}

fn event_id(source: &mut Section<'_>, preset: Option<&Preset>) -> EventId {
    let described = source.optional("event_id", places::event_id);
    described.unwrap_or_else(|| preset.map_or(EventId::None, |preset| preset.event_id.clone()))
}

/// An empty list would let nobody in.
fn allow(item: Item<'_>) -> Option<Networks> {
    if item.value().as_array().is_some_and(|list| list.is_empty()) {
        item.wrong("`allow` is empty: nobody could send", "remove it to allow any address");
        return None;
    }
    item.networks()
}

fn unrouted(item: Item<'_>) -> Option<Unrouted> {
    item.choice("choice", &["keep", "drop"], |name| match name {
        "keep" => Some(Unrouted::Keep),
        "drop" => Some(Unrouted::Drop),
        _ => None,
    })
}
