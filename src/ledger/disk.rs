//! The writer's hold on the ledger's file, and what it does when the disk fails.
//!
//! A sync that fails leaves it open what is on the disk: the kernel may drop what was written, go
//! on to show it, and report the next sync as a success. So nothing is written to a connection
//! that failed. It is closed, and opened anew after a while. What is committed is then what
//! SQLite's index of its log knew before: a second connection keeps that index alive, or SQLite
//! would read the log again and might believe in a commit that the disk does not have. The first
//! new commit is written over what the failed one left.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use super::schema::{self, SchemaError};

/// How long to wait before a disk that failed is tried again; each time twice as long.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// No longer than this.
const AT_MOST: Duration = Duration::from_secs(5);
/// The log is brought into the tables when it has this many pages. The more, the longer whoever
/// waits behind it.
const LOG_PAGES: i32 = 1_000;
/// The log of an earlier process is written again in parts of this size.
const COPY_BYTES: usize = 1 << 20;

/// A disk that failed this long ago and has not since is trusted like any other.
const CALM: Duration = Duration::from_secs(60);

/// The connection that writes, while the disk takes what it writes.
pub struct Disk {
    file: PathBuf,
    db: Option<Connection>,
    _keeps_index: Connection,
    /// Pages that the log had after the last commit.
    log_pages: Arc<AtomicI32>,
    failed: Option<Failed>,
}

/// The last failure, and how long to wait after it.
struct Failed {
    at: Instant,
    wait: Duration,
}

impl Disk {
    /// Opens the file, makes sure that the disk has all of it, and reads it with `read`.
    ///
    /// # Errors
    /// It cannot be opened or written, or has a later layout.
    pub fn open<T>(
        file: &Path,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Self, T), SchemaError> {
        write_again(&log_of(file)).map_err(SchemaError::Log)?;
        let db = schema::open_writer(file)?;
        let keeps_index = schema::open_reader(file)?;
        schema::value::<i64>(&keeps_index, "openings")?;
        let (file, log_pages, failed) = (file.to_owned(), Arc::default(), None);
        let mut disk = Self { file, db: None, _keeps_index: keeps_index, log_pages, failed };
        let db = disk.checked(db)?;
        let found = read(&db)?;
        disk.db = Some(db);
        Ok((disk, found))
    }

    /// The connection, unless the disk fails.
    pub fn db(&self) -> Option<&Connection> {
        self.db.as_ref()
    }

    /// When a disk that fails is tried again.
    pub fn again_at(&self) -> Option<Instant> {
        self.failed.as_ref().filter(|_| self.db.is_none()).map(|failed| failed.at + failed.wait)
    }

    /// Gives the connection up for a while.
    pub fn fail(&mut self, error: &SchemaError) {
        if self.db.take().is_some() {
            tracing::error!(%error, "the ledger cannot be written");
        }
        let lately = self.failed.take().filter(|failed| failed.at.elapsed() < CALM);
        let wait = wait_after(lately.map(|failed| failed.wait));
        self.failed = Some(Failed { at: Instant::now(), wait });
    }

    /// Opens the file anew, and reads it with `read`.
    ///
    /// # Errors
    /// The disk still fails.
    pub fn reopen<T>(
        &mut self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SchemaError> {
        let db = self.checked(schema::open_writer(&self.file)?)?;
        let found = read(&db)?;
        self.db = Some(db);
        tracing::info!("the ledger can be written again");
        Ok(found)
    }

    /// Brings the log into the tables when it is long, so that it is written from its start again.
    ///
    /// # Errors
    /// The disk does not take it; see [`Self::fail`].
    pub fn checkpoint(&mut self) -> rusqlite::Result<()> {
        match &self.db {
            Some(db) if self.log_pages.load(Ordering::Relaxed) >= LOG_PAGES => {
                self.log_pages.store(0, Ordering::Relaxed);
                checkpoint(db)
            }
            _ => Ok(()),
        }
    }

    /// A fresh connection, after the disk took a commit and the whole log.
    fn checked(&self, mut db: Connection) -> rusqlite::Result<Connection> {
        let log_pages = self.log_pages.clone();
        db.wal_hook(Some(move |_: &mut _, pages| {
            log_pages.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        schema::count_opening(&db)?;
        checkpoint(&db)?;
        Ok(db)
    }
}

/// How long to wait after a failure; `before` is the wait after another one lately.
fn wait_after(before: Option<Duration>) -> Duration {
    before.map_or(AFTER_FAILURE, |before| (before * 2).min(AT_MOST))
}

/// Not SQLite's own checkpoint after a commit, which would keep its errors to itself, and everyone
/// in the commit waiting. What a reader still needs stays in the log.
fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE).map(drop)
}

fn log_of(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Writes a log that an earlier process left once more, and waits until the disk has it. That
/// process may have seen a sync fail and been killed: then the kernel may show what the disk does
/// not have, and a sync alone would not bring it there.
fn write_again(log: &Path) -> io::Result<()> {
    let file = match File::options().read(true).write(true).open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let (mut at, mut bytes) = (0, vec![0; COPY_BYTES]);
    loop {
        let read = file.read_at(&mut bytes, at)?;
        let Some(bytes) = bytes.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return file.sync_all();
        };
        file.write_all_at(bytes, at)?;
        at += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_an_end() {
        let next = |wait: &Option<Duration>| Some(Some(wait_after(*wait)));
        let waits = std::iter::successors(Some(None), next).flatten().take(8);
        let waits: Vec<u128> = waits.map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }
}
