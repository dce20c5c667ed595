//! Handlers: WebAssembly modules of `plugins/`, sandboxed, and the table of those that are loaded.

mod abi;
mod attempt;
mod bindings;
mod cache;
mod command;
mod compile;
mod egress;
mod engine;
mod feature;
mod held;
mod host;
mod http;
mod inspect;
mod last_words;
mod limits;
mod link;
mod log;
mod native;
mod pace;
mod selftest;
mod slots;
mod spent;
mod state;
mod stdio;
mod table;
mod ticker;
mod turn;
mod typed;
mod writable;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use thiserror::Error;
use wasmtime::Engine;

use crate::effects::Grants;
use abi::Abi;
pub use attempt::{Call, Called};
pub use cache::Cache;
pub use compile::{COMPILE, Compiler, compile};
pub use egress::{
    BadPattern, Client, Hosts, IDEMPOTENCY_KEY, Outside, Pattern, Reach, Received, Secret, Use,
    can_be_reached,
};
pub use engine::{Engines, STACKS};
pub use http::{add_facts, fields, retry_after};
pub use inspect::NotAHandler;
pub use limits::Limits;
#[cfg(test)]
pub use pace::interrupted;
pub use pace::{Progress, poll as progress};
pub use slots::{Job, Slot, Slots};
pub use spent::{Answer, Asked, Exchange, Notes, Spent};
pub use table::{Handlers, Modules};
pub use ticker::LONG;
use ticker::Ticker;
pub use turn::Turn;
use turn::Turns;
pub use writable::{WRITABLE, writable_by_others};

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
    /// It needs a feature that is switched off.
    #[error("it needs {0}, a feature that is switched off here: build it without")]
    Feature(&'static str),
    /// It does not validate, or does not fit the pool.
    #[error("it is truncated, invalid, or begins with more memory than `ceilings.memory`: {0}")]
    Invalid(String),
    /// It exports a handler with other types.
    #[error("its hookyard:handler/handler@0.1.0 is not the one of wit/hookyard.wit: {0}")]
    WrongExport(String),
    /// It exports another HTTP server.
    #[error("its wasi:http/incoming-handler is not the one of WASI 0.2: {0}")]
    WrongServer(String),
    /// Its entry point cannot be called as a command's.
    #[error("it cannot be run as a WASI command: {0}")]
    WrongEntry(String),
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
    /// The operator lists the files that may be run, and this is another.
    #[error("its SHA-256 is {0}, which `sha256` in its table does not list")]
    NotPinned(String),
    /// It cannot be instantiated.
    #[error("it fails as soon as it is instantiated: {0}")]
    Trial(String),
    /// It does not do what it must: the selftests that say so, and what is wrong.
    #[error("{}", .0.join("; "))]
    Selftests(Vec<String>),
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
    /// The files that may be run, by their SHA-256; empty: any.
    pub pins: BTreeSet<Hash>,
    /// What it may send requests to.
    pub reach: Reach,
    /// What it reads there too, or a placeholder of it; the names are others.
    pub secrets: BTreeMap<String, Secret>,
    /// What it may do to its state, and emit.
    pub grants: Arc<Grants>,
}

/// A file's SHA-256.
pub type Hash = [u8; 32];

/// A handler that can be called.
pub struct Handler {
    name: Arc<str>,
    file: Hash,
    version: Arc<str>,
    settings: Settings,
    /// What it reads through `wasi:config`, with placeholders for secrets.
    config: Arc<BTreeMap<String, String>>,
    client: Arc<Client>,
    outside: Arc<Outside>,
    engine: Engine,
    ticker: Arc<Ticker>,
    abi: Arc<Abi>,
    turns: Turns,
}

impl Settings {
    /// Whether a file may be run.
    fn allow(&self, file: &Hash) -> bool {
        self.pins.is_empty() || self.pins.contains(file)
    }
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

    fn new(
        modules: &Modules<'_>,
        name: Arc<str>,
        file: Hash,
        settings: Settings,
        (engine, abi): (Engine, Arc<Abi>),
    ) -> Self {
        let outside = modules.outside.clone();
        let (config, client) = outgoing(&name, &settings, &outside);
        let version = hex::encode(file).get(..16).unwrap_or_default().into();
        let (ticker, turns) = (modules.compiler.ticker().clone(), Turns::default());
        Self { name, file, version, settings, config, client, outside, engine, ticker, abi, turns }
    }

    /// Waits until an attempt may be made, beside others or alone.
    pub async fn turn(&self, alone: bool) -> Turn {
        self.turns.next(self.settings.grants.state.is_some(), alone).await
    }

    /// The same file's handler with other settings.
    fn with(&self, settings: Settings) -> Self {
        let (config, client) = outgoing(&self.name, &settings, &self.outside);
        Self {
            name: self.name.clone(),
            file: self.file,
            version: self.version.clone(),
            settings,
            config,
            client,
            outside: self.outside.clone(),
            engine: self.engine.clone(),
            ticker: self.ticker.clone(),
            abi: self.abi.clone(),
            turns: self.turns.clone(),
        }
    }
}

/// What a handler of these settings reads as its configuration, and what it sends requests by.
fn outgoing(
    name: &Arc<str>,
    settings: &Settings,
    outside: &Arc<Outside>,
) -> (Arc<BTreeMap<String, String>>, Arc<Client>) {
    let (config, secrets) = egress::given(&settings.config, &settings.secrets);
    (config, Client::new(name.clone(), settings.reach.clone(), secrets, outside.clone()))
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

/// A regular file of at most `limit` bytes. It may be another one by now than was found, and may
/// have more to read than it says.
fn read(file: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    // Otherwise, whoever opens a pipe waits for somebody to write.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(file, flags, Mode::empty()).map_err(io::Error::from)?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(LoadError::NotAFile);
    }
    let mut bytes = Vec::new();
    let mut found = metadata.len();
    if found <= limit {
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        found = bytes.len() as u64;
    }
    if found > limit { Err(LoadError::TooLarge { found, limit }) } else { Ok(bytes) }
}

/// The handler of that name if this were its file, whatever its selftests say.
///
/// # Errors
/// The file cannot be run.
pub async fn candidate(
    modules: &Modules<'_>,
    name: Arc<str>,
    file: &Path,
    settings: Settings,
) -> Result<Handler, LoadError> {
    let bytes = read(file, modules.bytes)?;
    let hash = Hash::from(Sha256::digest(&bytes));
    make(modules, &name, &bytes, hash, settings).await
}

/// Makes a handler of a file, and tries it.
async fn make(
    modules: &Modules<'_>,
    name: &Arc<str>,
    bytes: &[u8],
    file: Hash,
    settings: Settings,
) -> Result<Handler, LoadError> {
    let engine = modules.compiler.engine(settings.limits.stack)?;
    let program = modules.compiler.program(&engine, bytes, &file).await?;
    let abi = Arc::new(Abi::link(&engine, &program)?);
    let handler = Handler::new(modules, name.clone(), file, settings, (engine, abi));
    handler.try_out().await?;
    Ok(handler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_whatever_it_says_of_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.wasm");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(LoadError::TooLarge { found: 5, limit: 4 })));
        // It says that it is empty.
        let grows = read(Path::new("/proc/self/status"), 9);
        assert!(matches!(grows, Err(LoadError::TooLarge { found: 10, limit: 9 })), "{grows:?}");
    }

    #[test]
    fn a_pipe_is_no_file_and_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("h.wasm");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(matches!(read(&pipe, 5), Err(LoadError::NotAFile)));
        assert!(matches!(read(folder.path(), 5), Err(LoadError::NotAFile)));
    }
}
