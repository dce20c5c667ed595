//! A state that nobody keeps, for an attempt that is only tried.

use std::collections::BTreeMap;

use super::{Committed, Listing, PAGE_KEYS, Size, Stored, Unreadable, taken};

/// The version of all that is in it.
const VERSION: u64 = 1;

/// Keys and values, whatever the handler's name.
#[derive(Debug, Default)]
pub struct Scratch(pub BTreeMap<String, Vec<u8>>);

impl Committed for Scratch {
    fn size(&self, _handler: &str) -> Result<Size, Unreadable> {
        let bytes = self.0.iter().map(|(key, value)| taken(key, value)).sum();
        Ok(Size { keys: self.0.len() as u64, bytes })
    }

    fn get(&self, _handler: &str, key: &str) -> Result<Option<Stored>, Unreadable> {
        let value = self.0.get(key).cloned();
        Ok(value.map(|value| Stored { version: VERSION, value }))
    }

    fn list(&self, _handler: &str, skip: u64) -> Result<Listing, Unreadable> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let keys = self.0.keys().skip(skip).take(PAGE_KEYS).cloned().collect();
        Ok(Listing { version: VERSION, keys })
    }
}
