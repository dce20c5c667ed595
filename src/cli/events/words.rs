//! What verbs about events have in common: parts of an answer, fit for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use crate::text::printable;

/// A part that is a text, made harmless; nothing where there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> Cow<'a, str> {
    printable(value.get(name).and_then(Value::as_str).unwrap_or_default())
}

/// A part that is a list; none where there is none.
pub fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A part that is a whole number.
pub fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// An attempt and its log, a line each, indented.
pub fn attempt(attempt: &Value) -> String {
    let mut lines = format!(
        "  attempt {}  {}  took {} ms: {}",
        number(attempt, "n"),
        text(attempt, "started_at"),
        number(attempt, "duration_ms"),
        text(attempt, "outcome"),
    );
    let error = text(attempt, "error");
    if !error.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(lines, ", {error}");
    }
    lines.push('\n');
    for entry in list(attempt, "logs") {
        let _ = writeln!(lines, "    {}: {}", text(entry, "level"), text(entry, "message"));
    }
    lines
}
