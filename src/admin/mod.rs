//! The admin side: health, metrics, and the API under `/api/v1/`.

mod endpoint;
mod guard;
mod handlers;
mod handover;
mod openapi;
mod query;
mod questions;
mod reload;
mod replay;
mod routes;
mod show;
mod sources;
mod why;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde_json::json;

use crate::breaker::Breakers;
use crate::handover::Handovers;
use crate::ledger::{Ledger, Problem};
use crate::metrics::Metrics;
use crate::refused::Refused;
use crate::reload::Asker;
use crate::snapshot::Current;
use crate::verify::Spec;
use endpoint::Endpoint;
use guard::Denied;
pub use guard::Guard;
pub use query::filter;
pub use questions::{NoAnswer, Questions};

/// An answer whose body is at hand.
pub type Answer = Response<Full<Bytes>>;

/// What the admin side answers from.
pub struct Admin {
    /// Who may ask.
    pub guard: Arc<ArcSwap<Guard>>,
    /// Where reloads are asked for.
    pub reload: Asker,
    /// Secrets that senders hand over.
    pub handovers: Arc<Handovers>,
    /// The events.
    pub ledger: Ledger,
    /// Sources, routes and handlers.
    pub current: Current,
    /// How the routes are doing.
    pub breakers: Breakers,
    /// What was refused last.
    pub refused: Arc<Refused>,
    /// The presets' schemes, by name: what a refused request may have been signed by.
    pub presets: Vec<(&'static str, &'static Spec)>,
    /// What is counted.
    pub metrics: Metrics,
}

impl Admin {
    /// Answers one request. Nothing here reads a request's body.
    pub async fn answer<B>(self: Arc<Self>, request: Request<B>) -> Answer {
        let (head, _body) = request.into_parts();
        let path = head.uri.path();
        let endpoint = Endpoint::of(path);
        let is_health = matches!(endpoint, Some(Endpoint::Health | Endpoint::Ready));
        if !is_health && let Err(denied) = self.guard.load().check(&head) {
            return denied_answer(denied);
        }
        let query = head.uri.query().unwrap_or_default();
        match endpoint {
            None => error(StatusCode::NOT_FOUND, "not found"),
            Some(endpoint) if !endpoint.takes(&head.method) => not_allowed(endpoint.methods()),
            Some(Endpoint::Health) => json_answer(StatusCode::OK, &json!({"status": "ok"})),
            Some(Endpoint::Ready) => self.ready(),
            Some(Endpoint::Metrics) => self.page(),
            Some(Endpoint::OpenApi) => json_answer(StatusCode::OK, &openapi::document()),
            Some(Endpoint::Handlers) => json_answer(StatusCode::OK, &self.handlers()),
            Some(Endpoint::Routes) => blocking(move || self.routes()).await,
            Some(Endpoint::Sources) => json_answer(StatusCode::OK, &self.sources()),
            Some(Endpoint::Refused(source)) => {
                let source = source.to_owned();
                blocking(move || self.refused(&source)).await
            }
            Some(Endpoint::Question) => {
                let (path, query) = (path.to_owned(), query.to_owned());
                blocking(move || self.asked(&path, &query)).await
            }
            Some(Endpoint::Reload) => self.reload().await,
            Some(Endpoint::Replay) => self.replay(query).await,
            Some(Endpoint::Pause(route, paused)) => self.pause(route, paused).await,
            Some(Endpoint::HandOver(ask)) => self.hand_over(ask, query),
        }
    }

    fn asked(&self, path: &str, query: &str) -> Answer {
        let snapshot = self.current.load();
        let (reader, now) = (self.ledger.reader(), self.ledger.now());
        let breakers = Some(&self.breakers);
        let questions = Questions { reader, snapshot: &snapshot, breakers, now };
        match questions.answer(path, query) {
            Some(Ok(value)) => json_answer(StatusCode::OK, &value),
            Some(Err(NoAnswer { status, message })) => error(status, &message),
            None => error(StatusCode::NOT_FOUND, "not found"),
        }
    }

    fn ready(&self) -> Answer {
        let unavailable = |what| error(StatusCode::SERVICE_UNAVAILABLE, what);
        match self.ledger.problem() {
            None => json_answer(StatusCode::OK, &json!({"status": "ready"})),
            Some(Problem::Failing) => unavailable("the ledger cannot be written"),
            Some(Problem::Full) => unavailable("the disk has less free space than min_free"),
        }
    }

    fn page(&self) -> Answer {
        match self.metrics.page() {
            Ok((kind, page)) => {
                let mut answer = Response::new(Full::new(page.into()));
                if let Ok(kind) = HeaderValue::try_from(kind) {
                    answer.headers_mut().insert(CONTENT_TYPE, kind);
                }
                answer
            }
            Err(problem) => {
                tracing::error!(%problem, "the metrics cannot be written");
                error(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written")
            }
        }
    }
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// As [`blocking`], for what is no answer yet.
async fn blocking_value<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, NoAnswer> + Send + 'static,
) -> Result<T, NoAnswer> {
    let broke = |_| NoAnswer::new(StatusCode::INTERNAL_SERVER_ERROR, "the request broke");
    tokio::task::spawn_blocking(read).await.map_err(broke)?
}

/// Runs what reads the disk away from the thread that owns the sockets.
async fn blocking(answer: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    tokio::task::spawn_blocking(answer)
        .await
        .unwrap_or_else(|_| error(StatusCode::INTERNAL_SERVER_ERROR, "the request broke"))
}

fn denied_answer(denied: Denied) -> Answer {
    match denied {
        Denied::Token => error(StatusCode::UNAUTHORIZED, "a bearer token is needed"),
        Denied::Host => error(StatusCode::FORBIDDEN, "this Host is not in admin_hosts"),
        Denied::Foreign => error(StatusCode::FORBIDDEN, "requests from other sites are refused"),
        Denied::ContentType => {
            error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "POST needs application/json")
        }
    }
}

fn error(status: StatusCode, what: &str) -> Answer {
    json_answer(status, &json!({ "error": what }))
}

fn json_answer(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
