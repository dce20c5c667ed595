//! The answers of the public side.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::sync::Ended;
use crate::delivery;
use crate::ledger::Receipt;
use crate::source::Reply;
use crate::verify::handshake::Welcome;

/// An answer whose body is at hand.
pub type Answer = Response<Full<Bytes>>;

/// Seconds after which a sender may try again what could not be stored.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

const DUPLICATE: HeaderName = HeaderName::from_static("hookyard-duplicate");

/// The event is durable.
pub fn stored(reply: Option<&Reply>, receipt: Receipt) -> Answer {
    let Receipt { id, duplicate } = receipt;
    let mut answer = match reply {
        Some(reply) => fixed(reply),
        None if duplicate => json(StatusCode::OK, format!(r#"{{"id":"{id}","duplicate":true}}"#)),
        None => json(StatusCode::OK, format!(r#"{{"id":"{id}"}}"#)),
    };
    if duplicate {
        answer.headers_mut().insert(DUPLICATE, HeaderValue::from_static("true"));
    }
    answer
}

/// What a sync route came to.
pub fn sync(reply: Option<&Reply>, ended: &Ended, duplicate: bool) -> Answer {
    let mut answer = match ended {
        Ended::Done(_, Some(given)) => given_by_handler(given),
        Ended::Done(id, None) => return stored(reply, Receipt { id: *id, duplicate }),
        Ended::Retry(after) => retry(*after),
        Ended::Rejected => error(StatusCode::UNPROCESSABLE_ENTITY, "rejected"),
        Ended::Broken => error(StatusCode::BAD_GATEWAY, "the handler failed"),
        Ended::TimedOut => error(StatusCode::GATEWAY_TIMEOUT, "the handler took too long"),
        Ended::Full | Ended::Unavailable => unavailable(),
    };
    if duplicate {
        answer.headers_mut().insert(DUPLICATE, HeaderValue::from_static("true"));
    }
    answer
}

fn retry(after: Option<Duration>) -> Answer {
    let mut answer = unavailable();
    if let Some(after) = after {
        answer.headers_mut().insert(RETRY_AFTER, seconds(after));
    }
    answer
}

/// Whole seconds, and not before: 1.2 s becomes 2.
fn seconds(after: Duration) -> HeaderValue {
    HeaderValue::from(after.as_millis().div_ceil(1_000).clamp(1, u64::MAX.into()) as u64)
}

/// A handler's reply, which was checked before it was stored.
fn given_by_handler(reply: &delivery::Reply) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(reply.body.clone())));
    *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = answer.headers_mut();
    for (name, value) in &reply.headers {
        let field = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = field {
            headers.append(name, value);
        }
    }
    headers.entry(CONTENT_TYPE).or_insert(TEXT);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// The event is verified, and not wanted.
pub fn dropped(reply: Option<&Reply>) -> Answer {
    reply.map_or_else(|| json(StatusCode::OK, r#"{"dropped":true}"#), fixed)
}

/// A refusal, in words that are the same for every cause.
pub fn error(status: StatusCode, what: &'static str) -> Answer {
    json(status, format!(r#"{{"error":"{what}"}}"#))
}

/// The source takes these methods, and no other.
pub fn wrong_method(methods: &[&Method]) -> Answer {
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    let names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        answer.headers_mut().insert(ALLOW, names);
    }
    answer
}

/// A handshake. Whatever it sends back, no browser takes it for more than text.
pub fn welcome(welcome: &Welcome) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(welcome.body.clone())));
    *answer.status_mut() = welcome.status;
    let headers = answer.headers_mut();
    for (name, value) in &welcome.headers {
        headers.insert(name, value.clone());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(welcome.content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// There were too many requests: there may be another after this long.
pub fn too_many(wait: Duration) -> Answer {
    let mut answer = error(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    answer.headers_mut().insert(RETRY_AFTER, seconds(wait));
    answer
}

/// The event cannot be stored now; nothing of it was.
pub fn unavailable() -> Answer {
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    answer.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
    answer
}

fn fixed(reply: &Reply) -> Answer {
    let mut answer = Response::new(Full::new(reply.body.clone()));
    *answer.status_mut() = reply.status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
