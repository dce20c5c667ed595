//! The `hookyard` program: see `hookyard --help`.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// SQLite's too: it takes less time than the system's, and gives memory back after a flood.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    hookyard::cli::run()
}
