//! `hookyard man`: made of the command line's own definition.

use anyhow::Context;
use clap::Command;

use super::answer::Answer;

const EXAMPLES: &str = "\
Examples:
  hookyard man > /usr/local/share/man/man1/hookyard.1
  hookyard man events > /usr/local/share/man/man1/hookyard-events.1";

/// Print a manual page.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Of this verb; without it, of all.
    verb: Option<String>,
}

/// Prints a manual page.
///
/// # Errors
/// There is no such verb.
pub fn run(cli: Command, args: &Args) -> anyhow::Result<Answer> {
    let mut cli = cli.disable_help_subcommand(true);
    cli.build();
    let page = match &args.verb {
        None => cli,
        Some(name) => {
            let verb = cli.find_subcommand(name).filter(|verb| !verb.is_hide_set());
            verb.with_context(|| format!("there is no verb `{name}`"))?.clone()
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    Ok(Answer::good(text))
}
