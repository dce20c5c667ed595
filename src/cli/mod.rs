//! The command line.

mod compile;
mod log;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::handler::COMPILE;

/// Receives webhooks: verifies, stores, and hands them to sandboxed WebAssembly handlers.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// The configuration.
    #[arg(long, global = true, default_value = "router.toml", value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Receive webhooks until SIGTERM or Ctrl-C.
    ///
    /// Prints the addresses that it listens on, one a line. The first signal ends it in order:
    /// it finishes what has begun; a second one ends it at once.
    #[command(
        after_help = "Examples:\n  hookyard serve\n  hookyard serve --config /etc/hookyard/router.toml"
    )]
    Serve,
    /// Compiles one module for `serve`, which starts it: stdin to stdout.
    #[command(name = COMPILE, hide = true)]
    Compile,
}

/// Runs what the command line says. Usage errors exit with 2, failures with 1.
pub fn run() -> ExitCode {
    let Cli { config, verb } = Cli::parse();
    let result = match verb {
        Verb::Serve => serve::run(&config),
        Verb::Compile => return compile::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("{failed}");
            ExitCode::FAILURE
        }
    }
}
