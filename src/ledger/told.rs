//! What follows a commit: whoever waits for it is told, leases end, and others begin.

use super::body::Packed;
use super::effects::Ended;
use super::group::Done;
use super::inbox::Batch;
use super::queue::Row;
use super::retain::Removed;
use super::routes::Moved;
use super::work::{Answer, Effects};
use super::writer::Writer;
use super::{Append, AppendError, Receipt, Settle, Staged};

impl Writer {
    /// Tells senders that their events are not stored.
    pub(super) fn refuse(appends: impl Iterator<Item = Append>) {
        appends.for_each(|append| tell(append, Err(AppendError::Unavailable)));
    }

    /// Tells everyone what is on disk now.
    pub(super) fn committed(&mut self, batch: Batch, done: Done) {
        let mut moved = done.moved;
        // They nearly are: events get their numbers just before they wait for the writer.
        moved.fresh.sort_unstable_by_key(|row| row.delivery);
        self.done += moved.done;
        self.dead += moved.dead;
        self.routes.moved(&moved);
        self.hold();
        for (settle, ended) in batch.settles.into_iter().zip(done.ended) {
            self.settled(settle, ended, &moved);
        }
        if let Some(removed) = done.removed {
            self.removed(removed);
        }
        moved.next.drain(..).for_each(|row| self.hand_over_next(row));
        if let Some(route) = self.unordered.last() {
            self.leases.behind(*route);
        }
        if done.released {
            self.unordered.pop();
        }
        for (mut append, receipt) in batch.appends.into_iter().zip(done.receipts) {
            if receipt.is_ok_and(|receipt| !receipt.duplicate) {
                self.stored(&mut append, &moved);
                let effects = append.settled.as_mut().and_then(|settled| settled.effects.take());
                self.emitted(effects, &moved);
            }
            tell(append, receipt);
        }
        for (again, made) in batch.again.into_iter().zip(done.again) {
            if made.is_ok() {
                self.emitted(again.settled.effects, &moved);
            }
            let _gone = again.reply.send(made);
        }
        for pause in batch.pauses {
            let _gone = pause.reply.send(Ok(()));
        }
        for (replay, count) in batch.replays.into_iter().zip(done.replayed) {
            let _gone = replay.reply.send(Ok(count));
        }
    }

    /// Old events are gone, and so are their bodies' files soon.
    fn removed(&mut self, removed: Removed) {
        self.removal.stepped(&removed);
        self.metrics.events_removed.inc_by(removed.events);
        self.metrics.ledger_bytes.set(i64::try_from(removed.used).unwrap_or(i64::MAX));
        self.sweeper.remove(removed.files);
    }

    /// A lease has come to its end, or goes back to whoever had it.
    fn settled(&mut self, settle: Settle, ended: Ended, moved: &Moved) {
        let Settle { lease, effects, .. } = settle;
        let Row { route, delivery, .. } = lease.row;
        let back = if ended == Ended::Outdated { Err(lease) } else { Ok(()) };
        let is_back = back.is_err();
        let (staged, told) = match effects.map(|effects| *effects) {
            Some(Effects { staged, reply }) => (Some(staged), reply.send(back).is_ok()),
            None => (None, false),
        };
        if is_back && told {
            return;
        }
        match ended {
            Ended::Now => {
                self.leases.end(route, delivery);
                self.emitted(staged, moved);
            }
            Ended::Before => {}
            // Nobody makes the attempt again: the delivery waits in the queue.
            Ended::Outdated => {
                self.leases.end(route, delivery);
                self.leases.behind(route);
            }
        }
    }

    /// The events that an attempt emitted are durable.
    fn emitted(&mut self, effects: Option<Staged>, moved: &Moved) {
        for mut event in effects.into_iter().flat_map(|staged| staged.emitted) {
            self.stored(&mut event, moved);
        }
    }

    /// A new event is durable: its body's file is its own, and its deliveries are leased.
    fn stored(&mut self, append: &mut Append, moved: &Moved) {
        if let Packed::Spooled(file) = &mut append.body {
            file.leave();
        }
        self.metrics.events_stored.with_label_values(&[append.event.source()]).inc();
        self.hand_over_fresh(append, moved.fresh_of(append.id.seq()));
    }
}

/// Tells whoever waits for an event.
fn tell(mut append: Append, receipt: Result<Receipt, AppendError>) {
    if let Some(reply) = append.reply.take() {
        // A file that no event owns is removed here: whoever waits has others waiting.
        let _made_of = Some(append).filter(|append| !matches!(append.body, Packed::Spooled(_)));
        let _gone = reply.send(Answer { receipt, _made_of });
    }
}
