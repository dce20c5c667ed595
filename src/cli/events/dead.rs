//! `hookyard events dead`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};

use anyhow::Result;
use serde_json::{Value, json};

use super::DEAD_LETTERS;
use super::words::{list, number, text};
use crate::cli::answer::{Answer, say};
use crate::cli::ask::Asked;
use crate::cli::table::{columns, cut};

/// Characters of a cause that are shown.
const CAUSE: usize = 60;

/// Groups that people are shown.
const GROUPS: usize = 50;

const EXAMPLES: &str = "\
Examples:
  hookyard events dead
  hookyard events dead --json

With --json it prints [{\"route\", \"cause\", \"count\", \"first\", \"last\", \"example\"}]; first and last are
times of last attempts, or of arrival where none was made, and example is the newest event's id.";

/// Show dead letters, grouped by route and cause.
///
/// Causes that differ in numbers and ids alone are one group, and `…` stands for what differs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Groups them.
pub fn run(asked: &Asked, as_json: bool) -> Result<Answer> {
    let groups = all(asked)?;
    if as_json {
        return Ok(Answer::json(&json!(groups), true));
    }
    let Some(largest) = groups.first() else { return Ok(Answer::good("no dead letters\n")) };
    let head = ["COUNT", "ROUTE", "CAUSE", "FIRST", "LAST", "EXAMPLE"].map(str::to_owned);
    let rows = groups.iter().take(GROUPS).map(|group| {
        [
            number(group, "count").to_string(),
            text(group, "route").into_owned(),
            cut(&text(group, "cause"), CAUSE),
            text(group, "first").into_owned(),
            text(group, "last").into_owned(),
            text(group, "example").into_owned(),
        ]
    });
    let mut shown = columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
    if groups.len() > GROUPS {
        shown += &format!("and {} groups more: --json has all\n", groups.len() - GROUPS);
    }
    shown += &format!("\nhookyard events why {}\n", text(largest, "example"));
    let [route, cause] = ["route", "cause"].map(|part| quoted(&text(largest, part)));
    shown += &format!("hookyard replay --route {route} --cause {cause} --dry-run\n");
    Ok(Answer::good(shown))
}

/// A word of a command line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// All groups, the largest first. Each answer is about some of the letters, newest first.
fn all(asked: &Asked) -> Result<Vec<Value>> {
    let mut groups: BTreeMap<(String, String), Value> = BTreeMap::new();
    let (mut query, mut counted) = (String::new(), 0);
    loop {
        let some = asked.get(DEAD_LETTERS, &query)?;
        for group in list(&some, "items") {
            counted += number(group, "count");
            let part = |name: &str| group[name].as_str().unwrap_or_default().to_owned();
            let merged = groups.entry((part("route"), part("cause")));
            merged.and_modify(|known| merge(known, group)).or_insert_with(|| group.clone());
        }
        match some.get("next").and_then(Value::as_str) {
            Some(next) => query = format!("cursor={next}"),
            None => break,
        }
        if stderr().is_terminal() {
            say(&format!("{counted} dead letters so far"));
        }
    }
    let mut groups: Vec<Value> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(number(group, "count")));
    Ok(groups)
}

/// Adds older letters of the same group. Times as they are written are in the order of time.
fn merge(known: &mut Value, older: &Value) {
    known["count"] = (number(known, "count") + number(older, "count")).into();
    if older["first"].as_str() < known["first"].as_str() {
        known["first"] = older["first"].clone();
    }
    if older["last"].as_str() > known["last"].as_str() {
        known["last"] = older["last"].clone();
    }
}
