//! `hookyard presets`.

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::answer::Answer;
use super::table::columns;
use crate::verify::presets::{self, Preset, Proof};
use crate::verify::{EventId, Location};

const EXAMPLES: &str = "\
Examples:
  hookyard presets
  hookyard presets supaglue
  hookyard presets --json";

/// List the senders that need nothing but a secret, or show one.
///
/// Shows where each has its event type and its event id, and what our knowledge of it rests on:
/// its documentation, examples that it publishes, or examples of others who receive from it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only this one.
    #[arg(value_parser = PossibleValuesParser::new(presets::names()), hide_possible_values = true)]
    name: Option<String>,
    /// Print JSON: an object for a NAME, else a list of them.
    #[arg(long)]
    json: bool,
}

/// Shows one preset, or all.
pub fn run(args: &Args) -> Answer {
    let one = args.name.as_deref().and_then(presets::find);
    match (one, args.json) {
        (Some(preset), true) => Answer::json(&as_json(preset), true),
        (Some(preset), false) => Answer::good(page(preset)),
        (None, true) => Answer::json(&presets::all().map(as_json).collect(), true),
        (None, false) => Answer::good(table()),
    }
}

fn page(preset: &Preset) -> String {
    let name = preset.name;
    let variable = name.to_ascii_uppercase().replace('-', "_");
    format!(
        "{}\n  event type  {}\n  event id    {}\n  proof       {}\n\n\
         [sources.{name}]\nscheme  = \"{name}\"\nsecrets = [{{ env = \"{variable}_SECRET\" }}]\n",
        preset.title,
        places(&preset.event_type),
        event_id(preset),
        proof(preset.proof),
    )
}

fn table() -> String {
    let head = ["NAME", "TITLE", "EVENT TYPE", "EVENT ID", "PROOF"].map(str::to_owned);
    let rows = presets::all().map(|preset| {
        [
            preset.name.to_owned(),
            preset.title.to_owned(),
            places(&preset.event_type),
            event_id(preset),
            proof(preset.proof).to_owned(),
        ]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn places(places: &[Location]) -> String {
    let place = |place: &Location| match place {
        Location::Header(name) => format!("header {name}"),
        Location::Pointer(pointer) => format!("body {pointer}"),
    };
    places.iter().map(place).collect::<Vec<_>>().join(" or ")
}

fn event_id(preset: &Preset) -> String {
    match &preset.event_id {
        EventId::None => "none".to_owned(),
        EventId::Body => "the body itself".to_owned(),
        EventId::At(at) => places(at),
    }
}

fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::Docs => "docs",
        Proof::Vectors => "vectors",
        Proof::ThirdParty => "third-party",
    }
}

fn as_json(preset: &Preset) -> Value {
    let list = |places: &[Location]| -> Value {
        let place = |place: &Location| match place {
            Location::Header(name) => json!({ "header": name.as_str() }),
            Location::Pointer(pointer) => json!({ "pointer": pointer.as_str() }),
        };
        places.iter().map(place).collect()
    };
    json!({
        "name": preset.name,
        "title": preset.title,
        "event_type": list(&preset.event_type),
        "event_id": match &preset.event_id {
            EventId::None => Value::Null,
            EventId::Body => "body".into(),
            EventId::At(places) => list(places),
        },
        "proof": proof(preset.proof),
    })
}
