//! One transaction for all that waits, and what is to be told when it is on disk.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::effects::Ended;
use super::entries::{Entries, Entry};
use super::inbox::Batch;
use super::retain::{Removal, Removed};
use super::routes::{Moved, Routes};
use super::seen::Seen;
use super::tables::Tables;
use super::{Append, AppendError, Receipt, apply, effects, order, replay};
use crate::clock::wall_ms;

/// What one commit did, to be told when it is on disk.
#[derive(Default)]
pub struct Done {
    /// What each event's sender is told, in their order.
    pub receipts: Vec<Result<Receipt, AppendError>>,
    /// What came of each settlement, in their order.
    pub ended: Vec<Ended>,
    /// What came of each further attempt, in their order.
    pub again: Vec<Result<(), AppendError>>,
    /// How many deliveries each replay made pending, in their order.
    pub replayed: Vec<usize>,
    /// The ids that were remembered.
    pub remembered: Entries,
    /// What became of deliveries.
    pub moved: Moved,
    /// No delivery waits for another any more of the route that keeps no order.
    pub released: bool,
    /// What is removed, if it was time to remove something.
    pub removed: Option<Removed>,
}

/// What a transaction changes beside the tables. When it fails, it has to be put back.
pub struct Group<'a> {
    /// The ids that are remembered.
    pub seen: &'a Mutex<Seen>,
    /// The routes.
    pub routes: &'a mut Routes,
    /// The stamp of this moment.
    pub stamp: u64,
    /// A route that keeps no order any more.
    pub unordered: Option<i64>,
    /// Where removing stands.
    pub removal: &'a Removal,
    /// The file is about to be closed.
    pub last: bool,
}

impl Group<'_> {
    /// Commits a batch; `done` says also of a failed one what it did.
    ///
    /// # Errors
    /// Nothing of it is on disk, but where [`is_failed_sync`](super::schema::is_failed_sync).
    pub fn commit(
        &mut self,
        db: &Connection,
        batch: &Batch,
        done: &mut Done,
    ) -> rusqlite::Result<()> {
        let group = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        let written = group.total_changes();
        let tables = &mut Tables::of(db)?;
        for settle in &batch.settles {
            let ended = effects::settle(tables, settle, self.routes, &mut done.moved)?;
            done.ended.push(ended);
        }
        for append in &batch.appends {
            let receipt = self.append(tables, append, done)?;
            done.receipts.push(receipt);
        }
        for again in &batch.again {
            let made = effects::again(tables, again, self.routes, &mut done.moved)?;
            done.again.push(made);
        }
        for pause in &batch.pauses {
            self.routes.pause(&group, &pause.route, pause.paused)?;
        }
        for replay in &batch.replays {
            done.replayed.push(replay::apply(tables, replay, self.routes, &mut done.moved)?);
        }
        if let Some(route) = self.unordered {
            done.released = !order::release(tables, route)?;
        }
        if self.removal.is_due() {
            let remembered = self.seen().oldest();
            done.removed =
                Some(self.removal.step(&group, wall_ms(), remembered, &mut done.moved)?);
        }
        done.remembered.write(&group)?;
        self.routes.write(&group, &done.moved)?;
        // A disk that has nothing to keep is left alone.
        if self.last || group.total_changes() > written {
            apply::count(&group, &done.moved, self.stamp)?;
        }
        group.commit()
    }

    fn append(
        &mut self,
        tables: &mut Tables<'_>,
        append: &Append,
        done: &mut Done,
    ) -> rusqlite::Result<Result<Receipt, AppendError>> {
        let at = append.event.received_at();
        if let Some(same) = append.same
            && let Some(id) = self.seen().first(same, at)
        {
            apply::duplicate(tables, id.seq())?;
            return Ok(Ok(Receipt { id, duplicate: true }));
        }
        let room = apply::room(append, self.routes, &done.moved);
        if apply::is_refused(append, &room) {
            return Ok(Err(AppendError::Full));
        }
        let (settled, moved) = (append.settled.as_deref(), &mut done.moved);
        if !effects::commit_settled(tables, settled, self.routes, moved)? {
            return Ok(Err(AppendError::Outdated));
        }
        apply::append(tables, append, &room, self.routes, moved)?;
        if let Some(same) = append.same {
            let entry = Entry { seq: append.id.seq(), received_at: at, same };
            self.seen().insert(entry);
            done.remembered.push(entry);
        }
        Ok(Ok(Receipt { id: append.id, duplicate: false }))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
