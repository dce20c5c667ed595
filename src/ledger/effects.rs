//! Settling together with the effects of the attempt: all of it in one transaction, or none.

use rusqlite::Connection;

use super::routes::{Moved, Routes};
use super::work::{Again, AppendError, Settle, Settled, Staged};
use super::{apply, queue, state};

/// What came of settling a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is settled.
    Now,
    /// It was settled before, and its delivery may be leased again: nothing was done.
    Before,
    /// What its attempt read has changed: nothing was done.
    Outdated,
}

/// Settles a lease, with the effects of its attempt.
pub fn settle(
    db: &Connection,
    settle: &Settle,
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<Ended> {
    let row = &settle.lease.row;
    if !queue::remove(db, row)? {
        return Ok(Ended::Before);
    }
    if let Some(effects) = &settle.effects
        && !commit(db, &effects.staged, routes, moved)?
    {
        queue::add(db, row)?;
        return Ok(Ended::Outdated);
    }
    apply::settle(db, settle, moved)?;
    Ok(Ended::Now)
}

/// Records one more attempt of a delivery that failed on a sync route, with its effects.
pub fn again(
    db: &Connection,
    again: &Again,
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<Result<(), AppendError>> {
    if !commit_settled(db, Some(&again.settled), routes, moved)? {
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
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<bool> {
    match settled.and_then(|settled| settled.effects.as_ref()) {
        Some(staged) => commit(db, staged, routes, moved),
        None => Ok(true),
    }
}

fn commit(
    db: &Connection,
    staged: &Staged,
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<bool> {
    let Staged { changes, emitted } = staged;
    let Some(after) = state::check(db, changes)? else { return Ok(false) };
    state::write(db, changes, &after)?;
    for event in emitted {
        // It has no sender who could be asked to come again.
        let room = apply::room(event, routes, moved);
        apply::append(db, event, &room, routes, moved)?;
    }
    Ok(true)
}
