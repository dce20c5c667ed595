//! Loading handlers without serving.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::answer::Failed;
use crate::config::Plugins;
use crate::handler::{
    self, Compiler, Engines, Handler, Handlers, Modules, Outside, Reach, Settings,
};

/// Room in the engine: one attempt is made at a time.
const INSTANCES: u32 = 1;

/// The file of the handler of that name; `.wasm` where there is none.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    let [binary, text] = handler::files(folder, name);
    if text.exists() && !binary.exists() { text } else { binary }
}

/// Engines for one attempt at a time.
pub fn engines(plugins: &Plugins) -> Result<Engines> {
    Ok(Engines::new(INSTANCES, usize::try_from(plugins.memory)?))
}

/// Loads the handlers of these names from a folder, as `serve` would.
pub fn load(
    plugins: &Plugins,
    engines: Engines,
    folder: &Path,
    names: BTreeSet<String>,
) -> Result<Handlers> {
    let settings = names.into_iter().map(|name| {
        let settings = plugins.named.get(&name).unwrap_or(&plugins.other).clone();
        (name, settings)
    });
    with_modules(plugins, engines, folder, async |modules| {
        Handlers::default().next(modules, settings.collect(), false).await
    })
}

/// Loads a file in the place of the handler `name`, with its settings but for what they reach.
pub fn candidate(plugins: &Plugins, name: &Arc<str>, file: &Path) -> Result<Handler, Failed> {
    let settings = plugins.named.get(&**name).unwrap_or(&plugins.other).clone();
    one(plugins, engines(plugins)?, name, file, Settings { reach: Reach::default(), ..settings })
}

/// Loads a file as the handler `name`, whatever its selftests say.
pub fn named(
    plugins: &Plugins,
    engines: Engines,
    name: &Arc<str>,
    file: &Path,
) -> Result<Handler, Failed> {
    let settings = plugins.named.get(&**name).unwrap_or(&plugins.other).clone();
    one(plugins, engines, name, file, settings)
}

fn one(
    plugins: &Plugins,
    engines: Engines,
    name: &Arc<str>,
    file: &Path,
    settings: Settings,
) -> Result<Handler, Failed> {
    let load = async |modules: &Modules<'_>| {
        handler::candidate(modules, name.clone(), file, settings).await
    };
    let loaded = with_modules(plugins, engines, &plugins.folder, load)?;
    loaded.map_err(|error| Failed::about(file, &error.to_string()))
}

/// Has handlers made, by an engine of their own.
fn with_modules<T>(
    plugins: &Plugins,
    engines: Engines,
    folder: &Path,
    make: impl AsyncFnOnce(&Modules<'_>) -> T,
) -> Result<T> {
    // Nothing is written to `data`, which may be another user's.
    let compiler = Compiler::new(engines, None)
        .map_err(|error| anyhow!("cannot set up WebAssembly: {error:#}"))?;
    let outside = Outside::start(plugins.listeners.clone())?;
    let modules = Modules { folder, bytes: plugins.module, compiler: &compiler, outside: &outside };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(make(&modules)))
}
