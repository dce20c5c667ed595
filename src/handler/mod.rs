//! Handlers: WebAssembly modules of `plugins/`, sandboxed, and the table of those that are loaded.

mod abi;
mod attempt;
mod bindings;
mod command;
mod compile;
mod engine;
mod host;
mod inspect;
mod limits;
mod link;
mod log;
mod slots;
mod stdio;
mod typed;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;
use wasmtime::Engine;

use abi::Abi;
pub use attempt::{Call, Called};
pub use engine::engine;
pub use inspect::NotAHandler;
pub use limits::Limits;
pub use slots::{Job, Slot, Slots};

/// Why a file of `plugins/` cannot be run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The disk does not give it.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// A folder, a pipe or a device has its name.
    #[error("it is no file")]
    NotAFile,
    /// It is larger than `ceilings.module`.
    #[error("it has {found} bytes, more than the {limit} of `ceilings.module`")]
    TooLarge {
        /// Its size in bytes.
        found: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Two files make the same handler.
    #[error("there are both {0}.wasm and {0}.wat: remove one")]
    Twice(String),
    /// What is in it is no handler.
    #[error(transparent)]
    NotAHandler(#[from] NotAHandler),
    /// It does not validate, uses a feature that is switched off, or does not fit the pool.
    #[error(
        "it is truncated, invalid, needs a feature that is switched off, or begins with more memory than `ceilings.memory`: {0}"
    )]
    Invalid(String),
    /// It exports a handler with other types.
    #[error("its hookyard:handler/handler@0.1.0 is not the one of wit/hookyard.wit: {0}")]
    WrongExport(String),
    /// Its entry point cannot be called as a command's.
    #[error("it cannot be run as a WASI command: {0}")]
    WrongEntry(String),
    /// It imports what hookyard does not have.
    #[error("it imports what hookyard does not offer (see the world in wit/hookyard.wit): {0}")]
    Import(String),
    /// hookyard's own side cannot be set up.
    #[error("hookyard cannot set up its side: {0}")]
    Host(String),
}

/// A handler's limits and configuration, from its table in `router.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What each attempt may use.
    pub limits: Limits,
    /// What it reads through `wasi:config`.
    pub config: Arc<BTreeMap<String, String>>,
}

/// A handler that can be called.
pub struct Handler {
    name: Arc<str>,
    version: Arc<str>,
    settings: Settings,
    engine: Engine,
    abi: Abi,
}

impl Handler {
    /// The first 16 hex digits of its file's SHA-256.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The name of its contract in the API.
    pub fn abi(&self) -> &'static str {
        self.abi.name()
    }
}

/// A handler by name: what its file gave.
pub type Loaded = Result<Arc<Handler>, LoadError>;

/// The handlers that routes name. A name that is not in it has no file.
#[derive(Default)]
pub struct Handlers(HashMap<Arc<str>, Loaded>);

impl Handlers {
    /// Loads the file `<name>.wasm` or `<name>.wat` of a folder for each name with settings. A
    /// file that cannot be run is in the table with its error.
    pub fn load(
        engine: &Engine,
        folder: &Path,
        module_bytes: u64,
        settings: BTreeMap<String, Settings>,
    ) -> Self {
        let load = |(name, settings): (String, Settings)| {
            let file = find(folder, &name).transpose()?;
            let name: Arc<str> = name.into();
            let bytes = file.and_then(|file| read(&file, module_bytes));
            let handler = bytes.and_then(|bytes| make(engine, &name, &bytes, settings));
            Some((name, handler.map(Arc::new)))
        };
        Self(settings.into_iter().filter_map(load).collect())
    }

    /// The handler of that name: `None` when there is no file.
    pub fn get(&self, name: &str) -> Option<&Loaded> {
        self.0.get(name)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Loaded)> {
        self.0.iter()
    }
}

/// A handler's file, if there is one.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>, LoadError> {
    let [binary, text] = ["wasm", "wat"].map(|kind| folder.join(format!("{name}.{kind}")));
    match (binary.exists(), text.exists()) {
        (true, true) => Err(LoadError::Twice(name.to_owned())),
        (true, false) => Ok(Some(binary)),
        (false, true) => Ok(Some(text)),
        (false, false) => Ok(None),
    }
}

fn read(file: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    let metadata = fs::metadata(file)?;
    if !metadata.is_file() {
        return Err(LoadError::NotAFile);
    }
    let found = metadata.len();
    if found > limit {
        return Err(LoadError::TooLarge { found, limit });
    }
    Ok(fs::read(file)?)
}

fn make(
    engine: &Engine,
    name: &Arc<str>,
    file: &[u8],
    settings: Settings,
) -> Result<Handler, LoadError> {
    let version = hex::encode(Sha256::digest(file)).get(..16).unwrap_or_default().into();
    let abi = Abi::load(engine, file)?;
    Ok(Handler { name: name.clone(), version, settings, engine: engine.clone(), abi })
}
