//! A copy of a ledger, made while it is used.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::read::Reader;
use super::{OutsideError, hold};
use crate::destination;
use crate::handover;

/// Why there is no copy.
#[derive(Debug, Error)]
pub enum BackupError {
    /// It would be written over something.
    #[error("{} is there already, and a backup replaces nothing", .0.display())]
    Exists(PathBuf),
    /// Too little would stay free for the server that writes to the same disk.
    #[error(
        "{needed} bytes would be copied to a disk with {free} free ones, of which `min_free` keeps {least}"
    )]
    Space {
        /// Bytes of the copy, at the most.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// Bytes that stay free.
        least: u64,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] OutsideError),
    /// A file cannot be read or written.
    #[error("cannot copy to {}: {error}", .path.display())]
    Io {
        /// Where to.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// SQLite says no.
    #[error("cannot copy the ledger: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Bodies that are files of their own.
    pub bodies: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// The folder in which a copy is made, until it is whole. It is removed if it never is.
struct Unfinished {
    path: PathBuf,
    is_whole: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_whole {
            let _left = fs::remove_dir_all(&self.path);
        }
    }
}

/// Where the copy that is to be at `to` is made.
pub fn unfinished(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

/// Copies the ledger of the folder `data` to the folder `to`, which appears when the disk has all of
/// it: a data folder of its own, as of one moment after this was called. `least` bytes of the disk
/// stay free.
///
/// # Errors
/// See [`BackupError`]; nothing is left at `to`.
pub fn copy(data: &Path, to: &Path, least: u64) -> Result<Copied, BackupError> {
    // Whether there is a ledger that this program can read.
    Reader::beside(data)?;
    let bodies = data.join("bodies");
    let held = hold::all(&bodies).map_err(at(&bodies))?;
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let mut new = Unfinished { path: unfinished(to), is_whole: false };
    let made = DirBuilder::new().mode(0o700).create(&new.path);
    if let Err(error) = made {
        // It is another's, or what is left of one that was killed.
        new.is_whole = true;
        return Err(at(&new.path)(error));
    }
    check_space(data, &new.path, least)?;
    let mut copied = ledger(&data.join("ledger.db"), &new.path.join("ledger.db"))?;
    copied.add(names(&new.path.join("ledger.db"))?, &bodies, &new.path.join("bodies"))?;
    drop(held);
    let secrets = handover::folder(data);
    copied.bytes += files(&secrets, &handover::folder(&new.path))?;
    let key = data.join(destination::FILE);
    if key.exists() {
        copied.bytes += file(&key, &new.path.join(destination::FILE))?;
    }
    sync(&new.path)?;
    fs::rename(&new.path, to).map_err(at(to))?;
    new.is_whole = true;
    sync(to.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new(".")))?;
    Ok(copied)
}

fn check_space(data: &Path, to: &Path, least: u64) -> Result<(), BackupError> {
    let db = open(&data.join("ledger.db"))?;
    let pages = |sql| db.query_row(sql, [], |row| row.get::<_, u64>(0));
    let used = pages("PRAGMA page_count")?.saturating_sub(pages("PRAGMA freelist_count")?);
    let spooled: u64 = super::schema::value(&db, "spooled_bytes")?;
    let needed = used * super::schema::PAGE_BYTES + spooled;
    let disk = rustix::fs::statvfs(to).map_err(|error| at(to)(error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < needed.saturating_add(least) {
        return Err(BackupError::Space { needed, free, least });
    }
    Ok(())
}

/// Writes the database as it is at one moment to a new file, without what is free in it.
fn ledger(from: &Path, to: &Path) -> Result<Copied, BackupError> {
    let db = open(from)?;
    let name = to.to_str().ok_or_else(|| at(to)(io::ErrorKind::InvalidFilename.into()))?;
    db.execute("VACUUM INTO ?", [name])?;
    let file = File::open(to).map_err(at(to))?;
    file.sync_all().map_err(at(to))?;
    fs::set_permissions(to, private()).map_err(at(to))?;
    Ok(Copied { bodies: 0, bytes: file.metadata().map_err(at(to))?.len() })
}

fn private() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o600)
}

/// A connection that may write to other files than the ledger's.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(db)
}

/// The files that events of a ledger own.
fn names(ledger: &Path) -> Result<Vec<String>, BackupError> {
    let db = open(ledger)?;
    let mut select = db.prepare("SELECT name FROM spooled")?;
    let names = select.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

impl Copied {
    fn add(&mut self, names: Vec<String>, from: &Path, to: &Path) -> Result<(), BackupError> {
        DirBuilder::new().mode(0o700).create(to).map_err(at(to))?;
        for name in names {
            self.bytes += file(&from.join(&name), &to.join(&name))?;
            self.bodies += 1;
        }
        sync(to)
    }
}

/// Copies the files of a folder, if it is there; gives their bytes.
fn files(from: &Path, to: &Path) -> Result<u64, BackupError> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(at(from))?,
    };
    DirBuilder::new().mode(0o700).create(to).map_err(at(to))?;
    let mut bytes = 0;
    for entry in entries {
        let name = entry.map_err(at(from))?.file_name();
        bytes += file(&from.join(&name), &to.join(&name))?;
    }
    sync(to)?;
    Ok(bytes)
}

fn file(from: &Path, to: &Path) -> Result<u64, BackupError> {
    let bytes = fs::copy(from, to).map_err(at(to))?;
    sync(to)?;
    Ok(bytes)
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |error| BackupError::Io { path: path.to_owned(), error }
}
