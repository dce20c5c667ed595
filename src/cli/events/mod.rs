//! `hookyard events`.

mod dead;
mod list;
mod show;
mod why;
mod words;

pub use list::Filter;
pub use words::number;

use std::path::Path;

use clap::Subcommand;

use super::answer::{Answer, Failed};
use super::ask::{Asked, Where};
use crate::event::{BadEventId, EventId};

const EXAMPLES: &str = "\
Examples:
  hookyard events list
  hookyard events list --state dead --since 1h
  hookyard events list --follow
  hookyard events why
  hookyard events dead

It asks the server that runs, with the address and the token of router.toml. While none does, it
reads the ledger's file.";

/// The paths of the API that are asked.
const EVENTS: &str = "/api/v1/events";
const DEAD_LETTERS: &str = "/api/v1/dead-letters";

/// Show what came in, what became of it, and why.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    at: Where,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::Args),
    Show(show::Args),
    Why(why::Args),
    Dead(dead::Args),
}

/// Asks, and shows the answer.
pub fn run(config: &Path, args: &Args) -> Result<Answer, Failed> {
    let asked = Asked::open(config, &args.at)?;
    let answer = match &args.verb {
        Verb::List(list) => list::run(&asked, list, args.json),
        Verb::Show(show) => show::run(&asked, show, args.json),
        Verb::Why(why) => why::run(&asked, why, args.json),
        Verb::Dead(_) => dead::run(&asked, args.json),
    };
    Ok(answer?)
}

/// An id as a user writes it.
pub fn event_id(text: &str) -> Result<EventId, BadEventId> {
    text.parse()
}
