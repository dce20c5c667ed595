//! The `hookyard` program: see `hookyard --help`.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// SQLite's too. Of an event's CPU time it saves a fifteenth, and it gives memory back after a flood.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    hookyard::cli::run()
}
