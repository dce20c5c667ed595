//! What a response comes to.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::delivery::{Outcome, Reply};
use crate::handler::attempt::fit;

/// Bytes of a response's body that a reason shows.
const SHOWN_BYTES: usize = 200;

/// Why there is no response.
#[derive(Debug)]
pub enum Fault {
    /// The guest ended without one.
    Missing,
    /// It says that it cannot make one.
    Error(String),
    /// Its body has no end.
    Unfinished,
    /// Its body has more than so many bytes.
    TooLarge(usize),
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        let broke = |what: &str| Self::Trap(what.to_owned());
        match fault {
            Fault::Missing => broke("it ended without setting a response"),
            Fault::Error(code) => {
                Self::Trap(format!("it set an error as response: {}", fit(&code)))
            }
            Fault::Unfinished => broke("it did not finish the body of its response"),
            Fault::TooLarge(limit) => Self::Limit(format!("reply: the limit is {limit} bytes")),
        }
    }
}

/// The response with its whole body; trailers are dropped.
///
/// # Errors
/// The body is too large, or breaks off.
pub async fn whole<B: Body<Data = Bytes> + Unpin>(
    response: Response<B>,
    most: usize,
) -> Result<Response<Vec<u8>>, Fault> {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Fault::Unfinished)?.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Err(Fault::TooLarge(most));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Response::from_parts(head, bytes))
}

/// What a response comes to: an answer for a sender that waits, or else whether the event is
/// handled. A redirection handles nothing, and following it is not hookyard's.
pub fn outcome(response: Response<Vec<u8>>, waits: bool, now: SystemTime) -> Outcome {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let reason = || {
        let shown = String::from_utf8_lossy(body.get(..SHOWN_BYTES).unwrap_or(&body));
        fit(format!("status {status} {shown}").trim_end())
    };
    match status {
        200..=499 if waits => {
            Outcome::Reply(Reply { status, headers: fields(&head.headers), body })
        }
        200..=299 => Outcome::Ack,
        408 | 425 | 429 | 500..=599 => {
            Outcome::Retry { after: retry_after(&head.headers, now), reason: reason() }
        }
        300..=499 => Outcome::Reject(reason()),
        _ => Outcome::Trap(format!("its response has the status {status}, which is none")),
    }
}

/// The fields of a reply, without those that a server sets by itself: what serves HTTP elsewhere
/// may set them too.
fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let own = headers.iter().filter(|(name, _)| !Reply::is_reserved(name.as_str()));
    own.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// How long a response asks to wait: in seconds, or until a date.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            Some(at.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn response(status: u16, fields: &[(&str, &str)], body: &str) -> Response<Vec<u8>> {
        let head = Response::builder().status(status);
        let head = fields.iter().fold(head, |head, (name, value)| head.header(*name, *value));
        head.body(body.as_bytes().to_vec()).unwrap()
    }

    fn outcome_of(status: u16, fields: &[(&str, &str)], body: &str, waits: bool) -> Outcome {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        outcome(response(status, fields, body), waits, now)
    }

    #[test]
    fn a_status_is_an_outcome_where_nobody_waits() {
        for (status, expected) in [
            (100, "trap"),
            (199, "trap"),
            (200, "ack"),
            (204, "ack"),
            (299, "ack"),
            (300, "reject"),
            (304, "reject"),
            (400, "reject"),
            (404, "reject"),
            (407, "reject"),
            (408, "retry"),
            (409, "reject"),
            (422, "reject"),
            (425, "retry"),
            (429, "retry"),
            (499, "reject"),
            (500, "retry"),
            (503, "retry"),
            (599, "retry"),
            (600, "trap"),
            (999, "trap"),
        ] {
            assert_eq!(outcome_of(status, &[], "", false).name(), expected, "{status}");
            let waited = match status {
                200..=499 => "reply",
                _ => expected,
            };
            assert_eq!(outcome_of(status, &[], "", true).name(), waited, "{status}");
        }
    }

    #[test]
    fn a_reason_shows_how_the_body_begins() {
        let outcome = outcome_of(422, &[], "no \u{1b}tenant\n", false);
        assert_eq!(outcome, Outcome::Reject(r"status 422 no \u{1b}tenant".to_owned()));
        assert_eq!(outcome_of(404, &[], "", false), Outcome::Reject("status 404".to_owned()));
        let long = outcome_of(500, &[], &"x".repeat(SHOWN_BYTES + 1), false).error().unwrap();
        assert!(long.ends_with(&format!(" {}", "x".repeat(SHOWN_BYTES))), "{long}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = |offset: i64| {
            let at = Duration::from_secs(NOW.saturating_add_signed(offset));
            httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + at)
        };
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            (&*date(90), Some(90)),
            (&*date(-90), Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            let Outcome::Retry { after, .. } = outcome_of(503, &[("retry-after", text)], "", false)
            else {
                panic!("{text}")
            };
            assert_eq!(after, expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_reply_leaves_out_what_the_server_sets() {
        let fields = [("content-type", "text/plain"), ("Content-Length", "2"), ("x-a", "b")];
        let more = [("date", "x"), ("hookyard-duplicate", "true"), ("trailer", "x"), ("x-a", "c")];
        let Outcome::Reply(reply) = outcome_of(404, &[&fields[..], &more].concat(), "ok", true)
        else {
            panic!()
        };
        let names: Vec<&str> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((reply.status, names), (404, vec!["content-type", "x-a", "x-a"]));
        assert_eq!((reply.check(), &*reply.body), (Ok(()), &b"ok"[..]));
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_its_limit() {
        let body = || Response::new(http_body_util::Full::new(Bytes::from_static(b"12345")));
        assert_eq!(whole(body(), 5).await.unwrap().into_body(), b"12345");
        assert!(matches!(whole(body(), 4).await, Err(Fault::TooLarge(4))));
    }
}
