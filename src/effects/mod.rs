//! Effects: what an attempt writes to its handler's state, and what it emits. They are staged while
//! the guest runs, and committed with what settles its delivery, or not at all.

mod refusal;
mod scratch;
mod staging;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

pub use refusal::Refusal;
pub use scratch::Scratch;
pub use staging::{Answer, Staging};

/// Bytes of a key at the most; an empty one is refused.
pub const KEY_BYTES: usize = 1024;
/// Bytes of a value at the most.
pub const VALUE_BYTES: usize = 256 * 1024;
/// Keys of a handler's state at the most.
pub const KEYS: u64 = 100_000;
/// Keys that an attempt may read or write: each is looked at again when it is committed.
pub const TOUCHED_KEYS: usize = 1_000;
/// Bytes of keys and values that an attempt may write.
pub const WRITTEN_BYTES: usize = 1024 * 1024;
/// Keys of one page of a list.
pub const PAGE_KEYS: usize = 1_000;

/// Events that an attempt may emit.
pub const EMITTED_EVENTS: usize = 100;
/// Bytes of their bodies together.
pub const EMITTED_BYTES: usize = 1024 * 1024;
/// How many events may lie between an event and the request that it goes back to, itself included.
pub const DEPTH: u32 = 8;

/// What router.toml lets a handler do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Bytes of keys and values that its state may hold; `None`: it has no state.
    pub state: Option<u64>,
    /// The event types that it may emit.
    pub emit: BTreeSet<String>,
}

/// The state of all handlers, as it was last committed.
pub trait Committed: Send + Sync {
    /// How large a handler's state is.
    ///
    /// # Errors
    /// It cannot be read.
    fn size(&self, handler: &str) -> Result<Size, Unreadable>;

    /// The value of a key.
    ///
    /// # Errors
    /// It cannot be read.
    fn get(&self, handler: &str, key: &str) -> Result<Option<Stored>, Unreadable>;

    /// Up to [`PAGE_KEYS`] keys in order, without the first `skip`.
    ///
    /// # Errors
    /// They cannot be read.
    fn list(&self, handler: &str, skip: u64) -> Result<Listing, Unreadable>;
}

/// The state cannot be read: whatever a guest made of that would be wrong.
#[derive(Debug, Error)]
#[error("the handler's state cannot be read: {0}")]
pub struct Unreadable(pub String);

/// How large a state is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its keys.
    pub keys: u64,
    /// Bytes of its keys and values.
    pub bytes: u64,
}

impl Size {
    /// The size after a key was written that took `before` bytes, if it was there, and takes
    /// `after` bytes now, if it still is.
    pub fn with(self, before: Option<u64>, after: Option<u64>) -> Self {
        let count = |there: Option<u64>| u64::from(there.is_some());
        Self {
            keys: (self.keys + count(after)).saturating_sub(count(before)),
            bytes: (self.bytes + after.unwrap_or(0)).saturating_sub(before.unwrap_or(0)),
        }
    }

    /// Whether a state may come to this size from that one: within the limits, or to less. An
    /// operator may have lowered them since.
    pub fn may_follow(self, before: Self, bytes: u64) -> bool {
        (self.keys <= KEYS || self.keys <= before.keys)
            && (self.bytes <= bytes || self.bytes <= before.bytes)
    }
}

/// Bytes that a key takes with its value.
pub fn taken(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

/// A value that is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Grows with every commit that writes to the handler's state.
    pub version: u64,
    /// The value.
    pub value: Vec<u8>,
}

/// A page of keys that are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Grows with every commit that brings a key or takes one away.
    pub version: u64,
    /// The keys.
    pub keys: Vec<String>,
}

/// What an attempt did.
#[derive(Debug, Default)]
pub struct Effects {
    /// To its handler's state.
    pub changes: Changes,
    /// The events that it emitted, in order.
    pub emitted: Vec<Emission>,
}

/// What an attempt did to its handler's state, and what it relied on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The handler's name.
    pub handler: Arc<str>,
    /// The version of each key that was read; `None`: it was not there.
    pub reads: BTreeMap<String, Option<u64>>,
    /// The version of the list of keys, if that was read.
    pub listing: Option<u64>,
    /// The new value of each key that was written; `None`: it is deleted.
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
    /// Bytes that the state may hold.
    pub bytes: u64,
}

/// An event that a handler emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// Its event type, which was granted.
    pub kind: String,
    /// Its body.
    pub body: Bytes,
}

impl Effects {
    /// Whether there is nothing to commit, and nothing that must hold.
    pub fn is_empty(&self) -> bool {
        self.emitted.is_empty() && self.changes.is_empty()
    }
}

impl Changes {
    /// Whether nothing was read or written.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.listing.is_none() && self.writes.is_empty()
    }
}
