//! The ledger's tables, and how its file is opened.
//!
//! A delivery's key is its event's `seq` and its own number among that event's deliveries, so an
//! event's deliveries are one range of keys. A fresh delivery is a row of `queue` alone, due at 0;
//! its row in `delivery` is written when its first attempt is settled, with that attempt in it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use thiserror::Error;

/// The layout that this program writes.
pub const VERSION: i64 = 1;

/// Bits of a delivery's key that number it among its event's deliveries.
pub const ORDINAL_BITS: u32 = 16;

const TABLES: &str = "
CREATE TABLE ledger(name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE event(
  seq INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL,
  source TEXT NOT NULL,
  type TEXT NOT NULL,
  secret INTEGER,
  routes INTEGER NOT NULL,
  attributes TEXT NOT NULL,
  headers BLOB NOT NULL,
  form INTEGER NOT NULL,
  body BLOB NOT NULL) STRICT;
CREATE TABLE dedupe(
  seq INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL,
  hash BLOB NOT NULL) STRICT;
CREATE TABLE duplicate(seq INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
CREATE TABLE queue(
  due_at INTEGER NOT NULL,
  delivery INTEGER NOT NULL,
  route TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  PRIMARY KEY(due_at, delivery)) STRICT, WITHOUT ROWID;
CREATE TABLE waiting(
  route TEXT NOT NULL,
  key BLOB NOT NULL,
  delivery INTEGER NOT NULL,
  PRIMARY KEY(route, key, delivery)) STRICT, WITHOUT ROWID;
CREATE TABLE delivery(
  id INTEGER PRIMARY KEY,
  route TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  due_at INTEGER,
  cause TEXT,
  started_at INTEGER,
  duration INTEGER,
  outcome TEXT,
  error TEXT,
  version TEXT,
  logs TEXT) STRICT;
CREATE INDEX unsettled ON delivery(state, id) WHERE state <> 'done';
CREATE TABLE attempt(
  delivery INTEGER NOT NULL,
  n INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  error TEXT,
  version TEXT NOT NULL,
  logs TEXT,
  PRIMARY KEY(delivery, n)) STRICT, WITHOUT ROWID;
CREATE TABLE reply(
  delivery INTEGER PRIMARY KEY,
  status INTEGER NOT NULL,
  headers BLOB NOT NULL,
  body BLOB NOT NULL) STRICT;
INSERT INTO ledger VALUES
  ('tag', abs(random()) % 4294967296), ('dedupe_key', randomblob(16)),
  ('pending', 0), ('done', 0), ('dead', 0), ('parked', 0);
";

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
    /// SQLite says no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Opens the writer's connection; makes the tables in a new file.
///
/// # Errors
/// The file cannot be opened or written, is no database, or has a later layout.
pub fn open_writer(file: &Path) -> Result<Connection, SchemaError> {
    let mut db = Connection::open(file)?;
    db.busy_timeout(Duration::from_secs(5))?;
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if !(0..=VERSION).contains(&found) {
        return Err(SchemaError::Newer { found });
    }
    db.execute_batch(
        "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY;",
    )?;
    db.set_prepared_statement_cache_capacity(32);
    if found == 0 {
        let fresh = db.transaction()?;
        fresh.execute_batch(TABLES)?;
        fresh.pragma_update(None, "user_version", VERSION)?;
        fresh.commit()?;
    }
    // Changes nothing, but shows whether the disk takes a commit.
    db.execute("UPDATE ledger SET value=value WHERE name='pending'", [])?;
    Ok(db)
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
    let ids: Option<i64> = db.query_row("SELECT max(seq) FROM dedupe", [], |row| row.get(0))?;
    let delivery: Option<i64> = db
        .query_row("SELECT id FROM delivery ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
        .optional()?;
    let highest = events.max(ids).max(delivery.map(|id| id >> ORDINAL_BITS)).unwrap_or(0);
    Ok(u64::try_from(highest).unwrap_or(0))
}
