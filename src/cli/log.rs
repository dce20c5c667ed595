//! Where log lines go: to stderr, for people on a terminal, as JSON lines otherwise.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use super::answer::colored;

/// The variable that says what is logged, such as `debug` or `hookyard::dispatch=debug`.
const FILTER: &str = "HOOKYARD_LOG";

/// What is logged of all that the variable does not speak of.
const DEFAULT: &str = "info";

/// The engine makes a span of every call of a guest, at level info: they would be on its lines.
const NO_SPANS: &str = "wasmtime_wasi::p1=warn";

/// Sets up logging for the process.
pub fn start() {
    let asked = std::env::var(FILTER).unwrap_or_default();
    let filter = EnvFilter::builder().parse_lossy(format!("{DEFAULT},{asked},{NO_SPANS}"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    if stderr().is_terminal() {
        log.with_target(false).with_ansi(colored(&stderr())).init();
    } else {
        log.json().flatten_event(true).with_target(false).init();
    }
}
