//! Settling together with the effects of the attempt: all of it in one transaction, or none.

use super::routes::{Moved, Routes};
use super::tables::Tables;
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
    tables: &mut Tables<'_>,
    settle: &Settle,
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<Ended> {
    let row = &settle.lease.row;
    if !queue::remove(tables, row)? {
        return Ok(Ended::Before);
    }
    if let Some(effects) = &settle.effects
        && !commit(tables, &effects.staged, routes, moved)?
    {
        queue::add(tables, row)?;
        return Ok(Ended::Outdated);
    }
    apply::settle(tables, settle, moved)?;
    Ok(Ended::Now)
}

/// Records one more attempt of a delivery that failed on a sync route, with its effects.
pub fn again(
    tables: &mut Tables<'_>,
    again: &Again,
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<Result<(), AppendError>> {
    if !commit_settled(tables, Some(&again.settled), routes, moved)? {
        return Ok(Err(AppendError::Outdated));
    }
    apply::again(tables, again, moved)?;
    Ok(Ok(()))
}

/// Writes the effects of an attempt that was made before its event was stored, if there was one;
/// false, and nothing written, when what it read has changed.
pub fn commit_settled(
    tables: &mut Tables<'_>,
    settled: Option<&Settled>,
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<bool> {
    match settled.and_then(|settled| settled.effects.as_ref()) {
        Some(staged) => commit(tables, staged, routes, moved),
        None => Ok(true),
    }
}

fn commit(
    tables: &mut Tables<'_>,
    staged: &Staged,
    routes: &mut Routes,
    moved: &mut Moved,
) -> rusqlite::Result<bool> {
    let Staged { changes, emitted } = staged;
    let Some(after) = state::check(tables, changes)? else { return Ok(false) };
    state::write(tables, changes, &after)?;
    for event in emitted {
        // It has no sender who could be asked to come again.
        let room = apply::room(event, routes, moved);
        apply::append(tables, event, &room, routes, moved)?;
    }
    Ok(true)
}
