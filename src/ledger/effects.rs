//! Settling together with the effects of the attempt: all of it in one transaction, or none.

use rusqlite::Connection;

use super::apply::{self, Moved};
use super::queue;
use super::state;
use super::work::{Again, AppendError, Settle, Settled, Staged};

/// What came of settling a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is settled, and may be due again at a stamp.
    Now(Option<u64>),
    /// It was settled before.
    Before,
    /// What its attempt read has changed: nothing was done.
    Outdated,
}

/// Settles a lease, with the effects of its attempt.
pub fn settle(db: &Connection, settle: &Settle, moved: &mut Moved) -> rusqlite::Result<Ended> {
    let Settle { lease, settlement, effects } = settle;
    if let Some(effects) = effects {
        if !queue::holds(db, lease.due_at, lease.key)? {
            return Ok(Ended::Before);
        }
        if !commit(db, &effects.staged, moved)? {
            return Ok(Ended::Outdated);
        }
    }
    Ok(Ended::Now(apply::settle(db, lease, settlement, moved)?))
}

/// Records one more attempt of a delivery that failed on a sync route, with its effects.
pub fn again(
    db: &Connection,
    again: &Again,
    moved: &mut Moved,
) -> rusqlite::Result<Result<(), AppendError>> {
    if !commit_settled(db, Some(&again.settled), moved)? {
        return Ok(Err(AppendError::Outdated));
    }
    apply::again(db, again, moved)?;
    Ok(Ok(()))
}

/// Writes the effects of an attempt that was made before its event was stored, if there was one;
/// false, and nothing written, when what it read has changed.
pub fn commit_settled(
    db: &Connection,
    settled: Option<&Settled>,
    moved: &mut Moved,
) -> rusqlite::Result<bool> {
    match settled.and_then(|settled| settled.effects.as_ref()) {
        Some(staged) => commit(db, staged, moved),
        None => Ok(true),
    }
}

fn commit(db: &Connection, staged: &Staged, moved: &mut Moved) -> rusqlite::Result<bool> {
    let Staged { changes, emitted } = staged;
    let Some(after) = state::check(db, changes)? else { return Ok(false) };
    state::write(db, changes, &after)?;
    emitted.iter().try_for_each(|event| apply::append(db, event, moved))?;
    Ok(true)
}
