//! Loading handlers without serving.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::config::Plugins;
use crate::handler::{self, Compiler, Engines, Handlers, Modules, Outside};

/// Room in the engine: one attempt is made at a time.
const INSTANCES: u32 = 1;

/// The file of the handler of that name; `.wasm` where there is none.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    let [binary, text] = handler::files(folder, name);
    if text.exists() && !binary.exists() { text } else { binary }
}

/// Loads the handlers of these names from a folder, as `serve` would.
pub fn load(plugins: &Plugins, folder: &Path, names: BTreeSet<String>) -> Result<Handlers> {
    let engines = Engines::new(INSTANCES, usize::try_from(plugins.memory)?);
    let settings = names.into_iter().map(|name| {
        let settings = plugins.named.get(&name).unwrap_or(&plugins.other).clone();
        (name, settings)
    });
    // Nothing is written to `data`, which may be another user's.
    let compiler = Compiler::new(engines, None)
        .map_err(|error| anyhow!("cannot set up WebAssembly: {error:#}"))?;
    let outside = Outside::start(plugins.listeners.clone())?;
    let modules = Modules { folder, bytes: plugins.module, compiler: &compiler, outside: &outside };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(Handlers::default().next(&modules, settings.collect(), false)))
}
