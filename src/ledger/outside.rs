//! The ledger of a folder that no server uses, for reading.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use thiserror::Error;

use super::leases::Out;
use super::read::Reader;
use super::spool::Spool;
use super::{routes, schema};

/// Why a folder's ledger cannot be read from here.
#[derive(Debug, Error)]
pub enum OutsideError {
    /// A server has it: it is to be asked.
    #[error("a hookyard uses the ledger in {}", .0.display())]
    InUse(PathBuf),
    /// There is none yet.
    #[error("there is no ledger in {}: `hookyard serve` makes it", .0.display())]
    Missing(PathBuf),
    /// The folder is not this user's.
    #[error("the ledger in {} is not this user's to read", .0.display())]
    Denied(PathBuf),
    /// It was written by another version.
    #[error(
        "the ledger has layout {found} and this hookyard reads layout {known}: start `hookyard serve` to bring an older one up, or use the hookyard that wrote it"
    )]
    Layout {
        /// The layout found.
        found: i64,
        /// The layout that this program reads.
        known: usize,
    },
    /// The system says no.
    #[error("cannot read the ledger: {0}")]
    Io(io::Error),
    /// SQLite says no.
    #[error("cannot read the ledger: {0}")]
    Sqlite(rusqlite::Error),
}

/// It is no source of the error: SQLite's own words are in it already, and its source's are the same.
impl From<rusqlite::Error> for OutsideError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Reader {
    /// A reader of the ledger in the folder `data`, unless a server uses it. The lock is let go
    /// again: a server may start meanwhile, and both are well.
    ///
    /// # Errors
    /// See [`OutsideError`].
    pub fn outside(data: &Path) -> Result<Self, OutsideError> {
        let lock = File::open(data.join("lock")).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OutsideError::Missing(data.to_owned()),
            io::ErrorKind::PermissionDenied => OutsideError::Denied(data.to_owned()),
            _ => OutsideError::Io(error),
        })?;
        lock.try_lock_shared().map_err(|error| match error {
            TryLockError::WouldBlock => OutsideError::InUse(data.to_owned()),
            TryLockError::Error(error) => OutsideError::Io(error),
        })?;
        drop(lock);
        Self::beside(data)
    }

    /// A reader of the ledger in the folder `data`, whoever uses it. What is out for an attempt is
    /// pending to it.
    ///
    /// # Errors
    /// See [`OutsideError`].
    pub fn beside(data: &Path) -> Result<Self, OutsideError> {
        let file = data.join("ledger.db");
        if !file.exists() {
            return Err(OutsideError::Missing(data.to_owned()));
        }
        let db = schema::open_reader(&file)?;
        let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if usize::try_from(found) != Ok(schema::VERSION) {
            return Err(OutsideError::Layout { found, known: schema::VERSION });
        }
        let spool = Arc::new(Spool::new(data.join("bodies")));
        let holds = routes::paused(&db)?;
        let view =
            (schema::value(&db, "tag")?, Out::default(), Arc::new(ArcSwap::from_pointee(holds)));
        Ok(Self::new(file, spool, view))
    }
}
