//! `hookyard schema`.

use super::answer::Answer;
use crate::config;

const EXAMPLES: &str = "\
Examples:
  hookyard schema
  hookyard schema > router.schema.json

With the line `#:schema router.schema.json` at the top of router.toml, editors complete its keys and
mark its mistakes (Taplo, and Even Better TOML for VS Code).";

/// Print the JSON Schema of router.toml, for editors.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Prints it.
pub fn run() -> Answer {
    Answer::json(&config::schema(), true)
}
