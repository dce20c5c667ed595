//! Where log lines go: to stderr, for people on a terminal, as JSON lines otherwise.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::answer::colored;

/// The variable that says what is logged, such as `debug` or `hookyard::dispatch=debug`.
const FILTER: &str = "HOOKYARD_LOG";

/// Sets up logging for the process.
pub fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var(FILTER)
        .from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    if stderr().is_terminal() {
        log.with_target(false).with_ansi(colored(&stderr())).init();
    } else {
        log.json().flatten_event(true).with_target(false).init();
    }
}
