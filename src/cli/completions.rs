//! `hookyard completions` and `hookyard man`: made of the command line's own definition.

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

use super::answer::Answer;

const NAME: &str = "hookyard";

const COMPLETIONS: &str = "\
Examples:
  hookyard completions bash > /usr/share/bash-completion/completions/hookyard
  hookyard completions zsh > /usr/local/share/zsh/site-functions/_hookyard
  hookyard completions fish > ~/.config/fish/completions/hookyard.fish";

const MAN: &str = "\
Examples:
  hookyard man > /usr/local/share/man/man1/hookyard.1
  hookyard man events > /usr/local/share/man/man1/hookyard-events.1";

/// Print what lets a shell complete the command line.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Print a manual page.
#[derive(Debug, clap::Args)]
#[command(after_help = MAN)]
pub struct ManArgs {
    /// Of this verb; without it, of all.
    verb: Option<String>,
}

/// Prints the completions of a shell.
pub fn completions(mut cli: Command, args: &CompletionsArgs) -> Answer {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut cli, NAME, &mut text);
    Answer::good(text)
}

/// Prints a manual page.
///
/// # Errors
/// There is no such verb.
pub fn man(cli: Command, args: &ManArgs) -> anyhow::Result<Answer> {
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
