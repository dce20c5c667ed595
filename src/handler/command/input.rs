//! What a command reads: the event as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use crate::handler::attempt::Call;

#[derive(Serialize)]
struct Input<'a> {
    id: &'a str,
    source: &'a str,
    event_type: &'a str,
    route: &'a str,
    received_at: u64,
    attempt: u32,
    headers: Vec<(&'a str, Cow<'a, str>)>,
    attributes: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    body: Body<'a>,
    config: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Body<'a> {
    #[serde(rename = "body")]
    Text(&'a str),
    #[serde(rename = "body_base64")]
    Base64(String),
}

/// The event as JSON, on one line. A body that is no UTF-8 is in `body_base64` instead of `body`;
/// a header value that is none is read as ISO 8859-1, as headers once were.
pub fn event_json(call: Call<'_>, config: &BTreeMap<String, String>) -> Bytes {
    let event = call.event;
    let attributes = event.attributes().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let input = Input {
        id: call.id,
        source: event.source(),
        event_type: event.kind(),
        route: call.route,
        received_at: event.received_at(),
        attempt: call.attempt,
        headers: event.headers().iter().map(|(name, value)| (name, text(value))).collect(),
        attributes: attributes.collect(),
        body: match str::from_utf8(event.body()) {
            Ok(text) => Body::Text(text),
            Err(_) => Body::Base64(STANDARD.encode(event.body())),
        },
        config,
    };
    // All keys are strings, and no value refuses to be written: it cannot fail.
    serde_json::to_vec(&input).unwrap_or_default().into()
}

fn text(value: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{Event, Headers};

    fn json(headers: &[u8], body: &'static [u8]) -> String {
        let attributes = [("query", "a=1"), ("path", "/hooks/s")];
        let event = Event::restore(
            "s".into(),
            "order.created".into(),
            1_700_000_000_123,
            Some(0),
            attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            Headers::restore(headers),
            Bytes::from_static(body),
        );
        let route: Arc<str> = "s/h".into();
        let call = Call {
            id: "evt_1",
            event: &event,
            route: &route,
            attempt: 3,
            waits: false,
            notes: None,
        };
        let config = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
        String::from_utf8(event_json(call, &config).into()).unwrap()
    }

    #[test]
    fn an_event_is_one_line_of_json() {
        let headers = b"content-type: text/plain\r\nx-a: 1\r\nx-a: \"2\"\r\n";
        assert_eq!(
            json(headers, "{\"ü\":\n\u{0}}".as_bytes()),
            r#"{"id":"evt_1","source":"s","event_type":"order.created","route":"s/h","received_at":1700000000123,"attempt":3,"headers":[["content-type","text/plain"],["x-a","1"],["x-a","\"2\""]],"attributes":{"path":"/hooks/s","query":"a=1"},"body":"{\"ü\":\n\u0000}","config":{"region":"eu"}}"#
        );
    }

    #[test]
    fn what_is_no_utf8_is_given_all_the_same() {
        let json = json(b"x-latin: caf\xe9\r\nx-utf8: caf\xc3\xa9\r\n", b"\xff\0");
        assert!(json.contains(r#""headers":[["x-latin","café"],["x-utf8","café"]]"#), "{json}");
        assert!(json.contains(r#","body_base64":"/wA=","#), "{json}");
        assert!(!json.contains(r#""body":"#), "{json}");
    }

    #[test]
    fn an_empty_event_has_all_the_fields() {
        let json = json(b"", b"");
        assert!(json.contains(r#""headers":[],"#) && json.contains(r#""body":"","#), "{json}");
    }
}
