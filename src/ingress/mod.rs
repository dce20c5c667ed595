//! The public side: bytes in; verified, stored, and only then answered.

mod answer;
mod source;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, StatusCode};
use hyper::body::{Body, Incoming};

use crate::clock::wall_ms;
use crate::event::Event;
use crate::ledger::{Ledger, Receipt};
use crate::metrics::{Metrics, NO_SOURCE};
use crate::route::Table;
use crate::server::Budget;
use crate::server::body::{self, BodyError, Rate};
use crate::verify::{self, Refusal};
pub use answer::Answer;
pub use source::{EventType, RefusalLog, Reply, Source, Unrouted};

/// What requests are answered from.
pub struct Ingress {
    by_path: HashMap<String, Arc<Source>>,
    routes: Arc<Table>,
    ledger: Ledger,
    bodies: Budget,
    rate: Rate,
    metrics: Metrics,
}

/// How a request ended, for its answer and the metrics.
enum Ended {
    Stored(Receipt),
    /// No route takes it, and the source wants it forgotten.
    Dropped,
    NotFound,
    WrongMethod,
    Refused(Refusal),
    Body(BodyError),
    /// The source requires an event type, and it has none.
    Untyped,
    Unavailable,
}

impl Ended {
    /// The metrics' `result` label.
    fn label(&self) -> &'static str {
        match self {
            Self::Stored(Receipt { duplicate: false, .. }) => "accepted",
            Self::Stored(Receipt { duplicate: true, .. }) => "duplicate",
            Self::Dropped => "dropped",
            Self::NotFound => "not_found",
            Self::WrongMethod => "wrong_method",
            Self::Refused(_) => "unauthorized",
            Self::Body(BodyError::TooLarge) => "too_large",
            Self::Body(BodyError::TooSlow) => "too_slow",
            Self::Body(BodyError::OverBudget) => "over_budget",
            Self::Body(BodyError::Broken) => "broken",
            Self::Untyped => "untyped",
            Self::Unavailable => "unavailable",
        }
    }

    fn answer(&self, source: Option<&Source>) -> Answer {
        match self {
            Self::Stored(receipt) => {
                answer::stored(source.and_then(|s| s.reply.as_ref()), *receipt)
            }
            Self::Dropped => answer::dropped(source.and_then(|s| s.reply.as_ref())),
            Self::NotFound => answer::error(StatusCode::NOT_FOUND, "not found"),
            Self::WrongMethod => answer::wrong_method(),
            Self::Refused(_) => answer::error(StatusCode::UNAUTHORIZED, "unauthorized"),
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
            Self::Body(BodyError::OverBudget) | Self::Unavailable => answer::unavailable(),
        }
    }
}

impl Ingress {
    /// For these sources, whose paths are unique.
    pub fn new(
        sources: Vec<Source>,
        routes: Arc<Table>,
        ledger: Ledger,
        bodies: Budget,
        rate: Rate,
        metrics: Metrics,
    ) -> Self {
        let by_path =
            sources.into_iter().map(|source| (source.path.clone(), Arc::new(source))).collect();
        Self { by_path, routes, ledger, bodies, rate, metrics }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let source = self.by_path.get(request.uri().path()).cloned();
        let ended = match &source {
            None => Ended::NotFound,
            Some(_) if request.method() != Method::POST => Ended::WrongMethod,
            Some(source) => self.take(source, request, peer).await.unwrap_or_else(|ended| ended),
        };
        let name = source.as_ref().map_or(NO_SOURCE, |source| &*source.name);
        self.metrics.requests.with_label_values(&[name, ended.label()]).inc();
        if let (Some(source), Ended::Refused(refusal)) = (&source, &ended) {
            source.tell_refusal(refusal, peer);
        }
        ended.answer(source.as_deref())
    }

    async fn take(
        &self,
        source: &Source,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Ended, Ended> {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        source.verifier.precheck(&head.headers, target).map_err(Ended::Refused)?;
        let promised = body.size_hint().exact();
        let held = body::read(body, promised, source.body_limit, self.rate, &self.bodies)
            .await
            .map_err(Ended::Body)?;
        let complete = Instant::now();
        let received_at = wall_ms();
        let request = verify::Request {
            method: head.method,
            target: target.to_owned(),
            headers: head.headers,
            body: held.bytes,
            peer,
        };
        let verified = source.verifier.verify(request, received_at.cast_signed());
        let verified = verified.map_err(Ended::Refused)?;
        let kind = source.kind(verified.request()).ok_or(Ended::Untyped)?;
        let (sender_id, same) = source.identity(verified.request(), &self.ledger);
        let routes: Vec<Arc<str>> =
            self.routes.matching(&source.name, &kind).map(|route| route.name.clone()).collect();
        if routes.is_empty() && source.unrouted == Unrouted::Drop {
            return Ok(Ended::Dropped);
        }
        let event = Event::new(verified, source.name.clone(), kind, received_at, sender_id);
        let stored = self.ledger.append(event, same, routes).await;
        drop(held.reservation);
        self.metrics.ack_duration.observe(complete.elapsed().as_secs_f64());
        stored.map(Ended::Stored).map_err(|_| Ended::Unavailable)
    }
}
