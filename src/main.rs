//! The `hookyard` program: see `hookyard --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hookyard::cli::run()
}
