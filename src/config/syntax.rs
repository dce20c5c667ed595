//! What is wrong with a file that is no TOML.

use std::ops::Range;

use toml::de::Error;

use super::context::Context;
use super::diagnostic::Diagnostic;
use super::suggest::mentions_secret;

/// How the parser's message begins for a key that is given twice.
const DUPLICATE: &str = "duplicate key";

/// Whether what was read is whole but for keys given twice, so that a closer look is worth it.
pub(super) fn only_duplicates(errors: &[Error]) -> bool {
    errors.iter().all(|error| error.message().starts_with(DUPLICATE))
}

/// Reports the first error of each line: those that follow it there are mostly its echo.
pub(super) fn report(context: &Context<'_>, text: &str, mut errors: Vec<Error>) {
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut reported = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = line_of(text, span.start);
        if reported.replace(line.start) == Some(line.start) {
            continue;
        }
        context.report(Diagnostic::error(span.clone(), &message(&error, text, span), ""));
        hide_secrets(context, text, line);
    }
}

/// The parser's words, with the key that it only points at.
fn message(error: &Error, text: &str, span: Range<usize>) -> String {
    match error.message().strip_prefix(DUPLICATE) {
        Some(_) => format!("{DUPLICATE} `{}`", text.get(span).unwrap_or_default()),
        None => error.message().trim_end_matches(", expected nothing").to_owned(),
    }
}

/// Without its structure nobody can say what in the file is a secret: of a statement that looks as
/// if it held one, only its key is shown.
fn hide_secrets(context: &Context<'_>, text: &str, line: Range<usize>) {
    let start = statement_of(text, line.start);
    let statement = text.get(start..line.end).unwrap_or_default();
    if mentions_secret(statement) {
        let value = statement.find('=').map_or(start, |at| start + at + 1);
        context.hide(value..line.end);
    }
}

/// Where the statement begins that the line at `at` belongs to.
fn statement_of(text: &str, at: usize) -> usize {
    let mut line = line_of(text, at);
    while line.start > 0 && !begins_statement(text.get(line.clone()).unwrap_or_default()) {
        line = line_of(text, line.start - 1);
    }
    line.start
}

fn begins_statement(line: &str) -> bool {
    let is_key = |c: char| c.is_alphanumeric() || "_-.\"' \t".contains(c);
    let key = line.split_once('=').map(|(key, _)| key.trim());
    line.starts_with('[') || key.is_some_and(|key| !key.is_empty() && key.chars().all(is_key))
}

/// The line at `at`, without its end.
fn line_of(text: &str, at: usize) -> Range<usize> {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let rest = text.get(start..).unwrap_or_default();
    start..start + rest.find('\n').unwrap_or(rest.len())
}
