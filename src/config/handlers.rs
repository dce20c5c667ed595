//! The tables `[handlers.*]`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use crate::effects::Grants;
use crate::handler::{Hash, Limits, STACKS, Settings};

use super::diagnostic::Diagnostic;
use super::item::{Entry, Item};
use super::section::Section;
use super::server::Ceilings;
use super::setting::Setting;
use super::units::ShowSize;
use super::{egress, names};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const CPU: Setting<Duration> = Setting::new(
    "cpu",
    Duration::from_secs(1),
    Duration::from_millis(1),
    Duration::from_secs(3_600),
);
/// A page of WebAssembly is 64 KiB.
const MEMORY: Setting<u64> = Setting::new("memory", 128 * MIB, 64 * KIB, 4_096 * MIB);
/// Bytes of keys and values that a handler's state may hold.
const STATE: Setting<u64> = Setting::new("bytes", 16 * MIB, KIB, 1_024 * MIB);
/// The longest event type that can be granted, in bytes.
const TYPE_LENGTH: usize = 200;
/// A command prints its reply in base64, within 4 MiB.
const REPLY_BYTES: Setting<u64> = Setting::new("reply_bytes", MIB, 0, 2 * MIB);
/// Bytes of a guest's stack.
const STACK: usize = 512 << 10;
const LOG_BYTES: Setting<u64> = Setting::new("log_bytes", 64 * KIB, 0, MIB);

/// The handlers that have a table, and those that only a route names; and the settings of any
/// other.
pub(super) fn read(
    root: &mut Section<'_>,
    ceilings: Ceilings,
    named: &BTreeSet<String>,
) -> (BTreeMap<String, Settings>, Settings) {
    let without_table = Section::absent(root.context, |handler| read_one(handler, ceilings));
    let mut handlers: BTreeMap<_, _> =
        named.iter().map(|name| (name.clone(), without_table.clone())).collect();
    for entry in root.optional("handlers", Item::entries).unwrap_or_default() {
        let name = names::key(&entry, "handler");
        let section = format!("handlers.{}", entry.name);
        let read = |handler: &mut Section<'_>| Some(read_one(handler, ceilings));
        let handler = entry.item.section(&section, read);
        if name.is_some_and(|name| !named.contains(name)) {
            warn_of_unused(&entry);
        }
        if let (Some(name), Some(handler)) = (name, handler) {
            handlers.insert(name.to_owned(), handler);
        }
    }
    (handlers, without_table)
}

fn read_one(handler: &mut Section<'_>, ceilings: Ceilings) -> Settings {
    let cpu = handler.duration(&CPU.under(ceilings.cpu, "server.ceilings.cpu"));
    let memory = handler.size(&MEMORY.under(ceilings.memory, "server.ceilings.memory"));
    let stack = handler.optional("stack", stack).unwrap_or(STACK);
    let reply_bytes = handler.size(&REPLY_BYTES);
    let log_bytes = handler.size(&LOG_BYTES);
    let limits = Limits {
        cpu,
        memory: usize::try_from(memory).unwrap_or(usize::MAX),
        stack,
        reply_bytes: usize::try_from(reply_bytes).unwrap_or(usize::MAX),
        log_bytes: usize::try_from(log_bytes).unwrap_or(usize::MAX),
    };
    let config = handler.optional("config", config).unwrap_or_default();
    let reach = egress::read(handler);
    let secrets = handler.optional("secrets", |item| egress::secrets(item, &config, &reach));
    let state = handler.optional_table("state", |state| Some(state.size(&STATE)));
    let emit = handler.optional("emit", event_types).unwrap_or_default();
    Settings {
        limits,
        pins: handler.optional("sha256", pins).unwrap_or_default(),
        reach,
        secrets: secrets.unwrap_or_default(),
        config: Arc::new(config),
        grants: Arc::new(Grants { state, emit }),
    }
}

fn warn_of_unused(entry: &Entry<'_>) {
    let message = format!("no route names the handler `{}`", entry.name);
    let help = format!("a route would say: handler = \"{}\"", entry.name);
    let span = entry.name_span.clone();
    entry.item.context.report(Diagnostic::warning(span, &message, &help));
}

fn config(item: Item<'_>) -> Option<BTreeMap<String, String>> {
    let entries = item.entries()?.into_iter();
    let texts = entries.filter_map(|entry| Some((entry.name.to_owned(), text(entry.item)?)));
    Some(texts.collect())
}

/// One of the sizes that a stack may have.
fn stack(item: Item<'_>) -> Option<usize> {
    let found = item.size()?;
    let stack = STACKS.into_iter().find(|size| *size as u64 == found);
    if stack.is_none() {
        let sizes = STACKS.map(|size| ShowSize(size as u64).to_string()).join(", ");
        let message = format!("`stack` is {}, which is none of its sizes", ShowSize(found));
        item.wrong(&message, &format!("allowed: {sizes}"));
    }
    stack
}

/// The SHA-256 of each file that may be run.
fn pins(item: Item<'_>) -> Option<BTreeSet<Hash>> {
    let pin = |item: Item<'_>| {
        item.parsed("a SHA-256 in 64 hex digits, as `sha256sum` prints it", |text| {
            hex::decode(text).ok()?.try_into().ok()
        })
    };
    Some(item.list()?.into_iter().filter_map(pin).collect())
}

/// The event types that a handler may emit.
fn event_types(item: Item<'_>) -> Option<BTreeSet<String>> {
    Some(item.list()?.into_iter().filter_map(event_type).collect())
}

fn event_type(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    let is_glob = text.contains(['*', '?', '[', '{']);
    if is_glob || text.chars().any(char::is_control) || !(1..=TYPE_LENGTH).contains(&text.len()) {
        let message = format!("`{text}` is no event type that can be granted");
        let help =
            "name each type: up to 200 bytes, without `*`, `?`, `[`, `{` and control characters";
        item.wrong(&message, help);
        return None;
    }
    Some(text.to_owned())
}

fn text(item: Item<'_>) -> Option<String> {
    match item.value() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => {
            item.mismatch("a string, a number or a boolean");
            None
        }
    }
}
