//! Secrets: where they come from, and how they stay secret.

use std::fmt;

use jiff::Timestamp;

use crate::verify::{Scheme, Secret, Window};

use super::diagnostic::Diagnostic;
use super::item::Item;
use super::section::Section;

/// A secret that is compared as it is, never empty.
#[derive(PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The secret itself: for comparing, never for showing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// One secret that is valid at any time.
pub(super) fn single(item: Item<'_>) -> Option<SecretText> {
    let text = item.section("secret", text)?;
    if text.trim().is_empty() {
        item.wrong("the secret is empty", "");
        return None;
    }
    Some(SecretText(text))
}

/// The secrets of a source; without its scheme they are only looked up.
pub(super) fn list(item: Item<'_>, scheme: Option<&Scheme>) -> Option<Vec<Secret>> {
    let Some(items) = item.list() else {
        item.hide();
        return None;
    };
    let secrets: Vec<_> = items.into_iter().map(|item| timed(item, scheme)).collect();
    let secrets: Vec<Secret> = secrets.into_iter().collect::<Option<_>>()?;
    warn_of_none_in_force(item, &secrets);
    Some(secrets)
}

/// Without a secret in its time every request is refused.
fn warn_of_none_in_force(list: Item<'_>, secrets: &[Secret]) {
    let now = list.context.now;
    if secrets.is_empty() || secrets.iter().any(|secret| secret.window().contains(now)) {
        return;
    }
    let coming = secrets.iter().filter_map(|secret| secret.window().not_before);
    let next = coming.filter(|at| at.saturating_mul(1_000) > now).min();
    let help = match next.and_then(|at| Timestamp::from_second(at).ok()) {
        Some(at) => format!("the next one counts from {at} on"),
        None => "add one that is in force, or move `not_after`".to_owned(),
    };
    let message = "none of these secrets is in its time: every request is refused";
    list.context.report(Diagnostic::warning(list.span(), message, &help));
}

fn timed(item: Item<'_>, scheme: Option<&Scheme>) -> Option<Secret> {
    let (text, window) = item.section("secrets", |secret| {
        let window = window(secret);
        Some((text(secret)?, window))
    })?;
    match scheme?.secret(&text, window) {
        Ok(secret) => Some(secret),
        Err(error) => {
            item.wrong(&error.to_string(), "");
            None
        }
    }
}

fn window(secret: &mut Section<'_>) -> Window {
    let not_before = secret.optional("not_before", Item::date_time);
    let not_after_at = secret.item("not_after");
    let not_after = not_after_at.and_then(Item::date_time);
    if let (Some(from), Some(to), Some(item)) = (not_before, not_after, not_after_at)
        && from > to
    {
        item.wrong("`not_after` is before `not_before`: the secret would never count", "");
    }
    Window {
        not_before: not_before.map(|at| at.as_second()),
        not_after: not_after.map(|at| at.as_second()),
    }
}

/// The text at the one place that the table names.
pub(super) fn text(secret: &mut Section<'_>) -> Option<String> {
    secret.item("value").into_iter().for_each(Item::hide);
    match secret.one_of(&["env", "file", "value"], "")? {
        ("env", item) => from_env(item),
        ("file", item) => from_file(item),
        (_, item) => {
            item.context.note_literal(item.span());
            item.text().map(str::to_owned)
        }
    }
}

fn from_env(item: Item<'_>) -> Option<String> {
    let name = item.text()?;
    let help = "set it in the environment that hookyard starts in";
    let Some(value) = (item.context.env)(name) else {
        item.wrong(&format!("the environment variable `{name}` is not set"), help);
        return None;
    };
    let text = value.into_string();
    if text.is_err() {
        item.wrong(&format!("the environment variable `{name}` is not UTF-8"), "");
    }
    text.ok()
}

/// Editors and `echo` end a file with a line break that is no part of the secret.
fn from_file(item: Item<'_>) -> Option<String> {
    let path = item.path()?;
    item.context.note_file(&path);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Some(line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
        Err(error) => {
            item.wrong(&format!("cannot read `{}`: {error}", path.display()), "");
            None
        }
    }
}
