//! The example handler in every language that is built, in one table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookyard::delivery::Outcome;
use hookyard::effects::{Committed, Scratch};
use hookyard::handler::{Cache, Call, Handler, Handlers, Settings};
use tokio::runtime::{Builder, Runtime};

use super::{INSTANCES, TIMEOUT, handlers, with_body};

/// The example in Rust, with whose settings all run.
const EXAMPLE: &str = "sync-complete";
/// Loads from the cache, and calls, of each; shown is the middle one.
const LOADS: usize = 9;
const CALLS: usize = 501;

/// Prints a row for each `plugins/sync-complete*.wasm`.
pub fn print() -> ExitCode {
    let (root, config) = (Path::new(handlers::ROOT), handlers::config());
    let settings = &config.handlers[EXAMPLE];
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("| handler | contract | size | compiled | loaded from cache | call | memory |");
    println!("|---|---|---|---|---|---|---|");
    for name in built(&root.join("plugins")) {
        let file = root.join("plugins").join(format!("{name}.wasm"));
        println!("{}", row(&runtime, settings, &name, &file));
    }
    ExitCode::SUCCESS
}

fn built(plugins: &Path) -> Vec<String> {
    let entries = fs::read_dir(plugins).expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.strip_suffix(".wasm")?.to_owned()))
        .filter(|name| name.starts_with(EXAMPLE))
        .collect();
    names.sort();
    names
}

fn row(runtime: &Runtime, settings: &Settings, name: &str, file: &Path) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(file, folder.path().join(format!("{name}.wasm"))).expect("a copy");
    let load = || {
        let cache = Cache::open(&folder.path().join("cache")).expect("a folder");
        let settings = BTreeMap::from([(name.to_owned(), settings.clone())]);
        let began = Instant::now();
        let loading = handlers::load(folder.path(), settings, Some(cache), INSTANCES);
        let handlers = runtime.block_on(loading);
        (began.elapsed(), handlers)
    };
    let (compiled, _) = load();
    let loaded = middle((0..LOADS).map(|_| load().0));
    let (_, handlers) = load();
    let (call, memory) = called(runtime, &handlers, name);
    format!(
        "| {name} | {} | {} KiB | {:.2} s | {:.1} ms | {:.0} µs | {} KiB |",
        Handler::abi(handlers.get(name).expect("a file").expect("a handler")),
        fs::metadata(file).expect("a file").len() / 1024,
        compiled.as_secs_f64(),
        loaded.as_secs_f64() * 1e3,
        call.as_secs_f64() * 1e6,
        memory / 1024,
    )
}

/// How long an attempt takes that acknowledges an event of 1.5 KB, and its peak of memory.
fn called(runtime: &Runtime, handlers: &Handlers, name: &str) -> (Duration, usize) {
    let handler = handlers.get(name).expect("a file").expect("a handler");
    let event = with_body(format!(
        r#"{{"webhook_event_type":"sync.complete","customer_id":"c1","provider_name":"hubspot","object":"contact","result":"SUCCESS","num_records_synced":100,"more":"{}"}}"#,
        "x".repeat(1_340)
    ));
    let route: Arc<str> = "bench".into();
    let state: Arc<dyn Committed> = Arc::new(Scratch::default());
    let call =
        Call { id: "evt_1", event: &event, route: &route, attempt: 1, waits: false, notes: None };
    let mut memory = 0;
    let took = middle((0..CALLS).map(|_| {
        let began = Instant::now();
        let called = runtime.block_on(handler.call(call, state.clone(), TIMEOUT));
        let took = began.elapsed();
        assert_eq!(called.outcome, Outcome::Ack, "{name}");
        memory = called.peak_memory;
        took
    }));
    (took, memory)
}

fn middle(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times[times.len() / 2]
}
