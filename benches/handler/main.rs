//! What one attempt costs, in this process and with everything that an attempt has: a fresh
//! instance, limits, the clock that interrupts, log capture. `cargo bench --bench handler`.
//! `cargo bench --bench handler -- languages` compares the example handler in several languages.

mod languages;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::Criterion;
use hookyard::config::Config;
use hookyard::delivery::Outcome;
use hookyard::effects::{Committed, Scratch};
use hookyard::event::Event;
use hookyard::handler::{
    self, COMPILE, Cache, Call, Compiler, Engines, Handler, Handlers, Modules, Outside, Settings,
};
use hookyard::verify::{Request, Scheme, Verifier};
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
const MEMORY: usize = 512 << 20;
const MODULE: u64 = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    // The engine has no compiler: it starts this program as its child.
    if std::env::args().nth(1).is_some_and(|verb| verb == COMPILE) {
        return compile();
    }
    if std::env::args().any(|arg| arg == "languages") {
        return languages::print();
    }
    let mut criterion = Criterion::default().configure_from_args();
    attempts(&mut criterion);
    criterion.final_summary();
    ExitCode::SUCCESS
}

fn compile() -> ExitCode {
    let mut file = Vec::new();
    std::io::stdin().read_to_end(&mut file).expect("a module");
    match handler::compile(&file, false) {
        Ok(code) => {
            std::io::stdout().write_all(&code).expect("somebody who reads");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (config, _) = Config::load(&root.join("router.toml")).expect("the project's router.toml");
    let plugins = tempfile::tempdir().expect("a folder");
    let mut settings = BTreeMap::new();
    for (name, folder) in GUESTS {
        let wasm = build(root, &root.join(folder));
        fs::copy(wasm, plugins.path().join(format!("{name}.wasm"))).expect("a copy");
        let own = config.handlers.get(name).unwrap_or(&config.other_handlers);
        settings.insert(name.to_owned(), own.clone());
    }
    made(runtime, plugins.path(), settings, None)
}

/// The handlers of a folder, as the server would load them.
fn made(
    runtime: &Runtime,
    folder: &Path,
    settings: BTreeMap<String, Settings>,
    cache: Option<Cache>,
) -> Handlers {
    let outside = Outside::start(Vec::new()).expect("a thread");
    let compiler = Compiler::new(Engines::new(INSTANCES, MEMORY), cache).expect("a compiler");
    let modules = Modules { folder, bytes: MODULE, compiler: &compiler, outside: &outside };
    runtime.block_on(Handlers::default().next(&modules, settings, false))
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
    let unsigned = Verifier::new(Scheme::Unsigned, Vec::new()).expect("a verifier");
    let verified = unsigned.verify(request, 0).expect("no signature to be wrong");
    Event::new(verified, "bench".into(), "event".into(), 0, None)
}
