//! `hookyard compile`, for hookyard itself alone: see [`crate::handler::COMPILE`].

use std::io::{self, Read, Write};
use std::process::ExitCode;

use crate::handler::{LoadError, compile};

/// Compiles a module, for the verbs that load them: stdin to stdout.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make code that counts its instructions.
    #[arg(long)]
    counting: bool,
}

/// Compiles what comes on stdin.
pub fn run(args: &Args) -> ExitCode {
    match stdin_to_stdout(args.counting) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn stdin_to_stdout(counting: bool) -> Result<(), LoadError> {
    let mut file = Vec::new();
    io::stdin().lock().read_to_end(&mut file)?;
    let code = compile(&file, counting)?;
    Ok(io::stdout().write_all(&code)?)
}
