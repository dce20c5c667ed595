//! What one attempt costs, in this process and with everything that an attempt has: a fresh
//! instance, limits, the clock that interrupts, log capture. `cargo bench --bench handler`.
//! `cargo bench --bench handler -- languages` compares the example handler in several languages.

#[path = "../handlers/mod.rs"]
mod handlers;
mod languages;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::Criterion;
use hookyard::delivery::Outcome;
use hookyard::effects::{Committed, Scratch};
use hookyard::event::Event;
use hookyard::handler::{Call, Handler, Handlers};
use hookyard::verify::Request;
use http::{HeaderMap, Method};
use tokio::runtime::{Builder, Runtime};

/// Handlers in Rust, one of each contract, and one that does nothing: a name, and its folder.
const GUESTS: [(&str, &str); 4] = [
    ("empty", "tests/fixtures/handlers/empty"),
    ("job-report", "plugins/job-report"),
    ("server", "tests/fixtures/handlers/server"),
    ("command", "tests/fixtures/handlers/command"),
];

const INSTANCES: u32 = 16;
const TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    if let Some(code) = handlers::compiled() {
        return code;
    }
    if std::env::args().any(|arg| arg == "languages") {
        return languages::print();
    }
    let mut criterion = Criterion::default().configure_from_args();
    attempts(&mut criterion);
    criterion.final_summary();
    ExitCode::SUCCESS
}

fn attempts(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let handlers = load(&runtime);
    let route: Arc<str> = "bench".into();
    let state: Arc<dyn Committed> = Arc::new(Scratch::default());
    for (name, _) in GUESTS {
        let handler = handlers.get(name).expect("a file").expect("a handler");
        let event = event(name);
        let call = Call {
            id: "evt_1",
            event: &event,
            route: &route,
            attempt: 1,
            waits: false,
            notes: None,
        };
        let attempt = || runtime.block_on(handler.call(call, state.clone(), TIMEOUT));
        assert_eq!(attempt().outcome, Outcome::Ack, "{name}");
        let label = format!("{name} ({})", Handler::abi(handler));
        criterion.bench_function(&label, |bencher| bencher.iter(attempt));
    }
}

/// Builds and loads the guests.
fn load(runtime: &Runtime) -> Handlers {
    let (root, config) = (Path::new(handlers::ROOT), handlers::config());
    let plugins = tempfile::tempdir().expect("a folder");
    let mut settings = BTreeMap::new();
    for (name, folder) in GUESTS {
        let wasm = build(root, &root.join(folder));
        fs::copy(wasm, plugins.path().join(format!("{name}.wasm"))).expect("a copy");
        let own = config.handlers.get(name).unwrap_or(&config.other_handlers);
        settings.insert(name.to_owned(), own.clone());
    }
    runtime.block_on(handlers::load(plugins.path(), settings, None, INSTANCES))
}

fn build(root: &Path, folder: &Path) -> PathBuf {
    let built = Command::new(root.join("plugins/build.sh")).arg(folder).output().expect("a shell");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    folder.with_extension("wasm")
}

/// An event of 1.5 KB that the guest acknowledges.
fn event(guest: &str) -> Event {
    with_body(body(guest))
}

fn body(guest: &str) -> String {
    match guest {
        "job-report" => {
            let rows = "\"Account\":1,\"Lead\":2,".repeat(60);
            format!(
                r#"{{"tenant":"1414_1","flow_id":"F","job_id":"J","status":"JOB_CREATED","more":{{{rows}"User":3}},"error":null}}"#
            )
        }
        "server" => format!(r#"{{"status":204,"body":"{}"}}"#, "x".repeat(1_400)),
        _ => format!(r#"{{"do":"exit","arg":"0","more":"{}"}}"#, "x".repeat(1_400)),
    }
}

fn with_body(body: String) -> Event {
    let request = Request {
        method: Method::POST,
        target: "/hooks/bench".to_owned(),
        headers: HeaderMap::from_iter([
            (http::header::HOST, "hooks.example.com".parse().expect("a value")),
            (http::header::CONTENT_TYPE, "application/json".parse().expect("a value")),
        ]),
        body: Bytes::from(body),
        peer: Ipv4Addr::LOCALHOST.into(),
    };
    handlers::event(&handlers::verifier(), request)
}
