//! What is told of a shadow run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::difference::{Came, Part};
use crate::cli::table::columns;
use crate::event::EventId;

/// Differences that are shown in full.
const SHOWN: usize = 5;

/// The columns of the counts.
const TITLES: [&str; 4] = ["COUNT", "HAPPENED", "CANDIDATE", "DIFFERS IN"];

/// A delivery that both made an attempt of.
pub struct Found {
    /// The event.
    pub event: EventId,
    /// The route.
    pub route: String,
    /// In what the attempts differ, if they do.
    pub parts: Vec<Part>,
    /// What happened.
    pub happened: Came,
    /// What the candidate made of it.
    pub candidate: Came,
}

/// What is told at the end.
#[derive(Default)]
pub struct Report {
    same: u64,
    different: u64,
    /// Deliveries on routes that router.toml has no more or that forward, and events that were removed.
    skipped: u64,
    /// The limit left some out.
    more: bool,
    kinds: BTreeMap<(String, String, Vec<Part>), u64>,
    first: Vec<Found>,
}

impl Report {
    /// A report in the making; with `more`, on a part of what was asked for.
    pub fn new(more: bool) -> Self {
        Self { more, ..Self::default() }
    }

    /// How many differ so far.
    pub fn different(&self) -> u64 {
        self.different
    }

    /// There is nothing to compare with.
    pub fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Takes note of two attempts.
    pub fn add(&mut self, found: Found) {
        if found.parts.is_empty() {
            self.same += 1;
            return;
        }
        self.different += 1;
        let names = [&found.happened, &found.candidate].map(|came| came.outcome.to_string());
        let [happened, candidate] = names;
        *self.kinds.entry((happened, candidate, found.parts.clone())).or_default() += 1;
        if self.first.len() < SHOWN {
            self.first.push(found);
        }
    }

    /// The kinds of differences, the most frequent first.
    fn kinds(&self) -> Vec<(&str, &str, Vec<&'static str>, u64)> {
        let mut kinds = Vec::new();
        for ((happened, candidate, parts), count) in &self.kinds {
            kinds.push((happened.as_str(), candidate.as_str(), names(parts), *count));
        }
        kinds.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        kinds
    }

    /// For people.
    pub fn shown(&self) -> String {
        let Self { same, different, skipped, .. } = self;
        let compared = same + different;
        if compared + skipped == 0 {
            return "nothing matches: dead and done deliveries do, unless --state says otherwise\n"
                .to_owned();
        }
        let mut text = format!("{compared} compared: {same} as before, {different} different\n");
        if *skipped > 0 {
            text += &format!(
                "{skipped} left out: their events or routes are gone, or they are forwarded\n"
            );
        }
        if self.more {
            text += "there are more: --limit\n";
        }
        if *different > 0 {
            let mut rows = vec![TITLES.map(str::to_owned)];
            rows.extend(self.kinds().into_iter().map(|(happened, candidate, parts, count)| {
                [count.to_string(), happened.to_owned(), candidate.to_owned(), parts.join(", ")]
            }));
            text += &format!("\n{}", columns(&rows));
        }
        for found in &self.first {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{} on {}", found.event, found.route);
            for (title, came) in [("happened", &found.happened), ("candidate", &found.candidate)] {
                for (n, line) in came.lines().into_iter().enumerate() {
                    let title = if n == 0 { title } else { "" };
                    let _ = writeln!(text, "  {title:9}  {line}");
                }
            }
        }
        text
    }

    /// For programs.
    pub fn as_json(&self, file: &Path) -> Value {
        let kinds: Vec<Value> = self.kinds().into_iter().map(|(happened, candidate, parts, count)| {
            json!({ "happened": happened, "candidate": candidate, "differs": parts, "count": count })
        }).collect();
        let first: Vec<Value> = self
            .first
            .iter()
            .map(|found| {
                json!({
                    "event": found.event.to_string(),
                    "route": found.route,
                    "differs": names(&found.parts),
                    "happened": found.happened.as_json(),
                    "candidate": found.candidate.as_json(),
                })
            })
            .collect();
        json!({
            "candidate": file.display().to_string(),
            "compared": self.same + self.different,
            "same": self.same,
            "different": self.different,
            "skipped": self.skipped,
            "more": self.more,
            "kinds": kinds,
            "first": first,
        })
    }
}

fn names(parts: &[Part]) -> Vec<&'static str> {
    parts.iter().map(|part| part.name()).collect()
}
