//! Handlers: WebAssembly modules of `plugins/`, sandboxed, and the table of those that are loaded.

mod bindings;
mod compile;
mod engine;
mod host;
mod inspect;
mod limits;
mod log;
mod table;
mod typed;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use compile::{COMPILE, Compiler, compile};
pub use engine::engine;
pub use inspect::NotAHandler;
pub use limits::Limits;
pub use table::{Handlers, Plugins};
use typed::Typed;
pub use typed::{Call, Called};

/// Why a file of `plugins/` cannot be run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The disk does not give it.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
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
    /// It is no component.
    #[error(transparent)]
    NotAHandler(#[from] NotAHandler),
    /// It does not validate, or uses a feature that is switched off.
    #[error("the component is invalid or truncated: {0}")]
    Invalid(String),
    /// It does not export what a handler exports.
    #[error(
        "the component exports {found}, but no handler: export the interface hookyard:handler/handler@0.1.0 (see wit/hookyard.wit)"
    )]
    NoExport {
        /// What it exports.
        found: String,
    },
    /// It exports a handler with other types.
    #[error("its hookyard:handler/handler@0.1.0 is not the one of wit/hookyard.wit: {0}")]
    WrongExport(String),
    /// It imports what hookyard does not have.
    #[error("it imports what hookyard does not offer (see the world in wit/hookyard.wit): {0}")]
    Import(String),
    /// Compiling it takes more than a module may take.
    #[error(
        "it cannot be compiled within {seconds} s of CPU time and {mib} MiB of memory: {ended}"
    )]
    TooHard {
        /// The limit of CPU time.
        seconds: u64,
        /// The limit of memory.
        mib: u64,
        /// How the child that compiled it ended.
        ended: String,
    },
    /// The child that compiles refuses it, and says why.
    #[error("{0}")]
    Refused(String),
    /// It cannot be instantiated.
    #[error("it fails as soon as it is instantiated: {0}")]
    Trial(String),
    /// Its file was there, and is not any more.
    #[error(
        "its file is gone: what was loaded stays until a restart, which would park its deliveries"
    )]
    Gone,
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

/// A file's SHA-256.
type Hash = [u8; 32];

/// A handler that can be called.
pub struct Handler {
    name: Arc<str>,
    file: Hash,
    version: Arc<str>,
    settings: Settings,
    typed: Typed,
}

impl Handler {
    /// Its contract's name in the API.
    pub const ABI: &str = "component";

    /// The first 16 hex digits of its file's SHA-256.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The same file's handler with other settings.
    fn with(&self, settings: Settings) -> Self {
        let (name, version) = (self.name.clone(), self.version.clone());
        Self { name, file: self.file, version, settings, typed: self.typed.clone() }
    }

    /// Makes one attempt, of at most `timeout` wall time.
    pub async fn call(&self, call: Call<'_>, timeout: Duration) -> Called {
        let Settings { limits, config } = &self.settings;
        self.typed.call(&self.name, call, limits, config.clone(), timeout).await
    }
}

/// The files that a handler may be in: its binary form, and its text form.
pub fn files(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["wasm", "wat"].map(|kind| folder.join(format!("{name}.{kind}")))
}

/// A handler's file, if there is one.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>, LoadError> {
    let [binary, text] = files(folder, name);
    match (binary.exists(), text.exists()) {
        (true, true) => Err(LoadError::Twice(name.to_owned())),
        (true, false) => Ok(Some(binary)),
        (false, true) => Ok(Some(text)),
        (false, false) => Ok(None),
    }
}

fn read(file: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    let found = fs::metadata(file)?.len();
    if found > limit {
        return Err(LoadError::TooLarge { found, limit });
    }
    Ok(fs::read(file)?)
}

/// Makes a handler of a file, and tries it.
async fn make(
    compiler: &Compiler,
    name: &Arc<str>,
    bytes: &[u8],
    file: Hash,
    settings: Settings,
) -> Result<Handler, LoadError> {
    let component = compiler.component(bytes, &file).await?;
    let typed = Typed::load(compiler.engine(), &component)?;
    typed.try_out(name, &settings).await?;
    let version = hex::encode(file).get(..16).unwrap_or_default().into();
    Ok(Handler { name: name.clone(), file, version, settings, typed })
}
