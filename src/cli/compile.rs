//! `hookyard compile`, for hookyard itself alone: see [`crate::handler::COMPILE`].

use std::io::{self, Read, Write};
use std::process::ExitCode;

use crate::handler::{LoadError, compile};

/// Compiles what comes on stdin.
pub fn run() -> ExitCode {
    match stdin_to_stdout() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn stdin_to_stdout() -> Result<(), LoadError> {
    let mut file = Vec::new();
    io::stdin().lock().read_to_end(&mut file)?;
    let code = compile(&file)?;
    Ok(io::stdout().write_all(&code)?)
}
