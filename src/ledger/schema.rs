//! The ledger's tables, and how its file is opened.
//!
//! A delivery's key is its event's `seq` and its own number among that event's deliveries, so an
//! event's deliveries are one range of keys. A fresh delivery is a row of `queue` alone, due at 0;
//! its row in `delivery` is written when its first attempt is settled, with that attempt in it.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use thiserror::Error;

/// What makes each layout from the one before; the first makes it from nothing. Steps are only ever
/// appended: files that older programs wrote went through them as they stand.
const STEPS: &[&str] = &[
    include_str!("layout/1.sql"),
    include_str!("layout/2.sql"),
    include_str!("layout/3.sql"),
    include_str!("layout/4.sql"),
    include_str!("layout/5.sql"),
    include_str!("layout/6.sql"),
    include_str!("layout/7.sql"),
];

/// The layout that this program writes.
pub const VERSION: usize = STEPS.len();

/// Bytes of one page of the file.
pub const PAGE_BYTES: u64 = 4_096;

/// Bits of a delivery's key that number it among its event's deliveries.
pub const ORDINAL_BITS: u32 = 16;

/// Why the ledger's file cannot be used.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// It was written by a later hookyard.
    #[error(
        "the ledger has layout {found}, this hookyard knows layout {VERSION} and older: use the hookyard that wrote it, or a later one"
    )]
    Newer {
        /// The layout found in the file.
        found: i64,
    },
    /// The log that an earlier process left cannot be written.
    #[error("its log cannot be written: {0}")]
    Log(io::Error),
    /// SQLite says no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Whether a commit that failed with that may be found on the disk later nevertheless: all of it was
/// written.
pub fn is_failed_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_IOERR_FSYNC)
}

/// Opens the writer's connection; makes the tables in a new file, brings those of an older one up.
///
/// # Errors
/// The file cannot be opened or written, is no database, or has a later layout.
pub fn open_writer(file: &Path) -> Result<Connection, SchemaError> {
    let mut db = Connection::open(file)?;
    db.busy_timeout(Duration::from_secs(5))?;
    let missing = missing_steps(&db, STEPS)?;
    db.execute_batch(
        "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-32768; PRAGMA temp_store=MEMORY;",
    )?;
    db.set_prepared_statement_cache_capacity(64);
    bring_up(&mut db, missing, VERSION)?;
    Ok(db)
}

/// Counts that the file was opened to be written: the smallest commit, which shows whether the disk
/// takes any.
///
/// # Errors
/// It does not.
pub fn count_opening(db: &Connection) -> rusqlite::Result<()> {
    db.execute("UPDATE ledger SET value=value+1 WHERE name='openings'", []).map(drop)
}

/// The steps that the file has not been through.
///
/// # Errors
/// The file is no database, or has been through more.
pub fn missing_steps<'a>(
    db: &Connection,
    steps: &'a [&'a str],
) -> Result<&'a [&'a str], SchemaError> {
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let missing = usize::try_from(found).ok().and_then(|found| steps.get(found..));
    missing.ok_or(SchemaError::Newer { found })
}

/// Goes through the `missing` steps, all or none; the file has the layout `version` then.
///
/// # Errors
/// The file cannot be written, or does not hold what its layout says.
pub fn bring_up(db: &mut Connection, missing: &[&str], version: usize) -> rusqlite::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let all = db.transaction()?;
    missing.iter().try_for_each(|step| all.execute_batch(step))?;
    all.pragma_update(None, "user_version", version)?;
    all.commit()
}

/// Opens a connection that reads what is committed.
///
/// # Errors
/// The file cannot be opened.
pub fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.execute_batch("PRAGMA query_only=1; PRAGMA cache_size=-8000;")?;
    Ok(db)
}

/// Reads one of the ledger's own values.
///
/// # Errors
/// It is not there, or not of that kind: the file is damaged.
pub fn value<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> rusqlite::Result<T> {
    db.query_row("SELECT value FROM ledger WHERE name=?", [name], |row| row.get(0))
}

/// The highest event number that the ledger has given away, 0 when none.
///
/// # Errors
/// The file cannot be read.
pub fn last_seq(db: &Connection) -> rusqlite::Result<u64> {
    let events: Option<i64> = db.query_row("SELECT max(seq) FROM event", [], |row| row.get(0))?;
    let ids: Option<i64> = db.query_row("SELECT max(last) FROM dedupe", [], |row| row.get(0))?;
    let delivery: Option<i64> = db
        .query_row("SELECT id FROM delivery ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
        .optional()?;
    let removed: Option<i64> = Some(value(db, "last_seq")?);
    let delivery = delivery.map(|id| id >> ORDINAL_BITS);
    let highest = events.max(ids).max(delivery).max(removed).unwrap_or(0);
    Ok(u64::try_from(highest).unwrap_or(0))
}
