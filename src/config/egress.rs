//! What a table `[handlers.*]` lets its handler reach, and the secrets that it takes there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::handler::{BadPattern, Hosts, Pattern, Reach, Secret, Use};

use super::diagnostic::Diagnostic;
use super::item::{Entry, Item};
use super::secrets;
use super::section::Section;
use super::setting::Setting;

const CALLS: Setting<u32> = Setting::new("egress_calls", 8, 0, 1_000);

const HOSTS: &str = r#"write hosts = ["api.example.com"] or ["*.example.com"]"#;

/// The keys `egress…` of a handler.
pub(super) fn read(handler: &mut Section<'_>) -> Reach {
    Reach {
        egress: handler.optional("egress", patterns).unwrap_or_default(),
        private: handler.optional("egress_private", ranges).unwrap_or_default(),
        calls: handler.count(&CALLS),
    }
}

fn patterns(item: Item<'_>) -> Option<Vec<Pattern>> {
    Some(item.list()?.into_iter().filter_map(pattern).collect())
}

fn pattern(item: Item<'_>) -> Option<Pattern> {
    let text = item.text()?;
    match Pattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(bad) => {
            let message = format!("`{text}` is nothing that requests can be sent to: {bad}");
            item.wrong(&message, &cure(text, bad));
            None
        }
    }
}

/// What was probably meant.
fn cure(text: &str, bad: BadPattern) -> String {
    let good = |text: &str| Pattern::parse(text).ok();
    let meant = match bad {
        BadPattern::Scheme => good(&format!("https://{text}")),
        BadPattern::More => {
            let end = text.find("://").map_or(0, |at| at + "://".len());
            let host = text.get(end..).and_then(|rest| rest.find(['/', '?', '#']));
            host.and_then(|length| good(text.get(..end + length)?))
        }
        BadPattern::Host | BadPattern::Port => None,
    };
    match meant {
        Some(pattern) => format!("write \"{pattern}\""),
        None => r#"write "https://api.example.com", "https://*.example.com" or "https://api.example.com:8443""#.to_owned(),
    }
}

pub(super) fn ranges(item: Item<'_>) -> Option<Vec<IpNet>> {
    Some(item.list()?.into_iter().filter_map(range).collect())
}

fn range(item: Item<'_>) -> Option<IpNet> {
    let text = item.text()?;
    let message = format!("`{text}` is no range of addresses");
    let meant = match text.parse::<IpNet>() {
        Ok(range) if range == range.trunc() => return Some(range),
        Ok(range) => range.trunc().to_string(),
        Err(_) => match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address).to_string(),
            Err(_) => "10.0.0.0/8".to_owned(),
        },
    };
    item.wrong(&message, &format!("write \"{meant}\""));
    None
}

/// The key `secrets` of a handler. Names that are in its `config` already are mistakes.
pub(super) fn secrets(
    item: Item<'_>,
    config: &BTreeMap<String, String>,
    reach: &Reach,
) -> Option<BTreeMap<String, Secret>> {
    let entries = item.entries()?.into_iter();
    Some(entries.filter_map(|entry| secret(&entry, config, reach)).collect())
}

fn secret(
    entry: &Entry<'_>,
    config: &BTreeMap<String, String>,
    reach: &Reach,
) -> Option<(String, Secret)> {
    let (name, item) = (entry.name, entry.item);
    if config.contains_key(name) {
        item.wrong(
            &format!("`config` has a `{name}` too"),
            "the handler reads both there: rename one",
        );
    }
    let (value, used) = item.section(&format!("secrets.{name}"), |secret| {
        let used = used(secret, reach);
        Some((secrets::text(secret)?, used?))
    })?;
    if value.trim().is_empty() {
        item.wrong("the secret is empty", "");
        return None;
    }
    let secret = Secret::new(value, used);
    if secret.is_none() {
        item.wrong(
            "no header can hold the secret: it has a line break or another control character",
            "",
        );
    }
    Some((name.to_owned(), secret?))
}

fn used(secret: &mut Section<'_>, reach: &Reach) -> Option<Use> {
    let exposed = secret.optional("expose", Item::boolean).unwrap_or_default();
    match (secret.item("hosts"), exposed) {
        (None, true) => Some(Use::Exposed),
        (Some(item), false) => hosts(item, reach).map(Use::Towards),
        (Some(item), true) => {
            item.wrong(
                "the handler reads the secret itself: it may go anywhere",
                "remove `hosts` or `expose`",
            );
            None
        }
        (None, false) => {
            let help = format!("{HOSTS}, or expose = true if it has to read the secret itself");
            secret.wrong("the secret has no `hosts` that it may go to", &help);
            None
        }
    }
}

fn hosts(item: Item<'_>, reach: &Reach) -> Option<Vec<Hosts>> {
    let items = item.list()?;
    if items.is_empty() {
        item.wrong("the secret may go nowhere", HOSTS);
        return None;
    }
    let hosts: Vec<_> = items.into_iter().map(|item| host(item, reach)).collect();
    hosts.into_iter().collect()
}

fn host(item: Item<'_>, reach: &Reach) -> Option<Hosts> {
    let text = item.text()?;
    let Some(hosts) = Hosts::parse(text) else {
        item.wrong(&format!("`{text}` is no host"), HOSTS);
        return None;
    };
    if !reach.meets(&hosts) {
        let message = format!("no `egress` leads to `{hosts}`: the secret is never sent there");
        let help = format!("add \"https://{hosts}\" to `egress`");
        item.context.report(Diagnostic::warning(item.span(), &message, &help));
    }
    Some(hosts)
}
