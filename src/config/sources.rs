//! The tables `[sources.*]`.

use std::collections::HashMap;
use std::ops::Range;

use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, StatusCode};

use crate::network::Networks;
use crate::pointer::Pointer;
use crate::quota::Bucket;
use crate::source::{EventType, RefusalLog, Reply, Source, Unrouted};
use crate::verify::presets::{self, Preset};
use crate::verify::{EventId, Location, Scheme, Verifier};

use super::diagnostic::Diagnostic;
use super::item::{Entry, Item};
use super::section::Section;
use super::setting::Setting;
use super::{later, names, scheme, secrets};

const MIB: u64 = 1 << 20;

const BODY_LIMIT: Setting<u64> = Setting::new("body_limit", 25 * MIB, 1, 1_024 * MIB);
/// A sender takes anything else for a failure.
const STATUS: Setting<u32> = Setting::new("status", 200, 200, 299);

const SECRETS: &str = r#"secrets = [{ env = "NAME" }], with `file` or `value` as other places"#;

/// Reads all sources. Those with mistakes are missing in the result.
pub(super) fn read(entries: Vec<Entry<'_>>) -> Vec<Source> {
    let mut paths = HashMap::new();
    let read = |entry| read_one(entry, &mut paths);
    entries.into_iter().filter_map(read).collect()
}

fn read_one(entry: Entry<'_>, paths: &mut HashMap<String, Range<usize>>) -> Option<Source> {
    let name = names::key(&entry, "source");
    let section = format!("sources.{}", entry.name);
    entry.item.section(&section, later::SOURCE, |source| {
        let path = path(source, &entry, paths);
        let (scheme, preset) = scheme(source).unzip();
        let preset = preset.flatten();
        let verifier = verifier(source, scheme);
        let event_type = event_type(source, preset);
        let event_id = event_id(source, preset);
        let allow = source.optional("allow", allow);
        let rate_limit = source.optional("rate_limit", Item::quota).map(Bucket::new);
        let body_limit = source.size(&BODY_LIMIT);
        let reply = source.optional_table("reply", reply);
        let unrouted = source.optional("unrouted", unrouted);
        Some(Source {
            name: name?.into(),
            path: path?,
            verifier: verifier?,
            preset,
            event_type,
            event_id,
            allow,
            rate_limit,
            body_limit: usize::try_from(body_limit).unwrap_or(usize::MAX),
            reply,
            unrouted: unrouted.unwrap_or(Unrouted::Keep),
            refusals: RefusalLog::default(),
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

/// The scheme, and the preset that it comes from.
fn scheme(source: &mut Section<'_>) -> Option<(Scheme, Option<&'static Preset>)> {
    let public_url = source.optional("public_url", public_url);
    source.required(
        "scheme",
        r#"name a preset, or describe one: kind = "hmac" or "none""#,
        |item| {
            if item.value().is_table() {
                return scheme::read(item, public_url).map(|scheme| (scheme, None));
            }
            let preset =
                item.choice("preset", &presets::names().collect::<Vec<_>>(), presets::find)?;
            let scheme = preset.scheme(public_url);
            let scheme = scheme.inspect_err(|error| scheme::report(error, item)).ok()?;
            Some((scheme, Some(preset)))
        },
    )
}

fn public_url(item: Item<'_>) -> Option<&str> {
    let what = r#"the URL that the sender posts to ("https://hooks.example.com/in/acme")"#;
    item.parsed(what, |text| {
        let url: Uri = text.parse().ok()?;
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        (is_http && url.query().is_none() && !text.contains('#')).then_some(text)
    })
}

/// The secrets, bound to the scheme. Without the scheme they are looked up all the same, so that
/// their mistakes are found too.
fn verifier(source: &mut Section<'_>, scheme: Option<Scheme>) -> Option<Verifier> {
    let secrets_at = source.item("secrets");
    let secrets = match secrets_at {
        Some(item) => secrets::list(item, scheme.as_ref()),
        None => Some(Vec::new()),
    };
    let verifier = Verifier::new(scheme?, secrets?);
    verifier
        .inspect_err(|error| match secrets_at {
            Some(item) => item.wrong(&error.to_string(), SECRETS),
            None => source.wrong(&error.to_string(), SECRETS),
        })
        .ok()
}

fn event_type(source: &mut Section<'_>, preset: Option<&Preset>) -> Option<EventType> {
    let Some(item) = source.item("event_type") else {
        let at = preset?.event_type.to_vec();
        return Some(EventType { at, required: false });
    };
    let mut required = false;
    let mut at = Vec::new();
    for item in item.one_or_more() {
        at.extend(item.section("event_type", &[], |place| {
            required |= place.optional("required", Item::boolean).unwrap_or(false);
            location(place)
        }));
    }
    Some(EventType { at, required })
}

fn event_id(source: &mut Section<'_>, preset: Option<&Preset>) -> EventId {
    match source.optional_table("event_id", location) {
        Some(location) => EventId::At(vec![location]),
        None => preset.map_or(EventId::None, |preset| preset.event_id.clone()),
    }
}

fn location(place: &mut Section<'_>) -> Option<Location> {
    match place.one_of(&["pointer", "header"])? {
        ("header", item) => {
            let name = item.parsed("the name of a header", |text| text.parse::<HeaderName>().ok());
            name.map(Location::Header)
        }
        (_, item) => {
            let text = item.text()?;
            let pointer = Pointer::parse(text);
            let report = |error: &_| {
                item.wrong(&format!("`{text}` is no JSON pointer"), &format!("{error}"))
            };
            pointer.inspect_err(report).ok().map(Location::Pointer)
        }
    }
}

/// An empty list would let nobody in.
fn allow(item: Item<'_>) -> Option<Networks> {
    if item.value().as_array().is_some_and(|list| list.is_empty()) {
        item.wrong("`allow` is empty: nobody could send", "remove it to allow any address");
        return None;
    }
    item.networks()
}

fn reply(reply: &mut Section<'_>) -> Option<Reply> {
    let status = u16::try_from(reply.count(&STATUS)).ok()?;
    Some(Reply {
        status: StatusCode::from_u16(status).ok()?,
        body: reply.optional("body", Item::text).unwrap_or_default().to_owned().into(),
    })
}

fn unrouted(item: Item<'_>) -> Option<Unrouted> {
    item.choice("choice", &["keep", "drop"], |name| match name {
        "keep" => Some(Unrouted::Keep),
        "drop" => Some(Unrouted::Drop),
        _ => None,
    })
}
