//! `hookyard completions`: made of the command line's own definition.

use clap::Command;
use clap_complete::Shell;

use super::answer::Answer;

const NAME: &str = "hookyard";

const EXAMPLES: &str = "\
Examples:
  hookyard completions bash > /usr/share/bash-completion/completions/hookyard
  hookyard completions zsh > /usr/local/share/zsh/site-functions/_hookyard
  hookyard completions fish > ~/.config/fish/completions/hookyard.fish";

/// Print what lets a shell complete the command line.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints the completions of a shell.
pub fn run(mut cli: Command, args: &Args) -> Answer {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut cli, NAME, &mut text);
    Answer::good(text)
}
