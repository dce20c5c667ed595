//! Loading handlers without serving.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::config::Plugins;
use crate::handler::{self, Handlers};

/// Room in the engine. One attempt at a time needs that of one component, however many core
/// modules it is made of.
const INSTANCES: u32 = 16;

/// The file of the handler of that name; `.wasm` where there is none.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    let [binary, text] = ["wasm", "wat"].map(|end| folder.join(format!("{name}.{end}")));
    if text.exists() && !binary.exists() { text } else { binary }
}

/// Loads the handlers of these names from a folder, as `serve` would.
pub fn load(plugins: &Plugins, folder: &Path, names: BTreeSet<String>) -> Result<Handlers> {
    let engine = handler::engine(INSTANCES, usize::try_from(plugins.memory)?)
        .map_err(|error| anyhow!("cannot set up WebAssembly: {error:#}"))?;
    let settings = names.into_iter().map(|name| {
        let settings = plugins.named.get(&name).unwrap_or(&plugins.other).clone();
        (name, settings)
    });
    Ok(Handlers::load(&engine, folder, plugins.module, settings.collect()))
}
