//! Compiled code, kept on disk for the next start and the way back to a version.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::geteuid;
use sha2::{Digest, Sha256};

use super::Hash;
use super::native::Compiled;

/// Bytes that are kept; what was not used for longest goes first.
const KEPT_BYTES: u64 = 1 << 30;

/// A folder of compiled code.
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The folder is for compiled code alone, and is created if need be.
    ///
    /// # Errors
    /// The folder cannot be created, or others may write to it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if !is_private(&fs::metadata(folder)?) {
            let folder = folder.display();
            let what = format!("{folder} must be this user's, with mode 0700: remove it");
            return Err(io::Error::other(what));
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// What was kept under that name, unless it is damaged.
    pub fn get(&self, name: &str) -> Option<Compiled> {
        let path = self.folder.join(name);
        let mut bytes = fs::read(&path).ok()?;
        let (code, digest) = bytes.split_last_chunk::<32>()?;
        if Hash::from(Sha256::digest(code)) != *digest {
            return None;
        }
        let length = code.len();
        bytes.truncate(length);
        // Best effort: it is only about what goes first.
        let _used_at = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(Compiled(bytes))
    }

    /// Keeps code, and behind it its digest, by which a torn or damaged file is known. There it can be
    /// cut off without moving tens of MiB.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn keep(&self, name: &str, Compiled(code): &Compiled) -> io::Result<()> {
        let new = self.folder.join(format!("new-{}", std::process::id()));
        fs::write(&new, [code, Sha256::digest(code).as_slice()].concat())?;
        fs::rename(&new, self.folder.join(name))?;
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
