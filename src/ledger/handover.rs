//! What is due leaves the writer: fresh deliveries from memory after their commit, others from the
//! queue.

use std::sync::Arc;

use super::leases::{Handover, Wanted};
use super::queue::{self, Row};
use super::writer::Writer;
use super::{Append, Lease};
use crate::event::{Event, EventId};

/// How long to wait before a queue that could not be read is read again, in milliseconds.
const READ_AGAIN: u64 = 100;

impl Writer {
    /// An event's deliveries that are due go straight to their attempts, event and all, where
    /// there is room for them.
    pub(super) fn hand_over_fresh(&mut self, append: &Append, due: &[Row]) {
        for row in due {
            let event = match self.leases.fresh(row.route, row.delivery, append.held()) {
                Handover::WithEvent => Some((append.id, append.event.clone())),
                Handover::KeyOnly => None,
                Handover::Queued => continue,
            };
            self.hand_over(*row, event);
        }
    }

    /// A delivery came into the queue when another was settled.
    pub(super) fn hand_over_next(&mut self, row: Row) {
        if row.due_at > queue::AT_ONCE {
            self.leases.due(row.route, row.due_at);
        } else if self.leases.fresh(row.route, row.delivery, 0) != Handover::Queued {
            self.hand_over(row, None);
        }
    }

    /// Leases what the queue holds and is due.
    pub(super) fn lease_from_queue(&mut self) {
        let now = self.stamps.now();
        let Some(db) = self.disk.db() else { return };
        let mut leased = Vec::new();
        for Wanted { route, out, room } in self.leases.wanted(now) {
            let found = match queue::due(db, route, now, out + room) {
                Ok(found) => found,
                Err(error) => {
                    let say = |_| tracing::error!(%error, "the ledger's queue cannot be read");
                    self.troubled.say(say);
                    self.leases.read(route, true, Some(now + READ_AGAIN));
                    continue;
                }
            };
            let is_free = |row: &Row| !self.leases.is_out(row.delivery);
            let free: Vec<Row> = found.due.into_iter().filter(is_free).collect();
            self.leases.read(route, free.len() <= room && !found.more, found.next);
            leased.extend(free.into_iter().take(room));
        }
        for row in leased {
            self.leases.queued(row.route, row.delivery);
            self.hand_over(row, None);
        }
    }

    fn hand_over(&self, row: Row, event: Option<(EventId, Arc<Event>)>) {
        // Every route of the queue is known.
        let Some(route) = self.routes.name(row.route).cloned() else { return };
        // Refused only when dispatch has ended; then nobody waits for it.
        let _ended = self.to_dispatch.try_send(Lease { row, route, event });
    }
}
