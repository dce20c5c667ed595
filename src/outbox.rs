//! From what an attempt did to what the ledger commits: what counts with its outcome, and which
//! routes take the events that it emitted.

use std::time::Duration;

use tokio::time::sleep;

use crate::clock::wall_ms;
use crate::condition::{Facts, Failure};
use crate::delivery::{Next, Outcome};
use crate::effects::Effects;
use crate::event::{Event, EventId};
use crate::ledger::{Append, Attempt, Ledger, Staged, Target};
use crate::metrics::Metrics;
use crate::route::{Mode, Route, Table};

/// How often an attempt is made again because what it read has changed, before that counts as an
/// attempt that failed.
pub const RERUNS: u32 = 8;

/// How long to wait before a disk that failed is given a body again.
const PACK_AGAIN: Duration = Duration::from_millis(100);

/// Where effects go.
#[derive(Clone)]
pub struct Outbox {
    /// Where they are committed.
    pub ledger: Ledger,
    /// What is counted.
    pub metrics: Metrics,
}

impl Outbox {
    /// The effects of an attempt of the event `parent`, ready to be committed with its outcome;
    /// `None` when there is nothing to commit and nothing that must hold.
    pub async fn stage(
        &self,
        (id, parent): (EventId, &Event),
        effects: Effects,
        outcome: &Outcome,
        routes: &Table,
    ) -> Option<Staged> {
        let Effects { changes, emitted } = counting(effects, outcome);
        if changes.is_empty() && emitted.is_empty() {
            return None;
        }
        let mut events = Vec::with_capacity(emitted.len());
        for emission in emitted {
            let kind = emission.kind.as_str().into();
            let event = parent.emitted(id, &changes.handler, kind, emission.body, wall_ms());
            let takers = self.takers(&event, routes);
            events.push(self.pack(&event, takers).await);
        }
        Some(Staged { changes, emitted: events })
    }

    /// Counts an attempt that the ledger has recorded, and what its delivery came to.
    pub fn count(&self, route: &str, attempt: &Attempt, next: &Next) {
        let metrics = &self.metrics;
        let took = attempt.duration.as_secs_f64();
        metrics.attempts.with_label_values(&[route, attempt.outcome.name()]).inc();
        metrics.attempt_duration.with_label_values(&[route]).observe(took);
        metrics.settled.with_label_values(&[route, next.state().name()]).inc();
    }

    /// The routes that take an emitted event. Nobody waits for one, so no sync route does.
    fn takers(&self, event: &Event, routes: &Table) -> Vec<Target> {
        let failed = |route: &Route, failure: &Failure| {
            self.metrics.when_failures.with_label_values(&[&*route.name]).inc();
            tracing::debug!(route = %route.name, cause = %failure, "a condition cannot be answered");
        };
        let facts = Facts::new(event);
        let takers = routes.matching(&facts, failed).filter(|route| route.mode == Mode::Async);
        takers.map(|route| target(&self.ledger, route, event)).collect()
    }

    /// A disk that takes nothing now is asked again: the attempt was made, and must not be in vain.
    async fn pack(&self, event: &Event, targets: Vec<Target>) -> Append {
        loop {
            match self.ledger.emitted(event.clone(), targets.clone()).await {
                Ok(packed) => return packed,
                Err(_) => sleep(PACK_AGAIN).await,
            }
        }
    }
}

/// A route that takes an event, as the ledger needs to know it.
pub fn target(ledger: &Ledger, route: &Route, event: &Event) -> Target {
    let order = route.order(event).map(|value| ledger.order(&value));
    Target { route: route.name.clone(), order, backlog: route.backlog }
}

/// What counts of an attempt's effects. Only an event that was handled has any; but a rejection is
/// final too, and what it was decided on must hold.
pub fn counting(effects: Effects, outcome: &Outcome) -> Effects {
    match outcome {
        Outcome::Ack | Outcome::Reply(_) => effects,
        Outcome::Reject(_) => {
            let mut changes = effects.changes;
            changes.writes.clear();
            Effects { changes, emitted: Vec::new() }
        }
        Outcome::Retry { .. } | Outcome::Trap(_) | Outcome::Timeout(_) | Outcome::Limit(_) => {
            Effects::default()
        }
    }
}

/// What an attempt comes to whose state has changed under it too often.
pub fn outdated() -> Outcome {
    let reason = format!("the state that it read was changed by others, {RERUNS} times in a row");
    Outcome::Retry { after: None, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Reply;
    use crate::effects::{Changes, Emission};

    #[test]
    fn only_an_outcome_that_handled_the_event_has_effects() {
        let effects = || Effects {
            changes: Changes {
                reads: [("r".to_owned(), Some(3))].into(),
                writes: [("w".to_owned(), None)].into(),
                ..Changes::default()
            },
            emitted: vec![Emission { kind: "k".to_owned(), body: Default::default() }],
        };
        let reply = Reply { status: 404, headers: Vec::new(), body: Vec::new() };
        let retry = Outcome::Retry { after: None, reason: String::new() };
        for (outcome, reads, writes, emitted) in [
            (Outcome::Ack, 1, 1, 1),
            (Outcome::Reply(reply), 1, 1, 1),
            (Outcome::Reject(String::new()), 1, 0, 0),
            (retry, 0, 0, 0),
            (Outcome::Trap(String::new()), 0, 0, 0),
            (Outcome::Timeout(Duration::ZERO), 0, 0, 0),
            (Outcome::Limit(String::new()), 0, 0, 0),
        ] {
            let Effects { changes, emitted: left } = counting(effects(), &outcome);
            let found = (changes.reads.len(), changes.writes.len(), left.len());
            assert_eq!(found, (reads, writes, emitted), "{outcome:?}");
        }
    }
}
