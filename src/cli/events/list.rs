//! `hookyard events list`.

use std::collections::BTreeSet;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use form_urlencoded::Serializer;
use serde_json::{Value, json};

use super::EVENTS;
use super::words::{list, text};
use crate::cli::answer::{Answer, print_now, say};
use crate::cli::ask::Asked;
use crate::cli::table::pad;
use crate::clock::{millis, wall_ms};
use crate::config::duration;

/// How often `--follow` looks.
const LOOK: Duration = Duration::from_millis(500);

/// How often it is told how far a search is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Events asked for at once while following.
const FOLLOWED: usize = 200;

/// Events whose ids are remembered while following: one that is stored late is still told.
const REMEMBERED: usize = 10_000;

const EXAMPLES: &str = "\
Examples:
  hookyard events list
  hookyard events list --state dead --route hotglue/job-report --since 1h
  hookyard events list --source hotglue --type JOB_FAILED --limit 100 --json
  hookyard events list --follow

With --json it prints {\"items\": [{\"id\", \"source\", \"type\", \"received_at\", \"verified\",
\"duplicates\", \"deliveries\": [{\"route\", \"state\"}]}], \"next\"}, and with --follow an item a line; `next` is the
--before of the next page.";

/// List events, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    filter: Filter,
    /// No more than this many; with --follow, of those that came in before.
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    limit: usize,
    /// Go on from the `next` of an earlier page.
    #[arg(long, value_name = "NEXT")]
    before: Option<u64>,
    /// Print each event as it comes in, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["before", "until"])]
    follow: bool,
}

/// Which events.
#[derive(Debug, clap::Args)]
pub struct Filter {
    /// From this source.
    #[arg(long)]
    source: Option<String>,
    /// Of this event type.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// With a delivery on this route.
    #[arg(long)]
    route: Option<String>,
    /// With a delivery in this state: pending, leased, done, dead or parked; or unrouted.
    #[arg(long, value_parser = PossibleValuesParser::new(STATES), hide_possible_values = true)]
    state: Option<String>,
    /// With a delivery that has this cause, or one that differs in numbers and ids alone.
    #[arg(long)]
    cause: Option<String>,
    /// That came in at this time or later: 2026-01-31T12:00:00Z, or 1h for the last hour.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<u64>,
    /// That came in before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<u64>,
}

const STATES: [&str; 6] = ["pending", "leased", "done", "dead", "parked", "unrouted"];

impl Filter {
    /// Whether it is about deliveries in one state.
    pub fn has_state(&self) -> bool {
        self.state.is_some()
    }

    /// As parameters of a query.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let text = |name, value: &Option<String>| value.clone().map(|value| (name, value));
        let number = |name, value: Option<u64>| value.map(|value| (name, value.to_string()));
        let all = [
            text("source", &self.source),
            text("type", &self.kind),
            text("route", &self.route),
            text("state", &self.state),
            text("cause", &self.cause),
            number("since", self.since),
            number("until", self.until),
        ];
        all.into_iter().flatten().collect()
    }
}

/// A time, or how long ago it was; in milliseconds since 1970.
fn time(text: &str) -> Result<u64, String> {
    if let Ok(ago) = duration(text) {
        return Ok(wall_ms().saturating_sub(millis(ago)));
    }
    let time = text.parse::<jiff::Timestamp>().ok();
    time.and_then(|time| u64::try_from(time.as_millisecond()).ok())
        .ok_or_else(|| "a time is like 2026-01-31T12:00:00Z, or 30m, 1h, 7d ago".to_owned())
}

/// Lists them.
pub fn run(asked: &Asked, args: &Args, as_json: bool) -> Result<Answer> {
    if args.follow {
        return follow(asked, args, as_json);
    }
    let (mut items, mut next) = (Vec::new(), args.before.map(|place| place.to_string()));
    let mut told = Instant::now();
    while items.len() < args.limit {
        let page = page(asked, &args.filter, args.limit - items.len(), next.as_deref())?;
        let found = list(&page, "items");
        // A search may take long: what is found is shown at once.
        if !as_json && !print_now(&found.iter().map(line).collect::<String>())? {
            return Ok(Answer::good(""));
        }
        items.extend(found.iter().cloned());
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        let Some(place) = &next else { break };
        if stderr().is_terminal() && told.elapsed() > TELL_EVERY {
            told = Instant::now();
            say(&format!("{} so far, looking before {place}", items.len()));
        }
    }
    if as_json {
        return Ok(Answer::json(&json!({ "items": items, "next": next }), true));
    }
    Ok(Answer::good(match next {
        _ if items.is_empty() && args.limit > 0 => "no events\n".to_owned(),
        Some(next) => format!("there may be more: --before {next}\n"),
        None => String::new(),
    }))
}

/// One page, before the place `before`.
pub fn page(asked: &Asked, filter: &Filter, limit: usize, before: Option<&str>) -> Result<Value> {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(filter.parameters());
    query.append_pair("limit", &limit.to_string());
    query.extend_pairs(before.map(|place| ("cursor", place)));
    asked.get(EVENTS, &query.finish())
}

/// Prints what is new, until nobody reads it.
fn follow(asked: &Asked, args: &Args, as_json: bool) -> Result<Answer> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut first = true;
    loop {
        let mut new = news(asked, &args.filter, &known, first)?;
        // What was there before is no news, but for the last of it.
        let shown = if first { new.len().min(args.limit) } else { new.len() };
        known.extend(new.iter().map(|event| text(event, "id").into_owned()));
        while known.len() > REMEMBERED {
            known.pop_first();
        }
        new.truncate(shown);
        for event in new.iter().rev() {
            let line = if as_json { format!("{event}\n") } else { line(event) };
            if !print_now(&line)? {
                return Ok(Answer::good(""));
            }
        }
        first = false;
        std::thread::sleep(LOOK);
    }
}

/// The newest events that are not known, newest first. Ids are in order of arrival.
fn news(
    asked: &Asked,
    filter: &Filter,
    known: &BTreeSet<String>,
    only_one_page: bool,
) -> Result<Vec<Value>> {
    let (mut new, mut before) = (Vec::new(), None::<String>);
    loop {
        let page = page(asked, filter, FOLLOWED, before.as_deref())?;
        let items = list(&page, "items");
        let unknown = items.iter().filter(|event| !known.contains(&*text(event, "id")));
        let count = new.len();
        new.extend(unknown.cloned());
        before = page.get("next").and_then(Value::as_str).map(str::to_owned);
        let all_new = new.len() - count == items.len();
        if only_one_page || !all_new || items.is_empty() || before.is_none() {
            return Ok(new);
        }
    }
}

/// An event in a line.
fn line(event: &Value) -> String {
    let deliveries = list(event, "deliveries");
    let state = |one: &Value| format!("{} {}", text(one, "route"), text(one, "state"));
    let deliveries: Vec<String> = deliveries.iter().map(state).collect();
    let deliveries = if deliveries.is_empty() { "unrouted".into() } else { deliveries.join(", ") };
    format!(
        "{}  {}  {}  {}  {deliveries}\n",
        text(event, "received_at"),
        text(event, "id"),
        pad(&text(event, "source"), 10),
        pad(&text(event, "type"), 16),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_point_or_how_long_ago() {
        assert_eq!(time("1970-01-01T00:00:02Z"), Ok(2_000));
        let ago = wall_ms() - time("1h").unwrap();
        assert!((3_600_000..3_660_000).contains(&ago), "{ago}");
        assert!(time("yesterday").unwrap_err().contains("7d ago"));
    }
}
