//! What handlers emitted of events, as far as it is still there.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use super::read::{ReadError, Reader};
use crate::effects::Emission;
use crate::event::{EMITTED, EventId, PARENT};

/// Events looked at within one moment: a reader that stays long keeps the log from being used again.
const LOOKED_AT: usize = 10_000;

const EVENTS: &str = "SELECT seq, source, attributes FROM event WHERE seq>? ORDER BY seq LIMIT ?";

/// The numbers of emitted events in order of arrival, by the event and the handler that they are of.
pub type Descent = HashMap<(EventId, String), Vec<u64>>;

impl Reader {
    /// The events that handlers emitted of these.
    ///
    /// # Errors
    /// The disk does not give them.
    pub fn descent(&self, parents: &HashSet<EventId>) -> Result<Descent, ReadError> {
        let mut descent = Descent::new();
        let Some(first) = parents.iter().map(|id| id.seq()).min() else { return Ok(descent) };
        let mut after = Some(first.cast_signed());
        while let Some(last) = after {
            after = self.with(|db| {
                let mut select = db.prepare_cached(EVENTS)?;
                let mut rows = select.query(params![last, LOOKED_AT])?;
                let (mut looked_at, mut last) = (0, None);
                while let Some(row) = rows.next()? {
                    let seq: i64 = row.get(0)?;
                    (looked_at, last) = (looked_at + 1, Some(seq));
                    let source = row.get_ref(1)?.as_str().unwrap_or_default();
                    let Some(handler) = source.strip_prefix(EMITTED) else { continue };
                    let Some(parent) = parent(row.get_ref(2)?.as_str().unwrap_or_default()) else {
                        continue;
                    };
                    if parents.contains(&parent) {
                        let of = (parent, handler.to_owned());
                        descent.entry(of).or_default().push(seq.cast_unsigned());
                    }
                }
                Ok(last.filter(|_| looked_at == LOOKED_AT))
            })?;
        }
        Ok(descent)
    }

    /// What was emitted as the event of that number.
    ///
    /// # Errors
    /// It was removed meanwhile, or the disk does not give it.
    pub fn emission(&self, seq: u64) -> Result<Emission, ReadError> {
        self.with(|db| {
            let (_, event) = self.whole(db, seq.cast_signed())?;
            Ok(Emission { kind: event.kind().to_string(), body: event.body().clone() })
        })
    }
}

/// The event in answer to which one of these attributes was emitted.
fn parent(attributes: &str) -> Option<EventId> {
    let attributes: Vec<(String, String)> = serde_json::from_str(attributes).ok()?;
    let (_, parent) = attributes.iter().find(|(name, _)| name == PARENT)?;
    parent.parse().ok()
}
