//! The public side: bytes in; verified, stored, and only then answered.

mod answer;
mod handshake;
mod peers;
mod prove;
mod sync;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::condition::{Facts, Failure};
use crate::event::Event;
use crate::handover::Handovers;
use crate::ledger::{AppendError, Ledger, Receipt, Sameness};
use crate::metrics::{Metrics, NO_SOURCE};
use crate::outbox;
use crate::refused::Refused;
use crate::reload::Asker;
use crate::route::{Mode, Route};
use crate::server::Budget;
use crate::server::body::{BodyError, Rate};
use crate::snapshot::{Current, Snapshot};
use crate::source::{Identity, Source, Unrouted};
use crate::target::Target;
use crate::text::head;
use crate::verify;
use crate::verify::handshake::{Unfit, Welcome};
pub use answer::Answer;
pub use peers::Peers;
use prove::Proven;
pub use sync::Attempts;
use sync::Work;

/// Bytes of a sender's own event id that are kept to be shown; all of them count.
const SENDER_ID_BYTES: usize = 1024;

/// What requests are answered from.
pub struct Ingress {
    /// Sources and routes.
    pub current: Current,
    /// Where events are stored.
    pub ledger: Ledger,
    /// The attempts that senders wait for.
    pub attempts: Attempts,
    /// The memory of all bodies in flight.
    pub bodies: Budget,
    /// The least speed of a body.
    pub rate: Rate,
    /// Secrets that senders hand over.
    pub handovers: Arc<Handovers>,
    /// Where a reload is asked for, to have such a secret in force.
    pub reload: Asker,
    /// Who was refused how often.
    pub peers: Peers,
    /// What was refused last.
    pub refused: Arc<Refused>,
    /// What it counts.
    pub metrics: Metrics,
}

/// How a request ended, for its answer and the metrics.
enum Ended {
    Stored(Receipt),
    /// A sync route took it; true: it was known.
    Sync(sync::Ended, bool),
    /// No route takes it, and the source wants it forgotten.
    Dropped,
    NotFound,
    WrongMethod,
    /// It was no event, and is answered as its sender prescribes.
    Welcomed(Welcome),
    /// The like, and what would be sent back is not fit for it.
    Unfit(Unfit),
    Refused,
    /// Refused, or not even looked at: the caller was refused too often, and has to wait.
    Shunned(Duration),
    /// Verified, and more than the source may send: it has to wait.
    Limited(Duration),
    Body(BodyError),
    /// The source requires an event type, and it has none.
    Untyped,
    /// A route that takes it has too much to do already.
    Full,
    Unavailable,
}

impl Ended {
    /// The metrics' `result` label.
    fn label(&self) -> &'static str {
        match self {
            Self::Stored(Receipt { duplicate: false, .. }) => "accepted",
            Self::Stored(Receipt { duplicate: true, .. }) => "duplicate",
            Self::Sync(sync::Ended::Done(..), false) => "accepted",
            Self::Sync(sync::Ended::Done(..), true) => "duplicate",
            Self::Sync(sync::Ended::Unavailable, _) => "unavailable",
            Self::Full | Self::Sync(sync::Ended::Full, _) => "backlog_full",
            Self::Sync(..) => "failed",
            Self::Dropped => "dropped",
            Self::NotFound => "not_found",
            Self::WrongMethod => "wrong_method",
            Self::Welcomed(_) => "handshake",
            Self::Unfit(_) => "bad_handshake",
            Self::Refused => "unauthorized",
            Self::Shunned(_) => "shunned",
            Self::Limited(_) => "rate_limited",
            Self::Body(BodyError::TooLarge) => "too_large",
            Self::Body(BodyError::TooSlow) => "too_slow",
            Self::Body(BodyError::OverBudget) => "over_budget",
            Self::Body(BodyError::Broken) => "broken",
            Self::Untyped => "untyped",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether the event is in the ledger.
    fn is_durable(&self) -> bool {
        match self {
            Self::Stored(_) => true,
            Self::Sync(ended, _) => !matches!(ended, sync::Ended::Full | sync::Ended::Unavailable),
            _ => false,
        }
    }

    fn answer(&self, source: Option<&Source>) -> Answer {
        match self {
            Self::Stored(receipt) => {
                answer::stored(source.and_then(|s| s.reply.as_ref()), *receipt)
            }
            Self::Sync(ended, known) => {
                answer::sync(source.and_then(|s| s.reply.as_ref()), ended, *known)
            }
            Self::Dropped => answer::dropped(source.and_then(|s| s.reply.as_ref())),
            Self::NotFound => answer::error(StatusCode::NOT_FOUND, "not found"),
            Self::WrongMethod => {
                let methods = source.map_or(vec![&Method::POST], |s| s.handshakes.methods());
                answer::wrong_method(&methods)
            }
            Self::Welcomed(welcome) => answer::welcome(welcome),
            Self::Unfit(_) => answer::error(StatusCode::BAD_REQUEST, "bad handshake"),
            Self::Refused => {
                let status =
                    source.map_or(StatusCode::UNAUTHORIZED, |source| source.failure_status);
                answer::error(status, "unauthorized")
            }
            Self::Shunned(wait) | Self::Limited(wait) => answer::too_many(*wait),
            Self::Body(BodyError::TooLarge) => {
                answer::error(StatusCode::PAYLOAD_TOO_LARGE, "body too large")
            }
            Self::Body(BodyError::TooSlow) => {
                answer::error(StatusCode::REQUEST_TIMEOUT, "body too slow")
            }
            Self::Body(BodyError::Broken) => answer::error(StatusCode::BAD_REQUEST, "broken body"),
            Self::Untyped => {
                answer::error(StatusCode::UNPROCESSABLE_ENTITY, "event type not found")
            }
            Self::Body(BodyError::OverBudget) | Self::Full | Self::Unavailable => {
                answer::unavailable()
            }
        }
    }
}

fn takes<B>(source: &Source, request: &Request<B>) -> bool {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    source.takes(request.method(), request.headers(), target)
}

impl Ingress {
    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let snapshot = self.current.load_full();
        let peer = snapshot.proxies.caller(peer, request.headers());
        let source = snapshot.source_at(request.uri().path());
        let ended = match source {
            None => Ended::NotFound,
            Some(source) if !takes(source, &request) => Ended::WrongMethod,
            Some(source) => {
                let taken = self.take(&snapshot, source, request, peer).await;
                taken.unwrap_or_else(|ended| ended)
            }
        };
        let name = source.map_or(NO_SOURCE, |source| &*source.name);
        self.metrics.requests.with_label_values(&[name, ended.label()]).inc();
        match (&ended, source) {
            (Ended::Unfit(cause), _) => {
                tracing::debug!(source = name, %peer, %cause, "a handshake is not answered");
            }
            (Ended::Full | Ended::Sync(sync::Ended::Full, _), Some(source)) => source.tell_full(),
            _ => {}
        }
        ended.answer(source.map(|source| &**source))
    }

    async fn take(
        &self,
        snapshot: &Arc<Snapshot>,
        source: &Source,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Ended, Ended> {
        let proven = self.prove(source, request, peer).await?;
        let Proven { verified, complete, received_at, reservation } = proven;
        let kind = source.kind(verified.request()).ok_or(Ended::Untyped)?;
        let (sender_id, same) = self.identity(source, verified.request());
        let event = Event::new(verified, source.name.clone(), kind, received_at, sender_id);
        let routes = self.routes(snapshot, &event);
        if routes.is_empty() && source.unrouted == Unrouted::Drop {
            return Ok(Ended::Dropped);
        }
        let ended = self.store(snapshot, event, same, routes).await;
        drop(reservation);
        if ended.as_ref().is_ok_and(Ended::is_durable) {
            self.metrics.ack_duration.observe(complete.elapsed().as_secs_f64());
        }
        ended
    }

    /// Stores an event: at once, or with what the first sync route comes to.
    async fn store(
        &self,
        snapshot: &Arc<Snapshot>,
        event: Event,
        same: Option<Sameness>,
        mut routes: Vec<&Arc<Route>>,
    ) -> Result<Ended, Ended> {
        let waits = routes.iter().position(|route| route.mode == Mode::Sync);
        let waits = waits.map(|place| routes.remove(place).clone());
        let others =
            routes.iter().map(|route| outbox::target(&self.ledger, route, &event)).collect();
        let Some(route) = waits else {
            let stored = self.ledger.append(event, same, others).await;
            return stored.map(Ended::Stored).map_err(|refused| match refused {
                AppendError::Full => Ended::Full,
                _ => Ended::Unavailable,
            });
        };
        match snapshot.target(&route.name) {
            Ok((_, Target::Handler(handler))) if self.ledger.held(&route.name).is_none() => {
                let (handler, snapshot) = (handler.clone(), snapshot.clone());
                let work = Work { event, same, route, handler, others, snapshot };
                let (ended, known) = self.attempts.make(work).await;
                Ok(Ended::Sync(ended, known))
            }
            _ => Err(Ended::Unavailable),
        }
    }

    /// The routes that take the event.
    fn routes<'a>(&self, snapshot: &'a Snapshot, event: &Event) -> Vec<&'a Arc<Route>> {
        let failed = |route: &Route, failure: &Failure| {
            let name = &*route.name;
            self.metrics.when_failures.with_label_values(&[name]).inc();
            tracing::debug!(route = name, cause = %failure, "a condition cannot be answered");
        };
        let facts = Facts::new(event);
        snapshot.routes.matching(&facts, failed).collect()
    }

    /// The sender's own id of the event, and its sameness: the id alone where it is signed, with
    /// the body where it is not.
    fn identity(
        &self,
        source: &Source,
        request: &verify::Request,
    ) -> (Option<String>, Option<Sameness>) {
        let same = |id, with_body: bool| {
            let body = with_body.then(|| source.verifier.signed_body(request));
            Some(self.ledger.sameness(&source.name, id, body.as_deref()))
        };
        match source.identity(request) {
            Identity::None => (None, None),
            Identity::Body => (None, same(None, true)),
            Identity::Id { id, signed } => {
                (Some(head(&id, SENDER_ID_BYTES).to_owned()), same(Some(&*id), !signed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that hyper may have to move for each request.
    const MOVED: usize = 4 * 1024;

    #[test]
    fn what_a_request_awaits_is_small_enough_to_be_moved() {
        fn size<F>(_: fn(&'static Ingress, Request<Incoming>, IpAddr) -> F) -> usize {
            size_of::<F>()
        }
        let found = size(Ingress::answer);
        assert!(found <= MOVED, "{found}");
    }
}
