//! The handlers' state: a bucket each, of keys and values.
//!
//! A bucket's version grows with every commit that writes to it, and is the version of what that
//! commit wrote; it is never given twice, since a bucket is never removed. Its `listing` grows with
//! every commit that brings a key or takes one away.

use rusqlite::{Connection, OptionalExtension, params};

use super::read::{ReadError, Reader};
use crate::effects::{Changes, Committed, Listing, PAGE_KEYS, Size, Stored, Unreadable, taken};

/// The row of a bucket; one that there is not yet has the id 0, and no keys.
#[derive(Debug, Default)]
pub struct Bucket {
    id: i64,
    version: u64,
    listing: u64,
    size: Size,
}

/// The handler's bucket as the changes will leave it; `None` when what they rely on holds no more.
pub fn check(db: &Connection, changes: &Changes) -> rusqlite::Result<Option<Bucket>> {
    let bucket = bucket(db, &changes.handler)?;
    for (key, seen) in &changes.reads {
        if version(db, bucket.id, key)? != *seen {
            return Ok(None);
        }
    }
    if changes.listing.is_some_and(|seen| seen != bucket.listing) {
        return Ok(None);
    }
    let (mut size, mut listing) = (bucket.size, bucket.listing);
    for (key, value) in &changes.writes {
        let before = length(db, bucket.id, key)?.map(|length| key.len() as u64 + length);
        let after = value.as_ref().map(|value| taken(key, value));
        size = size.with(before, after);
        if before.is_some() != after.is_some() {
            listing = bucket.listing + 1;
        }
    }
    // Others have filled it meanwhile: the attempt will be told, when it runs again.
    if !size.may_follow(bucket.size, changes.bytes) {
        return Ok(None);
    }
    Ok(Some(Bucket { id: bucket.id, version: bucket.version + 1, listing, size }))
}

/// Writes the changes, which [`check`] has found to hold, within the same transaction.
pub fn write(db: &Connection, changes: &Changes, after: &Bucket) -> rusqlite::Result<()> {
    if changes.writes.is_empty() {
        return Ok(());
    }
    let Bucket { version, listing, size: Size { keys, bytes }, .. } = after;
    let sql = "INSERT INTO bucket(handler, version, listing, keys, bytes) VALUES(?,?,?,?,?)
        ON CONFLICT(handler) DO UPDATE SET version=excluded.version, listing=excluded.listing,
        keys=excluded.keys, bytes=excluded.bytes RETURNING id";
    let row = params![changes.handler, version, listing, keys, bytes];
    let id: i64 = db.prepare_cached(sql)?.query_row(row, |row| row.get(0))?;
    for (key, value) in &changes.writes {
        match value {
            Some(value) => {
                let sql = "INSERT INTO state VALUES(?,?,?,?) ON CONFLICT(bucket, key)
                    DO UPDATE SET version=excluded.version, value=excluded.value";
                db.prepare_cached(sql)?.execute(params![id, key, version, value])?;
            }
            None => {
                let sql = "DELETE FROM state WHERE bucket=? AND key=?";
                db.prepare_cached(sql)?.execute(params![id, key])?;
            }
        }
    }
    Ok(())
}

fn bucket(db: &Connection, handler: &str) -> rusqlite::Result<Bucket> {
    let sql = "SELECT id, version, listing, keys, bytes FROM bucket WHERE handler=?";
    let found = db.prepare_cached(sql)?.query_row([handler], |row| {
        let size = Size { keys: row.get(3)?, bytes: row.get(4)? };
        Ok(Bucket { id: row.get(0)?, version: row.get(1)?, listing: row.get(2)?, size })
    });
    Ok(found.optional()?.unwrap_or_default())
}

fn version(db: &Connection, bucket: i64, key: &str) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT version FROM state WHERE bucket=? AND key=?";
    db.prepare_cached(sql)?.query_row(params![bucket, key], |row| row.get(0)).optional()
}

fn length(db: &Connection, bucket: i64, key: &str) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT length(value) FROM state WHERE bucket=? AND key=?";
    db.prepare_cached(sql)?.query_row(params![bucket, key], |row| row.get(0)).optional()
}

impl From<ReadError> for Unreadable {
    fn from(error: ReadError) -> Self {
        Self(error.to_string())
    }
}

impl Committed for Reader {
    fn size(&self, handler: &str) -> Result<Size, Unreadable> {
        Ok(self.with(|db| Ok(bucket(db, handler)?.size))?)
    }

    fn get(&self, handler: &str, key: &str) -> Result<Option<Stored>, Unreadable> {
        let sql = "SELECT state.version, value FROM state JOIN bucket ON bucket.id=bucket
            WHERE handler=? AND key=?";
        let stored =
            |row: &rusqlite::Row<'_>| Ok(Stored { version: row.get(0)?, value: row.get(1)? });
        Ok(self.with(|db| {
            Ok(db.prepare_cached(sql)?.query_row([handler, key], stored).optional()?)
        })?)
    }

    fn list(&self, handler: &str, skip: u64) -> Result<Listing, Unreadable> {
        Ok(self.with(|db| {
            // One moment for both.
            let _moment = db.unchecked_transaction()?;
            let Bucket { id, listing, .. } = bucket(db, handler)?;
            let sql = "SELECT key FROM state WHERE bucket=? ORDER BY key LIMIT ? OFFSET ?";
            let mut select = db.prepare_cached(sql)?;
            let skip = i64::try_from(skip).unwrap_or(i64::MAX);
            let keys = select.query_map(params![id, PAGE_KEYS, skip], |row| row.get(0))?;
            Ok(Listing { version: listing, keys: keys.collect::<rusqlite::Result<_>>()? })
        })?)
    }
}
