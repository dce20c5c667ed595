//! Names that users choose: of sources, routes and handlers.

use std::ops::Range;

use super::context::Context;
use super::diagnostic::Diagnostic;
use super::item::{Entry, Item};

/// The longest name of a source or handler, in bytes. It becomes part of paths, file names and
/// metrics.
const NAME_LENGTH: usize = 100;

/// The longest name of a route, in bytes. It becomes part of headers and metrics.
const ROUTE_LENGTH: usize = 200;

const NAME: &str = "allowed: up to 100 letters, digits, `.`, `_` and `-`, not beginning with `.`";

const ROUTE: &str = "allowed: up to 200 printable ASCII characters without spaces";

fn is_name(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=NAME_LENGTH).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_plain)
}

/// The name of a source or handler as a value; `what` says which.
pub(super) fn name<'a>(item: Item<'a>, what: &str) -> Option<&'a str> {
    check(item.context, item.text()?, item.span(), what)
}

/// The name of a source or handler as a key.
pub(super) fn key<'a>(entry: &Entry<'a>, what: &str) -> Option<&'a str> {
    check(entry.item.context, entry.name, entry.name_span.clone(), what)
}

fn check<'a>(
    context: &Context<'_>,
    name: &'a str,
    span: Range<usize>,
    what: &str,
) -> Option<&'a str> {
    if is_name(name) {
        return Some(name);
    }
    context.report(Diagnostic::error(span, &format!("`{name}` is no name for a {what}"), NAME));
    None
}

/// The name of a route.
pub(super) fn route(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    let printable = text.bytes().all(|b| b.is_ascii_graphic());
    if printable && (1..=ROUTE_LENGTH).contains(&text.len()) {
        return Some(text.to_owned());
    }
    item.wrong(&format!("`{text}` is no name for a route"), ROUTE);
    None
}
