//! Providers that need nothing but a secret. Each is a piece of router.toml that hookyard ships,
//! read by the code that reads the user's own.

use std::path::Path;
use std::sync::LazyLock;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::verify::{EventId, Location};

use super::context::Context;
use super::diagnostic::Diagnostic;
use super::item::{Entry, Item};
use super::scheme::{self, Described};
use super::{places, syntax};

/// The rows, by what is signed.
const ROWS: &str = concat!(
    include_str!("presets/body-hex.toml"),
    include_str!("presets/body-prefix.toml"),
    include_str!("presets/body-base64.toml"),
    include_str!("presets/standard.toml"),
    include_str!("presets/time-field.toml"),
    include_str!("presets/time-header.toml"),
    include_str!("presets/url.toml"),
    include_str!("presets/key.toml"),
    include_str!("presets/token.toml"),
    include_str!("presets/code.toml"),
    include_str!("presets/jws.toml"),
);

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let (mut presets, _) = read(ROWS);
    presets.sort_by(|a, b| a.name.cmp(&b.name));
    presets
});

/// What a preset's correctness rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The provider's documentation; it publishes no example to check against.
    Docs,
    /// Examples that the provider or its libraries publish.
    Vectors,
    /// Examples of others who receive from it.
    ThirdParty,
}

/// How one provider signs, names its events, and wants to be answered.
#[derive(Debug)]
pub struct Preset {
    pub name: String,
    pub title: String,
    pub scheme: Described,
    /// The first of these that a request has is its event type.
    pub event_type: Vec<Location>,
    pub event_id: EventId,
    pub proof: Proof,
    /// Where the provider's webhook is set up, and which secret is meant.
    pub setup: String,
    /// An event type that it sends, for `send`.
    pub sample: Option<String>,
    /// The keys of `[sources.*]` that describe the same, a line each.
    pub text: String,
}

impl Proof {
    const NAMES: [&str; 3] = ["docs", "vectors", "third-party"];

    /// Its name in lists.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Docs => "docs",
            Self::Vectors => "vectors",
            Self::ThirdParty => "third-party",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "docs" => Some(Self::Docs),
            "vectors" => Some(Self::Vectors),
            "third-party" => Some(Self::ThirdParty),
            _ => None,
        }
    }
}

#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// All of them, sorted by name.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    PRESETS.iter()
}

/// All names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|preset| preset.name.as_str())
}

/// Reads a table of rows. What is wrong with them, a test finds.
fn read(text: &str) -> (Vec<Preset>, Vec<Diagnostic>) {
    let context = Context::new(Path::new(""), &|_| None, 0);
    let (document, errors) = DeTable::parse_recoverable(text);
    syntax::report(&context, text, errors);
    let rows = DeValue::Table(document.into_inner());
    let rows = Spanned::new(0..text.len(), rows);
    let rows = Item::new(&context, &rows);
    let entries = rows.entries().unwrap_or_default().into_iter();
    let presets = entries.filter_map(|entry| row(&entry, rows, text)).collect();
    (presets, context.finish().0)
}

fn row(entry: &Entry<'_>, rows: Item<'_>, text: &str) -> Option<Preset> {
    entry.item.section(entry.name, |row| {
        let title = row.required("title", "", Item::owned);
        let scheme = row.required("scheme", "", |item| Some(described_by(item, rows)));
        let event_type = row.item("event_type");
        let event_id = row.item("event_id");
        let proof =
            row.required("proof", "", |item| item.choice("proof", &Proof::NAMES, Proof::from_name));
        let setup = row.required("setup", "", Item::owned);
        let sample = row.optional("sample", Item::owned);
        let keys = [("scheme", scheme), ("event_type", event_type), ("event_id", event_id)];
        Some(Preset {
            name: entry.name.to_owned(),
            title: title?,
            scheme: scheme::read(scheme?)?,
            event_type: event_type.map_or_else(Vec::new, |item| places::event_type(item).at),
            event_id: event_id.map_or(Some(EventId::None), places::event_id)?,
            proof: proof?,
            setup: setup?,
            sample,
            text: keys.iter().filter_map(|(key, item)| Some(line(key, (*item)?, text))).collect(),
        })
    })
}

/// A row's scheme, or that of the row which it names.
fn described_by<'a>(item: Item<'a>, rows: Item<'a>) -> Item<'a> {
    match item.value().as_str() {
        Some(name) => rows.find(name).find("scheme"),
        None => item,
    }
}

fn line(key: &str, item: Item<'_>, text: &str) -> String {
    format!("{key} = {}\n", text.get(item.span()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
