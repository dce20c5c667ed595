//! The command line: one file a verb, and what they share.

mod answer;
mod arm;
mod ask;
mod backup;
mod call;
mod capture;
mod check;
mod client;
mod compile;
mod completions;
mod events;
mod input;
mod log;
mod man;
mod new;
mod pinned;
mod plugins;
mod presets;
mod replay;
mod samples;
mod schema;
mod send;
mod serve;
mod table;
mod verify;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::answer::{Answer, Failed};
use crate::handler::COMPILE;

/// Receives webhooks: verifies, stores, and hands them to sandboxed WebAssembly handlers.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    /// The configuration.
    #[arg(long, global = true, default_value = "router.toml", value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  hookyard check
  hookyard serve
  hookyard send hotglue

It exits with 0 when all went well, with 1 when it did not, and with 2 when the command line is
wrong. Colors are for terminals only, and NO_COLOR turns them off.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Receive webhooks until SIGTERM or Ctrl-C.
    ///
    /// Prints the addresses that it listens on, one a line. The first signal ends it in order:
    /// it finishes what has begun; a second one ends it at once.
    #[command(after_help = serve::EXAMPLES)]
    Serve,
    Check(check::Args),
    Send(send::Args),
    Call(call::Args),
    New(new::Args),
    Presets(presets::Args),
    Verify(verify::Args),
    Events(events::Args),
    Replay(replay::Args),
    Backup(backup::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(name = COMPILE, hide = true)]
    Compile(compile::Args),
}

/// Runs what the command line says. Usage errors exit with 2, failures with 1.
pub fn run() -> ExitCode {
    let Cli { config, verb } = Cli::parse();
    let answered = match verb {
        Verb::Serve => serve::run(&config).map(|()| Answer::good(String::new())),
        Verb::Check(args) => check::run(&config, &args),
        Verb::Send(args) => send::run(&config, &args),
        Verb::Call(args) => call::run(&config, &args),
        Verb::New(args) => new::run(&config, &args),
        Verb::Presets(args) => presets::run(&config, &args),
        Verb::Verify(args) => verify::run(&config, &args),
        Verb::Events(args) => events::run(&config, &args),
        Verb::Replay(args) => replay::run(&config, &args),
        Verb::Backup(args) => backup::run(&config, &args),
        Verb::Schema(_) => Ok(schema::run()),
        Verb::Completions(args) => Ok(completions::run(Cli::command(), &args)),
        Verb::Man(args) => man::run(Cli::command(), &args).map_err(Failed::from),
        Verb::Compile(args) => return compile::run(&args),
    };
    match answered {
        Ok(answer) => answer.print(),
        Err(failed) => failed.print(),
    }
}
