//! Events, posted on to where a route says.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{EXPECT, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;

use crate::clock::wall_ms;
use crate::delivery::{Outcome, Reply};
use crate::destination::{Destination, SigningKey};
use crate::handler::{self, Call, Client, IDEMPOTENCY_KEY, Outside, Received};
use crate::text::printable;

/// Bytes of an answer that are read, so that its connection can be used again.
const READ_BYTES: usize = 64 * 1024;

/// Bytes of an answer that a reason shows.
const SHOWN_BYTES: usize = 200;

/// Forwards the events of one route.
pub struct Forward {
    destination: Arc<Destination>,
    key: SigningKey,
    client: Arc<Client>,
}

impl Forward {
    /// Forwards the events of that route. `own` signs where the destination has no key of its own.
    pub fn new(
        route: Arc<str>,
        destination: Arc<Destination>,
        own: &SigningKey,
        outside: Arc<Outside>,
    ) -> Self {
        let key = destination.key.as_ref().unwrap_or(own).clone();
        let client = Client::forwarding(route, destination.private.clone(), outside);
        Self { destination, key, client }
    }

    /// Posts an event as it came.
    pub async fn event(&self, call: Call<'_>, within: Duration) -> Outcome {
        let headers = forwarded(handler::fields(call.event));
        self.post(call, headers, call.event.body().clone(), within).await
    }

    /// Posts what a handler made of an event: its reply's fields and body.
    pub async fn reply(&self, call: Call<'_>, reply: Reply, within: Duration) -> Outcome {
        if let Err(problem) = reply.check() {
            return Outcome::Trap(format!("its reply cannot be forwarded: {problem}"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &reply.headers {
            let field = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
            if let (Ok(name), Ok(value)) = field {
                headers.append(name, value);
            }
        }
        self.post(call, headers, reply.body.into(), within).await
    }

    async fn post(
        &self,
        call: Call<'_>,
        mut headers: HeaderMap,
        body: Bytes,
        within: Duration,
    ) -> Outcome {
        handler::add_facts(&mut headers, call);
        let at = wall_ms() / 1_000;
        let key = format!("{}/{}", call.id, call.route);
        for (name, value) in [
            (HeaderName::from_static("webhook-id"), call.id),
            (HeaderName::from_static("webhook-timestamp"), &*at.to_string()),
            (HeaderName::from_static("webhook-signature"), &*self.key.sign(call.id, at, &body)),
        ] {
            // Ids, digits and base64 are ASCII.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        let answered = async {
            let (client, url) = (self.client.clone(), &self.destination.url);
            let response = client.post(url, headers, &key, body).await?;
            Ok(read(response).await)
        };
        match tokio::time::timeout(within, answered).await {
            Err(_elapsed) => Outcome::Timeout(within),
            Ok(Err(reason)) => Outcome::Retry { after: None, reason },
            Ok(Ok(answer)) => outcome(&answer, SystemTime::now()),
        }
    }
}

/// What goes on of a sender's fields: all that is not of its connection with hookyard, nor the key
/// of its own requests.
fn forwarded(mut headers: HeaderMap) -> HeaderMap {
    let stays = |name: &&HeaderName| {
        Reply::is_reserved(name.as_str()) || [EXPECT, HOST, IDEMPOTENCY_KEY].contains(name)
    };
    let staying: Vec<HeaderName> = headers.keys().filter(stays).cloned().collect();
    for name in staying {
        headers.remove(name);
    }
    headers
}

/// The beginning of an answer; how it ends does not matter.
async fn read(response: Response<Received>) -> Response<Vec<u8>> {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while bytes.len() < READ_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    Response::from_parts(head, bytes)
}

/// What an answer comes to. Only 410 says that no attempt will ever do: any other refusal may be
/// the receiver's own mistake, which it mends.
fn outcome(answer: &Response<Vec<u8>>, now: SystemTime) -> Outcome {
    let status = answer.status();
    let body = answer.body();
    let shown = String::from_utf8_lossy(body.get(..SHOWN_BYTES).unwrap_or(body));
    let reason = printable(format!("status {} {shown}", status.as_u16()).trim_end()).into_owned();
    match status {
        StatusCode::GONE => Outcome::Reject(reason),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Outcome::Retry { after: handler::retry_after(answer.headers(), now), reason }
        }
        _ if status.is_success() => Outcome::Ack,
        _ => Outcome::Retry { after: None, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_an_outcome() {
        for (status, expected, after) in [
            (200, "ack", None),
            (204, "ack", None),
            (299, "ack", None),
            (302, "retry", None),
            (400, "retry", None),
            (401, "retry", None),
            (404, "retry", None),
            (410, "reject", None),
            (429, "retry", Some(7)),
            (500, "retry", None),
            (503, "retry", Some(7)),
        ] {
            let answer = Response::builder().status(status).header("retry-after", "7");
            let found = outcome(&answer.body(b"no\x1b".to_vec()).unwrap(), SystemTime::now());
            assert_eq!(found.name(), expected, "{status}");
            if let Outcome::Retry { after: found, .. } = &found {
                assert_eq!(*found, after.map(Duration::from_secs), "{status}");
            }
            let shown = (expected != "ack").then(|| format!(r"status {status} no\u{{1b}}"));
            assert_eq!(found.error(), shown);
        }
    }

    #[test]
    fn what_is_the_connections_own_is_not_forwarded() {
        let names = [
            "connection",
            "te",
            "expect",
            "date",
            "content-length",
            "host",
            "idempotency-key",
            "x-a",
            "x-a",
        ];
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(name, HeaderValue::from_static("1"));
        }
        let left = forwarded(headers);
        assert_eq!((left.keys_len(), left.get_all("x-a").iter().count()), (1, 2));
    }
}
