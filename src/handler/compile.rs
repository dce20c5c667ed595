//! Compiling, in a child process of this program: a hostile or huge module takes no more than the
//! child may.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use wasmtime::Engine;

use super::inspect::{self, Kind};
use super::native::{Compiled, Program};
use super::ticker::Ticker;
use super::{Cache, Engines, Hash, LoadError, engine, feature};
use crate::text::{head, printable};

/// The verb that makes this program the child: a module comes on stdin, its code goes to stdout,
/// and what is wrong with it to stderr with exit code 1.
pub const COMPILE: &str = "compile";

/// The flag with which the code counts its instructions.
pub const COUNTING: &str = "--counting";

/// This program, even when its file was replaced after the start.
const PROGRAM: &str = "/proc/self/exe";

/// CPU time for any module, in seconds.
const SECONDS: u64 = 5;
/// CPU time on top for each MiB of its file, in seconds.
const SECONDS_A_MIB: u64 = 2;
/// Memory for any module, in MiB.
const MEMORY_MIB: u64 = 1_024;
/// Memory on top for each MiB of its file, in MiB.
const MEMORY_MIB_A_MIB: u64 = 32;
/// How far the child stands back for whoever else wants the CPU.
const NICE: i32 = 10;
/// The limit for a child that gets no CPU time to spend.
const WALL: Duration = Duration::from_secs(600);

/// Bytes of the child's message that are kept.
const MESSAGE_BYTES: usize = 4 * 1024;

/// Makes programs of files.
pub struct Compiler {
    engines: Engines,
    cache: Option<Cache>,
    /// Code of another engine is kept under another name.
    suffix: String,
}

impl Compiler {
    /// For these engines; without a cache everything is compiled.
    ///
    /// # Errors
    /// The system is not one that wasmtime knows.
    pub fn new(engines: Engines, cache: Option<Cache>) -> wasmtime::Result<Self> {
        let engine = engine::compiler(engines.are_counting())?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        let suffix = format!("{:016x}", hasher.finish());
        Ok(Self { engines, cache, suffix })
    }

    /// The engine whose guests have a stack of so many bytes.
    ///
    /// # Errors
    /// The system does not give the address space for its pool.
    pub fn engine(&self, stack: usize) -> Result<Engine, LoadError> {
        let engine = self.engines.with_stack(stack);
        engine.map_err(|error| LoadError::Host(format!("WebAssembly: {error:#}")))
    }

    /// What interrupts the guests of its engines.
    pub fn ticker(&self) -> &Arc<Ticker> {
        self.engines.ticker()
    }

    /// A file's program for that engine: from the cache, or compiled by a child and kept there.
    ///
    /// # Errors
    /// It is no handler, is invalid, or too hard to compile.
    pub async fn program(
        &self,
        engine: &Engine,
        file: &[u8],
        hash: &Hash,
    ) -> Result<Program, LoadError> {
        let name = format!("{}-{}", hex::encode(hash), self.suffix);
        let kept = self.cache.as_ref().and_then(|cache| cache.get(&name));
        // Code for another machine's CPU is not loaded, but compiled anew.
        if let Some(program) = kept.and_then(|kept| kept.load(engine).ok()) {
            return Ok(program);
        }
        let compiled = child(file, self.engines.are_counting()).await?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.keep(&name, &compiled)
        {
            tracing::warn!(%error, "compiled code cannot be kept");
        }
        compiled.load(engine).map_err(|error| LoadError::Invalid(format!("{error:#}")))
    }
}

/// Has a file compiled by a child.
async fn child(file: &[u8], counting: bool) -> Result<Compiled, LoadError> {
    let gone = |error| LoadError::Host(format!("the child that compiles: {error}"));
    let mut child = Command::new(PROGRAM)
        .arg0("hookyard")
        .arg(COMPILE)
        .args(counting.then_some(COUNTING))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(gone)?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A child that ends early says why itself.
            let _ended = stdin.write_all(file).await;
        }
    };
    let fed = async { tokio::join!(child.wait_with_output(), feed).0 };
    let Output { status, stdout, stderr } = match tokio::time::timeout(WALL, fed).await {
        Ok(output) => output.map_err(gone)?,
        Err(_elapsed) => return Err(too_hard(file, format!("it took {} s", WALL.as_secs()))),
    };
    match status.code() {
        Some(0) => Ok(Compiled(stdout)),
        Some(1) => Err(LoadError::Refused(message(&stderr))),
        _ => Err(too_hard(file, format!("{status} {}", message(&stderr)))),
    }
}

fn message(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    printable(head(text.trim(), MESSAGE_BYTES)).into_owned()
}

fn too_hard(file: &[u8], ended: String) -> LoadError {
    let (seconds, mib) = limits(file);
    LoadError::TooHard { seconds, mib, ended: ended.trim_end().to_owned() }
}

/// Seconds of CPU time and MiB of memory that compiling a file may take.
fn limits(file: &[u8]) -> (u64, u64) {
    let mib = (file.len() as u64) >> 20;
    (SECONDS + SECONDS_A_MIB * mib, MEMORY_MIB + MEMORY_MIB_A_MIB * mib)
}

/// The child's work: limits the process that it runs in, and compiles a file.
///
/// # Errors
/// It is no handler or is invalid, or the limits cannot be set.
pub fn compile(file: &[u8], counting: bool) -> Result<Vec<u8>, LoadError> {
    let (seconds, mib) = limits(file);
    nice(NICE).map_err(io::Error::from)?;
    limit(Resource::Cpu, seconds)?;
    limit(Resource::Data, mib << 20)?;
    limit(Resource::Core, 0)?;
    let (kind, binary) = inspect::program(file)?;
    let engine =
        engine::compiler(counting).map_err(|error| LoadError::Host(format!("{error:#}")))?;
    let code = match kind {
        Kind::Typed | Kind::Http | Kind::CommandComponent => engine.precompile_component(&binary),
        Kind::CommandModule => engine.precompile_module(&binary),
    };
    let code = code.map_err(|error| match feature::needed(&binary) {
        Some(feature) => LoadError::Feature(feature),
        None => LoadError::Invalid(format!("{error:#}")),
    })?;
    Ok(Compiled::new(kind, code).0)
}

/// The hard limit lies above: at the soft one, the signal still tells which limit it was.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let limit = Rlimit { current: Some(most), maximum: Some(most + 1) };
    Ok(setrlimit(resource, limit)?)
}
