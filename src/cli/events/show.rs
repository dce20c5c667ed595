//! `hookyard events show`.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use super::words::{attempt, list, number, text};
use super::{EVENTS, event_id};
use crate::cli::answer::Answer;
use crate::cli::ask::Asked;
use crate::event::EventId;
use crate::text::{head, printable};

/// So much of a body is shown, in bytes.
const BODY_BYTES: usize = 4 * 1024;

const EXAMPLES: &str = "\
Examples:
  hookyard events show evt_01M8143EMWMKEWMR0000000001
  hookyard events show evt_01M8143EMWMKEWMR0000000001 --json

With --json it prints {\"id\", \"source\", \"type\", \"received_at\", \"verified\", \"secret\", \"attributes\",
\"headers\": [[name, value]], \"duplicates\", \"body\" or \"body_base64\", \"deliveries\": [{\"route\",
\"handler\", \"state\", \"due_at\", \"cause\", \"attempts\": [{\"n\", \"started_at\", \"duration_ms\",
\"outcome\", \"error\", \"handler_version\", \"logs\"}], \"replay\": {\"at\", \"of\"}}]}; replay is null where
there was none.";

/// Show an event: headers, body, deliveries, attempts and logs.
///
/// Headers and parameters that hold signatures or tokens are blanked out.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The event's id.
    #[arg(value_parser = event_id)]
    id: EventId,
}

/// Shows it.
pub fn run(asked: &Asked, args: &Args, as_json: bool) -> Result<Answer> {
    let event = asked.get(&format!("{EVENTS}/{}", args.id), "")?;
    if as_json {
        return Ok(Answer::json(&event, true));
    }
    Ok(Answer::good(shown(&event)))
}

fn shown(event: &Value) -> String {
    let mut shown = String::new();
    for (label, part) in [("id", "id"), ("source", "source"), ("type", "type")] {
        let _ = writeln!(shown, "{label:11}{}", text(event, part));
    }
    let _ = writeln!(shown, "received   {}", text(event, "received_at"));
    let _ = writeln!(shown, "duplicates {}", number(event, "duplicates"));
    for (name, value) in event.get("attributes").and_then(Value::as_object).into_iter().flatten() {
        let value = printable(value.as_str().unwrap_or_default());
        let _ = writeln!(shown, "{:11}{value}", printable(name));
    }
    for delivery in list(event, "deliveries") {
        let _ =
            writeln!(shown, "\ndelivery {}: {}", text(delivery, "route"), text(delivery, "state"));
        for (label, part) in [("handler", "handler"), ("due", "due_at"), ("cause", "cause")] {
            let value = text(delivery, part);
            if !value.is_empty() {
                let _ = writeln!(shown, "  {label:8} {value}");
            }
        }
        shown.extend(list(delivery, "attempts").iter().map(attempt));
    }
    shown.push('\n');
    for header in list(event, "headers") {
        let part = |at: usize| header.get(at).and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(shown, "{}: {}", printable(part(0)), printable(part(1)));
    }
    shown + "\n" + &body(event)
}

/// The body's beginning, line by line.
fn body(event: &Value) -> String {
    let Some(body) = event.get("body").and_then(Value::as_str) else {
        return "(the body is no text: --json has it)\n".to_owned();
    };
    let beginning = head(body, BODY_BYTES);
    let mut shown: String =
        beginning.lines().map(|line| printable(line).into_owned() + "\n").collect();
    if beginning.len() < body.len() {
        let _ =
            writeln!(shown, "(and {} bytes more: --json has all)", body.len() - beginning.len());
    }
    shown
}
