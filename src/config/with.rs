//! `with`: what a source adds to the description of its scheme, by the names that the scheme gives.

use crate::verify::With;

use super::diagnostic::Diagnostic;
use super::item::{Entry, Item};
use super::notes::Shape;
use super::secrets;
use super::section::Section;
use super::suggest::suggestion;

/// Reads the values of the names that the scheme knows; any other is a mistake.
pub(super) fn read(source: &mut Section<'_>, names: &[&str]) -> With {
    let mut with = With::default();
    let Some(item) = source.item("with") else { return with };
    for entry in item.entries().unwrap_or_default() {
        let values = values(entry.item);
        if !names.contains(&entry.name) {
            unknown(&entry, names);
        } else if let Some(values) = values {
            with.insert(entry.name, values);
        }
    }
    with
}

fn unknown(entry: &Entry<'_>, names: &[&str]) {
    entry.item.hide();
    let help = match names {
        [] => "remove `with`: the scheme of this source takes nothing".to_owned(),
        _ => suggestion(entry.name, names),
    };
    let message = format!("unknown key `{}` in `with`", entry.name);
    entry.item.context.report(Diagnostic::error(entry.name_span.clone(), &message, &help));
}

/// A text, several, `true` or `false`, or a place of a secret.
fn values(item: Item<'_>) -> Option<Vec<String>> {
    for shape in [Shape::Text, Shape::List, Shape::Table, Shape::Boolean] {
        item.may_be(shape);
    }
    if let Some(value) = item.value().as_bool() {
        return Some(vec![value.to_string()]);
    }
    if item.value().is_table() {
        return Some(vec![secrets::single(item)?.expose().to_owned()]);
    }
    let texts = item.owned_texts()?;
    if texts.iter().any(|text| text.trim().is_empty()) {
        item.wrong("an empty text", "");
        return None;
    }
    Some(texts)
}
