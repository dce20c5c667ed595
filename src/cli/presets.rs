//! `hookyard presets`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use clap::Command;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use serde_json::{Value, json};

use super::answer::{Answer, Failed};
use super::arm;
use super::table::columns;
use crate::config::nearest;
use crate::config::presets::{self, Preset};
use crate::verify::handshake::Handshake;
use crate::verify::{EventId, Location};

const EXAMPLES: &str = "\
Examples:
  hookyard presets
  hookyard presets supaglue
  hookyard presets --json
  hookyard presets arm asana --for 10m";

/// List the senders that need nothing but a secret, or show one.
///
/// Shows where each has its event type and its event id, and what our knowledge of it rests on:
/// its documentation, examples that it publishes, or examples of others who receive from it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only this one.
    #[arg(value_parser = Known, hide_possible_values = true, value_name = "NAME")]
    preset: Option<&'static Preset>,
    /// Print JSON: an object for a NAME, else a list of them.
    #[arg(long)]
    json: bool,
}

/// Reads a preset's name. There are too many to list those that would do.
#[derive(Clone)]
struct Known;

impl TypedValueParser for Known {
    type Value = &'static Preset;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let name = value.to_string_lossy();
        let unknown = || {
            let help = match nearest(&name, presets::names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`hookyard presets` lists them".to_owned(),
            };
            let message = format!("there is no preset `{name}`: {help}\n");
            command.clone().error(ErrorKind::InvalidValue, message)
        };
        presets::find(&name).ok_or_else(unknown)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(presets::names().map(PossibleValue::new)))
    }
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Arm(arm::Args),
}

/// Shows one preset, or all, or waits for a secret.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    match &args.verb {
        Some(Verb::Arm(args)) => arm::run(config, args),
        None => Ok(show(args)),
    }
}

fn show(args: &Args) -> Answer {
    match (args.preset, args.json) {
        (Some(preset), true) => Answer::json(&as_json(preset), true),
        (Some(preset), false) => Answer::good(page(preset)),
        (None, true) => Answer::json(&presets::all().map(as_json).collect(), true),
        (None, false) => Answer::good(table()),
    }
}

fn page(preset: &Preset) -> String {
    let name = &preset.name;
    let facts = [
        ("event type", places(&preset.event_type)),
        ("event id", event_id(preset)),
        ("handshake", handshakes(preset)),
        ("proof", preset.proof.name().to_owned()),
        ("set up", preset.setup.clone()),
    ];
    let facts: String = facts.iter().map(|(what, text)| format!("  {what:10}  {text}\n")).collect();
    format!(
        "{}\n{facts}\n[sources.{name}]\nscheme  = \"{name}\"\n{}\n\
         The same, described:\n\n[sources.{name}]\n{}",
        preset.title,
        settings(preset),
        preset.text,
    )
}

/// What a source of that sender needs beside its scheme.
fn settings(preset: &Preset) -> String {
    let mut lines = String::new();
    let hands_over = preset.scheme.handshakes.iter().any(|one| one.keep.is_some());
    if preset.scheme.spec.has_secrets() && !hands_over {
        let variable = preset.name.to_ascii_uppercase().replace('-', "_");
        lines += &format!("secrets = [{{ env = \"{variable}_SECRET\" }}]\n");
    }
    if preset.scheme.spec.signs_url() {
        lines += "public_url = \"https://hooks.example.com/in\"\n";
    }
    let with: Vec<_> = with(preset).into_iter().collect();
    if !with.is_empty() {
        lines += &format!("# with may name, as `set up` says: {}\n", with.join(", "));
    }
    lines
}

/// The names that a source may give values to.
fn with(preset: &Preset) -> BTreeSet<&str> {
    let handshakes = preset.scheme.handshakes.iter().flat_map(Handshake::names);
    preset.scheme.spec.names().chain(handshakes).collect()
}

fn handshakes(preset: &Preset) -> String {
    let told = preset.scheme.handshakes.iter().map(|one| {
        let how = match (one.keep.is_some(), one.verify_first) {
            (true, _) => "hands over the secret: see `presets arm`",
            (false, true) => "answered when verified",
            (false, false) => "answered unverified",
        };
        format!("{} ({how})", one.when.method)
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

fn table() -> String {
    let head = ["NAME", "TITLE", "EVENT TYPE", "EVENT ID", "PROOF"].map(str::to_owned);
    let rows = presets::all().map(|preset| {
        [
            preset.name.clone(),
            preset.title.clone(),
            places(&preset.event_type),
            event_id(preset),
            preset.proof.name().to_owned(),
        ]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn places(places: &[Location]) -> String {
    match places {
        [] => "none".to_owned(),
        _ => places.iter().map(place).collect::<Vec<_>>().join(" or "),
    }
}

fn place(place: &Location) -> String {
    match place {
        Location::Header(name) => format!("header {name}"),
        Location::Pointer(pointer) => format!("body {pointer}"),
        Location::Joined(parts) => parts.iter().map(self::place).collect::<Vec<_>>().join(" and "),
    }
}

fn event_id(preset: &Preset) -> String {
    match &preset.event_id {
        EventId::None => "none".to_owned(),
        EventId::Body => "the body itself".to_owned(),
        EventId::At(at) => places(at),
    }
}

fn as_json(preset: &Preset) -> Value {
    let list = |places: &[Location]| -> Value { places.iter().map(place_as_json).collect() };
    json!({
        "name": preset.name,
        "title": preset.title,
        "event_type": list(&preset.event_type),
        "event_id": match &preset.event_id {
            EventId::None => Value::Null,
            EventId::Body => "body".into(),
            EventId::At(places) => list(places),
        },
        "with": with(preset),
        "handshakes": preset.scheme.handshakes.iter().map(|one| json!({
            "method": one.when.method.as_str(),
            "verify_first": one.verify_first,
            "hands_over_secret": one.keep.is_some(),
        })).collect::<Vec<_>>(),
        "proof": preset.proof.name(),
        "setup": preset.setup,
        "described": preset.text,
    })
}

fn place_as_json(place: &Location) -> Value {
    match place {
        Location::Header(name) => json!({ "header": name.as_str() }),
        Location::Pointer(pointer) => json!({ "pointer": pointer.as_str() }),
        Location::Joined(parts) => {
            json!({ "join": parts.iter().map(place_as_json).collect::<Vec<_>>() })
        }
    }
}
