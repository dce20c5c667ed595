//! `hookyard events why`.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::Value;

use super::words::{attempt, list, number, text};
use super::{EVENTS, event_id};
use crate::cli::answer::Answer;
use crate::cli::ask::Asked;
use crate::cli::table::columns;
use crate::event::EventId;

/// Attempts that are shown of a delivery: the last ones.
const ATTEMPTS: usize = 5;

/// The states of deliveries that somebody may have to look at.
const TROUBLE: [&str; 3] = ["dead", "parked", "pending"];

const EXAMPLES: &str = "\
Examples:
  hookyard events why
  hookyard events why evt_01M8143EMWMKEWMR0000000001
  hookyard events why evt_01M8143EMWMKEWMR0000000001 --json

With --json it prints {\"id\", \"source\", \"type\", \"received_at\", \"duplicates\", \"verified\", \"proof\",
\"typed\", \"routes\": [{\"route\", \"verdict\", \"reason\", \"delivered\"}], \"deliveries\": [{…, \"next\", \"advice\"}]}; a
delivery is as `events show` has it. A verdict is takes, other_source, other_type, condition_false or
condition_failed.";

/// Say in words what became of an event, why, and what comes next.
///
/// The routes are asked as router.toml is now, which may not be what it was when the event came in.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The event's id. Default: the newest event that is not done on all its routes.
    #[arg(value_parser = event_id)]
    id: Option<EventId>,
}

/// Explains it.
pub fn run(asked: &Asked, args: &Args, as_json: bool) -> Result<Answer> {
    let id = match args.id {
        Some(id) => id.to_string(),
        None => in_trouble(asked)?,
    };
    let why = asked.get(&format!("{EVENTS}/{id}/why"), "")?;
    if as_json {
        return Ok(Answer::json(&why, true));
    }
    Ok(Answer::good(shown(&why)))
}

/// The newest event that is not done, or else the newest. Ids are in order of arrival.
fn in_trouble(asked: &Asked) -> Result<String> {
    let newest = |query: &str| -> Result<Option<String>> {
        let page = asked.get(EVENTS, query)?;
        Ok(list(&page, "items").first().map(|event| text(event, "id").into_owned()))
    };
    let of_states = TROUBLE.map(|state| newest(&format!("state={state}&limit=1")));
    let found: Vec<Option<String>> = of_states.into_iter().collect::<Result<_>>()?;
    match found.into_iter().max().flatten() {
        Some(id) => Ok(id),
        None => match newest("limit=1")? {
            Some(id) => Ok(id),
            None => bail!("no event has come in yet"),
        },
    }
}

fn shown(why: &Value) -> String {
    let mut shown = format!(
        "{}  {} of {}, received {}\n",
        text(why, "id"),
        text(why, "type"),
        text(why, "source"),
        text(why, "received_at"),
    );
    for part in ["proof", "typed"].map(|part| text(why, part)) {
        if !part.is_empty() {
            let _ = writeln!(shown, "  {part}");
        }
    }
    let again = number(why, "duplicates");
    if again > 0 {
        let _ = writeln!(shown, "  it came {again} more times, which were taken for duplicates");
    }
    shown += &routes(list(why, "routes"));
    let deliveries = list(why, "deliveries");
    if deliveries.is_empty() {
        let replay = format!("hookyard replay {} --state unrouted --to ROUTE", text(why, "id"));
        let _ = write!(
            shown,
            "\nunrouted\n  next: nothing: no route took it\n  do:   when one should have: {replay}\n"
        );
    }
    for delivery in deliveries {
        let _ =
            writeln!(shown, "\ndelivery {}: {}", text(delivery, "route"), text(delivery, "state"));
        let replay = delivery.get("replay").unwrap_or(&Value::Null);
        if replay.is_object() {
            let (of, at) = (text(replay, "of"), text(replay, "at"));
            let _ = writeln!(shown, "  replayed  {at}  of {of}");
        }
        let attempts = list(delivery, "attempts");
        let unseen = attempts.len().saturating_sub(ATTEMPTS);
        if unseen > 0 {
            let _ =
                writeln!(shown, "  ({unseen} earlier attempts: `hookyard events show` has them)");
        }
        shown.extend(attempts.iter().skip(unseen).map(attempt));
        let _ = writeln!(shown, "  next: {}", text(delivery, "next"));
        let advice = text(delivery, "advice");
        if !advice.is_empty() {
            let _ = writeln!(shown, "  do:   {advice}");
        }
    }
    shown
}

/// Each route's word, those of other sources in one line.
fn routes(routes: &[Value]) -> String {
    if routes.is_empty() {
        return "\nrouter.toml has no routes\n".to_owned();
    }
    let (of_others, asked): (Vec<&Value>, Vec<&Value>) =
        routes.iter().partition(|route| is_of_others(route));
    let rows: Vec<[String; 2]> = asked
        .into_iter()
        .map(|route| [format!("  {}", text(route, "route")), word(route)])
        .collect();
    let mut shown = format!("\nroutes, as router.toml is now\n{}", columns(&rows));
    if !of_others.is_empty() {
        let names: Vec<_> = of_others.into_iter().map(|route| text(route, "route")).collect();
        let _ = writeln!(shown, "  of other sources: {}", names.join(", "));
    }
    shown
}

fn is_of_others(route: &Value) -> bool {
    text(route, "verdict") == "other_source" && !delivered(route)
}

fn delivered(route: &Value) -> bool {
    route.get("delivered").and_then(Value::as_bool).unwrap_or(false)
}

fn word(route: &Value) -> String {
    let reason = text(route, "reason");
    match (text(route, "verdict") == "takes", delivered(route)) {
        (true, true) => reason.into_owned(),
        (false, false) => format!("no: {reason}"),
        (true, false) => format!("{reason} now; it did not when the event came in"),
        (false, true) => format!("took it when it came in, and would not now: {reason}"),
    }
}
