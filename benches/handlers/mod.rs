//! Handlers as the server would load them, for benchmarks that need them without it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use hookyard::config::Config;
use hookyard::event::Event;
use hookyard::handler::{
    self, COMPILE, Cache, Compiler, Engines, Handlers, Modules, Outside, Settings,
};
use hookyard::verify::{Request, Scheme, Verifier};

/// The package's folder.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const MEMORY: usize = 512 << 20;
const MODULE: u64 = 64 << 20;

/// The engine has no compiler: it starts this program as its child, to compile and do nothing else.
pub fn compiled() -> Option<ExitCode> {
    (std::env::args().nth(1)? == COMPILE).then(compile)
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

/// What the project's router.toml says.
pub fn config() -> Config {
    Config::load(&Path::new(ROOT).join("router.toml")).expect("the project's router.toml").0
}

/// The handlers of a folder, with room for so many attempts at once.
pub async fn load(
    folder: &Path,
    settings: BTreeMap<String, Settings>,
    cache: Option<Cache>,
    instances: u32,
) -> Handlers {
    let outside = Outside::start(Vec::new()).expect("a thread");
    let compiler = Compiler::new(Engines::new(instances, MEMORY), cache).expect("a compiler");
    let modules = Modules { folder, bytes: MODULE, compiler: &compiler, outside: &outside };
    Handlers::default().next(&modules, settings, false).await
}

/// What takes a request for an event as it is.
pub fn verifier() -> Verifier {
    Verifier::new(Scheme::Unsigned, Vec::new()).expect("a verifier")
}

/// The event that a request is.
pub fn event(verifier: &Verifier, request: Request) -> Event {
    let verified = verifier.verify(request, 0).expect("no signature to be wrong");
    Event::new(verified, "bench".into(), "event".into(), 0, None)
}
