//! What one attempt has done so far.

use std::collections::HashSet;
use std::sync::Arc;

use super::{
    Changes, Committed, DEPTH, EMITTED_BYTES, EMITTED_EVENTS, Effects, Emission, Grants, KEY_BYTES,
    PAGE_KEYS, Refusal, Size, TOUCHED_KEYS, Unreadable, VALUE_BYTES, WRITTEN_BYTES, taken,
};
use crate::text::{head, printable};

/// Bytes of an event type that a message shows.
const KIND_BYTES: usize = 128;

/// What a guest asked for; or why it may not have it; or the ledger cannot tell.
pub type Answer<T> = Result<Result<T, Refusal>, Unreadable>;

/// Stages what an attempt does. It reads what was committed last, and what it wrote itself.
pub struct Staging {
    grants: Arc<Grants>,
    committed: Arc<dyn Committed>,
    /// How many emitted events the event is away from its request.
    depth: u32,
    /// The size of the state with what was written; known when it was first needed.
    size: Option<Size>,
    touched: HashSet<String>,
    written: usize,
    emitted_bytes: usize,
    effects: Effects,
}

/// A page of keys, and where the next begins.
pub type Page = (Vec<String>, Option<u64>);

impl Staging {
    /// For an attempt of this handler with an event of that depth.
    pub fn new(
        handler: Arc<str>,
        grants: Arc<Grants>,
        committed: Arc<dyn Committed>,
        depth: u32,
    ) -> Self {
        let bytes = grants.state.unwrap_or(0);
        let changes = Changes { handler, bytes, ..Changes::default() };
        Self {
            grants,
            committed,
            depth,
            size: None,
            touched: HashSet::new(),
            written: 0,
            emitted_bytes: 0,
            effects: Effects { changes, emitted: Vec::new() },
        }
    }

    /// What was done.
    pub fn into_effects(self) -> Effects {
        self.effects
    }

    /// Whether the handler has a state at all.
    pub fn open(&self) -> Result<(), Refusal> {
        match self.grants.state {
            Some(_) => Ok(()),
            None => Err(Refusal::NoState(self.handler().clone())),
        }
    }

    /// The value of a key.
    pub fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        if let Err(refusal) = self.touch(&key) {
            return Ok(Err(refusal));
        }
        if let Some(written) = self.effects.changes.writes.get(&key) {
            return Ok(Ok(written.clone()));
        }
        let stored = self.committed.get(self.handler(), &key)?;
        let version = stored.as_ref().map(|stored| stored.version);
        // What was seen first must hold: a value that changed since is found out at the end.
        self.effects.changes.reads.entry(key).or_insert(version);
        Ok(Ok(stored.map(|stored| stored.value)))
    }

    /// Writes a key; without a value it is deleted.
    pub fn put(&mut self, key: String, value: Option<Vec<u8>>) -> Answer<()> {
        if let Err(refusal) = self.touch(&key) {
            return Ok(Err(refusal));
        }
        let length = value.as_ref().map_or(0, Vec::len);
        if length > VALUE_BYTES {
            return Ok(Err(Refusal::Value(length)));
        }
        let written = self.written + key.len() + length;
        if written > WRITTEN_BYTES {
            return Ok(Err(Refusal::Written));
        }
        let before = match self.effects.changes.writes.get(&key) {
            Some(written) => written.as_ref().map(|value| taken(&key, value)),
            None => {
                let stored = self.committed.get(self.handler(), &key)?;
                stored.map(|stored| taken(&key, &stored.value))
            }
        };
        let size = match self.size {
            Some(size) => size,
            None => self.committed.size(self.handler())?,
        };
        let after = size.with(before, value.as_ref().map(|value| taken(&key, value)));
        let limit = self.effects.changes.bytes;
        if !after.may_follow(size, limit) {
            return Ok(Err(Refusal::Full { bytes: after.bytes, keys: after.keys, limit }));
        }
        (self.size, self.written) = (Some(after), written);
        self.effects.changes.writes.insert(key, value);
        Ok(Ok(()))
    }

    /// A page of keys, and where the next begins. The keys that are new come last.
    pub fn list(&mut self, cursor: Option<u64>) -> Answer<Page> {
        if let Err(refusal) = self.open() {
            return Ok(Err(refusal));
        }
        let skip = cursor.unwrap_or(0);
        let found = self.committed.list(self.handler(), skip)?;
        let is_last = found.keys.len() < PAGE_KEYS;
        let next = (!is_last).then(|| skip.saturating_add(PAGE_KEYS as u64));
        self.effects.changes.listing.get_or_insert(found.version);
        let mut keys = found.keys;
        keys.retain(|key| self.effects.changes.writes.get(key).is_none_or(Option::is_some));
        if is_last {
            for (key, value) in &self.effects.changes.writes {
                if value.is_some() && self.committed.get(self.handler(), key)?.is_none() {
                    keys.push(key.clone());
                }
            }
        }
        Ok(Ok((keys, next)))
    }

    /// Emits an event.
    pub fn emit(&mut self, kind: String, body: Vec<u8>) -> Result<(), Refusal> {
        if !self.grants.emit.contains(&kind) {
            let kind = printable(head(&kind, KIND_BYTES)).into_owned();
            return Err(Refusal::MayNotEmit { handler: self.handler().clone(), kind });
        }
        if self.depth >= DEPTH {
            return Err(Refusal::TooDeep);
        }
        if self.effects.emitted.len() >= EMITTED_EVENTS {
            return Err(Refusal::Events);
        }
        let bytes = self.emitted_bytes + body.len();
        if bytes > EMITTED_BYTES {
            return Err(Refusal::EventBytes);
        }
        self.emitted_bytes = bytes;
        self.effects.emitted.push(Emission { kind, body: body.into() });
        Ok(())
    }

    fn handler(&self) -> &Arc<str> {
        &self.effects.changes.handler
    }

    /// Counts a key that is read or written.
    fn touch(&mut self, key: &str) -> Result<(), Refusal> {
        self.open()?;
        if key.is_empty() || key.len() > KEY_BYTES {
            return Err(Refusal::Key(key.len()));
        }
        if !self.touched.contains(key) {
            if self.touched.len() >= TOUCHED_KEYS {
                return Err(Refusal::Touched);
            }
            self.touched.insert(key.to_owned());
        }
        Ok(())
    }
}
