//! The tables `[sources.*]`.

use std::collections::HashMap;
use std::ops::Range;

use http::StatusCode;
use http::uri::{PathAndQuery, Uri};

use crate::network::Networks;
use crate::quota::Bucket;
use crate::source::{EventType, RefusalLog, Reply, Source, Unrouted};
use crate::verify::{EventId, Scheme, Verifier};

use super::diagnostic::Diagnostic;
use super::item::{Entry, Item};
use super::notes::Shape;
use super::presets::{self, Preset};
use super::scheme::{self, Described};
use super::section::Section;
use super::setting::Setting;
use super::{later, names, places, reply, secrets};

const MIB: u64 = 1 << 20;

const BODY_LIMIT: Setting<u64> = Setting::new("body_limit", 25 * MIB, 1, 1_024 * MIB);

const SCHEME: &str = r#"name a preset, or describe one: kind = "hmac" or "none""#;
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
        let Proving { scheme, reply: insisted, failure_status, preset } = proving(source);
        let verifier = verifier(source, scheme);
        let event_type = event_type(source, preset);
        let event_id = event_id(source, preset);
        let allow = source.optional("allow", allow);
        let rate_limit = source.optional("rate_limit", Item::quota).map(Bucket::new);
        let body_limit = source.size(&BODY_LIMIT);
        let reply = source.optional_table("reply", reply::read).or(insisted);
        let unrouted = source.optional("unrouted", unrouted);
        Some(Source {
            name: name?.into(),
            path: path?,
            verifier: verifier?,
            preset: preset.map(|preset| preset.name.as_str()),
            event_type,
            event_id,
            allow,
            rate_limit,
            body_limit: usize::try_from(body_limit).unwrap_or(usize::MAX),
            reply,
            failure_status,
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

/// What a source's `scheme` comes to; without a scheme, it is wrong.
struct Proving {
    scheme: Option<Scheme>,
    /// What the sender insists on.
    reply: Option<Reply>,
    failure_status: StatusCode,
    preset: Option<&'static Preset>,
}

fn proving(source: &mut Section<'_>) -> Proving {
    let public_url = source.optional("public_url", public_url);
    let found = source.required("scheme", SCHEME, |item| {
        let (described, preset) = described(item)?;
        let scheme = Scheme::new(&described.spec, public_url);
        Some((scheme.inspect_err(|error| scheme::report(error, item)).ok(), described, preset))
    });
    let Some((scheme, described, preset)) = found else {
        let failure_status = StatusCode::UNAUTHORIZED;
        return Proving { scheme: None, reply: None, failure_status, preset: None };
    };
    let Described { reply, failure_status, .. } = described;
    Proving { scheme, reply, failure_status, preset }
}

/// The description, and the preset that it comes from.
fn described(item: Item<'_>) -> Option<(Described, Option<&'static Preset>)> {
    item.may_be(Shape::Table);
    if item.value().is_table() {
        return Some((scheme::read(item)?, None));
    }
    let preset = item.choice("preset", &presets::names().collect::<Vec<_>>(), presets::find)?;
    Some((preset.scheme.clone(), Some(preset)))
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
