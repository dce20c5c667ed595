//! Compiling, in a child process of this program: a hostile or huge module takes no more than the
//! child may. The code is kept on disk, for the next start and the way back to a version.

use std::fs::{self, DirBuilder, File, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, Rlimit, geteuid, nice, setrlimit};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Hash, LoadError, engine, inspect};
use crate::text::{head, printable};

/// The verb that makes this program the child: a module comes on stdin, its code goes to stdout,
/// and what is wrong with it to stderr with exit code 1.
pub const COMPILE: &str = "compile";

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
/// Bytes of code that are kept on disk; what was not used for longest goes first.
const KEPT_BYTES: u64 = 1 << 30;

/// Gives components from their files.
pub struct Compiler {
    engine: Engine,
    folder: PathBuf,
    /// Code of another engine has another name.
    suffix: String,
}

impl Compiler {
    /// For this engine. The folder is for compiled code alone, and is created if need be.
    ///
    /// # Errors
    /// The folder cannot be created, or others may write to it.
    pub fn new(engine: Engine, folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if !is_private(&fs::metadata(folder)?) {
            let folder = folder.display();
            let what = format!("{folder} must be this user's, with mode 0700: remove it");
            return Err(io::Error::other(what));
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        let suffix = format!("{:016x}", hasher.finish());
        Ok(Self { engine, folder: folder.to_owned(), suffix })
    }

    /// The engine that its components run on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A file's component: from the folder, or compiled by a child and put there.
    ///
    /// # Errors
    /// It is no valid component, or too hard to compile.
    pub async fn component(&self, file: &[u8], hash: &Hash) -> Result<Component, LoadError> {
        let kept = self.folder.join(format!("{}-{}", hex::encode(hash), self.suffix));
        if let Some(component) = self.kept(&kept) {
            return Ok(component);
        }
        let code = child(file).await?;
        if let Err(error) = self.keep(&kept, &code) {
            tracing::warn!(%error, "compiled code cannot be kept");
        }
        deserialize(&self.engine, &code).map_err(|error| LoadError::Invalid(format!("{error:#}")))
    }

    /// What was kept, unless it is damaged or for another machine.
    fn kept(&self, path: &Path) -> Option<Component> {
        let bytes = fs::read(path).ok()?;
        let (digest, code) = bytes.split_first_chunk::<32>()?;
        if Hash::from(Sha256::digest(code)) != *digest {
            return None;
        }
        let component = deserialize(&self.engine, code).ok()?;
        // Best effort: it is only about what goes first.
        let _kept_at = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(component)
    }

    /// Keeps code behind its digest, by which a torn or damaged file is known.
    fn keep(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let new = self.folder.join(format!("new-{}", std::process::id()));
        fs::write(&new, [Sha256::digest(code).as_slice(), code].concat())?;
        fs::rename(&new, path)?;
        self.prune()
    }

    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, freed, path) in files {
            if bytes <= KEPT_BYTES {
                break;
            }
            fs::remove_file(path)?;
            bytes -= freed;
        }
        Ok(())
    }
}

fn is_private(folder: &Metadata) -> bool {
    folder.is_dir() && folder.uid() == geteuid().as_raw() && folder.mode() & 0o077 == 0
}

#[expect(unsafe_code, reason = "there is no safe way to load compiled code")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the code is what a child of this very program made, handed over by its own pipe, or
    // kept since then in a folder that only this user can write to, and unchanged by its digest.
    // The engine itself refuses what was compiled for another version, configuration or CPU.
    unsafe { Component::deserialize(engine, code) }
}

/// Has a file compiled by a child.
async fn child(file: &[u8]) -> Result<Vec<u8>, LoadError> {
    let gone = |error| LoadError::Host(format!("the child that compiles: {error}"));
    let mut child = Command::new(PROGRAM)
        .arg0("hookyard")
        .arg(COMPILE)
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
        Some(0) => Ok(stdout),
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
/// It is no valid component, or the limits cannot be set.
pub fn compile(file: &[u8]) -> Result<Vec<u8>, LoadError> {
    let (seconds, mib) = limits(file);
    nice(NICE).map_err(io::Error::from)?;
    limit(Resource::Cpu, seconds)?;
    limit(Resource::Data, mib << 20)?;
    limit(Resource::Core, 0)?;
    let binary = inspect::component(file)?;
    let engine = engine::compiler().map_err(|error| LoadError::Host(format!("{error:#}")))?;
    engine.precompile_component(&binary).map_err(|error| LoadError::Invalid(format!("{error:#}")))
}

/// The hard limit lies above: at the soft one, the signal still tells which limit it was.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let limit = Rlimit { current: Some(most), maximum: Some(most + 1) };
    Ok(setrlimit(resource, limit)?)
}
