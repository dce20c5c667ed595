//! The request that an event is.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use crate::event::Event;
use crate::handler::attempt::Call;
use crate::text::printable;

/// How headers begin that are hookyard's own.
const OWN: &str = "hookyard-";

/// The authority of a request whose sender named none.
const HOST_UNKNOWN: HeaderValue = HeaderValue::from_static("localhost");

/// A POST to the path at which the event came in, with its query, its headers, its body, and what
/// is known of it in headers that the sender cannot have set.
pub fn of(call: Call<'_>) -> Request<Full<Bytes>> {
    let event = call.event;
    let mut request = Request::new(Full::new(event.body().clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target(event);
    *request.headers_mut() = headers(call);
    request
}

fn target(event: &Event) -> Uri {
    let attribute = |wanted: &str| {
        let found = event.attributes().iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let path = attribute("path").unwrap_or("/");
    let target = match attribute("query") {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // What came in by HTTP is one; anything else has no path to speak of.
    target.parse().unwrap_or(Uri::from_static("/"))
}

fn headers(call: Call<'_>) -> HeaderMap {
    let mut headers = fields(call.event);
    // A chunked body has come to its length.
    headers.insert(CONTENT_LENGTH, call.event.body().len().into());
    headers.entry(HOST).or_insert(HOST_UNKNOWN);
    add_facts(&mut headers, call);
    headers
}

/// The header fields that the sender gave an event, without what it made up in hookyard's name.
pub fn fields(event: &Event) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in event.headers().iter().filter(|(name, _)| !name.starts_with(OWN)) {
        let field = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = field {
            headers.append(name, value);
        }
    }
    headers
}

/// Adds what is known of the event.
pub fn add_facts(headers: &mut HeaderMap, call: Call<'_>) {
    let event = call.event;
    for (name, fact) in [
        ("hookyard-event-id", fact(call.id)),
        ("hookyard-source", fact(event.source())),
        ("hookyard-event-type", fact(event.kind())),
        ("hookyard-route", fact(call.route)),
        ("hookyard-attempt", call.attempt.into()),
        ("hookyard-received-at", event.received_at().into()),
    ] {
        headers.insert(HeaderName::from_static(name), fact);
    }
}

/// An event type is whatever the sender says, also what a header cannot hold as it is.
fn fact(text: &str) -> HeaderValue {
    let escaped = || HeaderValue::from_str(&printable(text)).ok();
    HeaderValue::from_str(text).ok().or_else(escaped).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::Headers;

    fn request(attributes: &[(&str, &str)], headers: &[u8], kind: &str) -> Request<Full<Bytes>> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let event = Event::restore(
            "s".into(),
            kind.into(),
            1_700_000_000_123,
            Some(0),
            attributes.collect(),
            Headers::restore(headers),
            Bytes::from_static(b"body"),
        );
        let route: Arc<str> = "s/h".into();
        of(Call {
            id: "evt_1",
            event: &event,
            route: &route,
            attempt: 3,
            waits: false,
            notes: None,
        })
    }

    #[test]
    fn an_event_is_a_post_with_facts_that_its_sender_cannot_set() {
        let headers = b"host: hooks.example.com\r\nx-a: 1\r\nx-a: \xff\r\ncontent-length: 9\r\nhookyard-event-id: forged\r\nhookyard-more: forged\r\n";
        let attributes = [("path", "/hooks/s"), ("query", "a=1&b=%20"), ("peer", "::1")];
        let request = request(&attributes, headers, "order.created");
        assert_eq!(
            (request.method(), &*request.uri().to_string()),
            (&Method::POST, "/hooks/s?a=1&b=%20")
        );
        let mut fields: Vec<String> = (request.headers().iter())
            .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()))
            .collect();
        fields.sort();
        assert_eq!(
            fields,
            [
                "content-length: 4",
                "hookyard-attempt: 3",
                "hookyard-event-id: evt_1",
                "hookyard-event-type: order.created",
                "hookyard-received-at: 1700000000123",
                "hookyard-route: s/h",
                "hookyard-source: s",
                "host: hooks.example.com",
                "x-a: 1",
                r"x-a: \xff",
            ]
        );
    }

    #[test]
    fn an_event_without_a_path_or_a_plain_type_is_a_request_too() {
        let request = request(&[], b"", "a\nb\u{7f}ü");
        assert_eq!(request.uri(), "/");
        let kind = request.headers().get("hookyard-event-type").unwrap();
        assert_eq!(kind.as_bytes(), r"a\nb\u{7f}ü".as_bytes());
        assert_eq!(request.headers().get("host").unwrap(), "localhost");
    }
}
