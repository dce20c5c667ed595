//! A source: what is known of one sender, and how its requests are read.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};

use crate::document::Document;
use crate::event::{UNKNOWN, UNTYPED};
use crate::keys::Keys;
use crate::network::Networks;
use crate::pointer::Pointer;
use crate::quota::Bucket;
use crate::seldom::Seldom;
use crate::verify::explain::Subject;
use crate::verify::handshake::Handshakes;
use crate::verify::{EventId, Location, Refusal, Request, Spec, Verifier};

/// An event type of more bytes than this is not taken for one.
const TYPE_BYTES: usize = 256;
/// Refusals of one source are not logged more often than this.
pub const REFUSAL_REST: Duration = Duration::from_secs(1);
/// That a backlog is full is not logged again before this.
pub const FULL_REST: Duration = Duration::from_secs(10);

/// A named sender.
#[derive(Debug)]
pub struct Source {
    /// Its name.
    pub name: Arc<str>,
    /// The path that it posts to.
    pub path: String,
    /// How its requests are verified.
    pub verifier: Verifier,
    /// The description that the verifier comes from, to explain what is refused.
    pub spec: Spec,
    /// The URL that its sender calls, as far as it is told.
    pub public_url: Option<String>,
    /// Gets the keys that it verifies with; `None`: they are its secrets.
    pub keys: Option<Keys>,
    /// How its sender tries whether we are there.
    pub handshakes: Handshakes,
    /// Whether a subscription that asks to be confirmed is.
    pub confirm: bool,
    /// The name of the preset that its scheme comes from; `None`: its scheme is described.
    pub preset: Option<&'static str>,
    /// Where an event's type stands; `None`: all are of one type.
    pub event_type: Option<EventType>,
    /// What makes two requests the same event.
    pub event_id: EventId,
    /// Who may send; `None`: anybody.
    pub allow: Option<Networks>,
    /// How many verified events it may send; `None`: any number.
    pub rate_limit: Option<Bucket>,
    /// Bytes of a body at the most.
    pub body_limit: usize,
    /// What it is answered; `None`: the event's id.
    pub reply: Option<Reply>,
    /// The status of a refusal.
    pub failure_status: StatusCode,
    /// What becomes of events that no route takes.
    pub unrouted: Unrouted,
    /// What logs its refusals.
    pub refusals: Seldom,
    /// What logs that events are refused since a backlog is full.
    pub full: Seldom,
}

/// Where an event's type stands.
#[derive(Debug, PartialEq, Eq)]
pub struct EventType {
    /// The first of these that a request has.
    pub at: Vec<Location>,
    /// Whether a request without any is refused.
    pub required: bool,
}

/// What makes two requests the same event.
#[derive(Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// Nothing that this request has.
    None,
    /// Its body.
    Body,
    /// The sender's own id.
    Id {
        /// The id.
        id: Cow<'a, str>,
        /// Whether the signature covers it. If not, anyone could put it on another event.
        signed: bool,
    },
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// What becomes of an event that no route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrouted {
    /// It is stored.
    Keep,
    /// It is answered and forgotten.
    Drop,
}

impl Source {
    /// Refuses callers that may not send.
    pub fn admit(&self, peer: IpAddr) -> Result<(), Refusal> {
        match &self.allow {
            Some(allow) if !allow.contains(peer) => Err(Refusal::NotAllowed),
            _ => Ok(()),
        }
    }

    /// Whether a request may be an event or a handshake, as far as its head says.
    pub fn takes(&self, method: &Method, headers: &HeaderMap, target: &str) -> bool {
        method == Method::POST || self.handshakes.may_be(method, headers, target)
    }

    /// Counts a verified event; where there were too many, says how long to wait.
    pub fn within_rate(&self, now: Instant) -> Result<(), Duration> {
        self.rate_limit.as_ref().map_or(Ok(()), |limit| limit.take(now))
    }

    /// The request's event type; `None` when it must have one and has not.
    pub fn kind(&self, request: &Request) -> Option<Arc<str>> {
        let Some(EventType { at, required }) = &self.event_type else {
            return Some(UNTYPED.into());
        };
        match first(request, at) {
            Some((_, kind)) if kind.len() <= TYPE_BYTES => Some((*kind).into()),
            _ if *required => None,
            _ => Some(UNKNOWN.into()),
        }
    }

    /// As much of it as explains what becomes of its requests.
    pub fn subject(&self) -> Subject<'_> {
        let (name, public_url) = (&*self.name, self.public_url.as_deref());
        Subject { name, verifier: &self.verifier, spec: &self.spec, public_url }
    }

    /// What makes another request the same event as this one.
    pub fn identity<'a>(&self, request: &'a Request) -> Identity<'a> {
        let places = match &self.event_id {
            EventId::None => return Identity::None,
            EventId::Body => return Identity::Body,
            EventId::At(places) => places,
        };
        let Some((place, id)) = first(request, places) else { return Identity::None };
        Identity::Id { id, signed: self.verifier.covers(place) }
    }

    /// Logs why a request was refused, unless one was lately.
    pub fn tell_refusal(&self, refusal: &Refusal, peer: IpAddr) {
        let source = &self.name;
        self.refusals.say(|unsaid| {
            tracing::warn!(%source, %peer, cause = %refusal, unsaid, "a request is refused");
        });
    }

    /// Logs that an event was refused since the backlog of a route is full, unless one was lately.
    pub fn tell_full(&self) {
        let source = &self.name;
        self.full.say(|unsaid| {
            tracing::warn!(%source, unsaid, "the `backlog` of a route is full: an event is refused");
        });
    }
}

/// The first of these places that the request has, and what stands there.
fn first<'a, 'p>(
    request: &'a Request,
    places: &'p [Location],
) -> Option<(&'p Location, Cow<'a, str>)> {
    let mut rest = places;
    while let Some(place) = rest.first() {
        let pointers: Vec<&Pointer> = rest.iter().map_while(as_pointer).collect();
        let found = match place {
            Location::Header(name) => request
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(|text| (0, text.into())),
            Location::Pointer(_) => in_body(request, &pointers),
            Location::Joined(parts) => joined(request, parts).map(|text| (0, text.into())),
        };
        if let Some((index, text)) = found {
            return Some((rest.get(index)?, text));
        }
        rest = rest.get(pointers.len().max(1)..)?;
    }
    None
}

/// What stands at all of these places, with dots between.
fn joined(request: &Request, parts: &[Location]) -> Option<String> {
    let texts = parts.iter().map(|part| Some(first(request, std::slice::from_ref(part))?.1));
    texts.collect::<Option<Vec<_>>>().map(|texts| texts.join("."))
}

fn in_body<'a>(request: &'a Request, pointers: &[&Pointer]) -> Option<(usize, Cow<'a, str>)> {
    let content_type = request.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    Document::new(content_type, &request.body).ok()?.first(pointers).ok().flatten()
}

fn as_pointer(place: &Location) -> Option<&Pointer> {
    match place {
        Location::Pointer(pointer) => Some(pointer),
        Location::Header(_) | Location::Joined(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    fn request(body: &'static str) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert("x-kind", HeaderValue::from_static("from-header"));
        headers.insert("x-binary", HeaderValue::from_bytes(b"\xff").unwrap());
        Request {
            method: Method::POST,
            target: "/".into(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            peer: IpAddr::from([127, 0, 0, 1]),
        }
    }

    fn header(name: &'static str) -> Location {
        Location::Header(HeaderName::from_static(name))
    }

    fn pointer(text: &'static str) -> Location {
        Location::Pointer(Pointer::from_static(text))
    }

    #[test]
    fn places_are_tried_in_their_order() {
        let both = request(r#"{"a":"1","b":"2"}"#);
        for (places, expected) in [
            (vec![pointer("/b"), pointer("/a")], Some((0, "2"))),
            (vec![pointer("/c"), pointer("/a")], Some((1, "1"))),
            (vec![pointer("/c"), header("x-kind"), pointer("/a")], Some((1, "from-header"))),
            (vec![header("x-none"), header("x-binary"), pointer("/a")], Some((2, "1"))),
            (vec![pointer("/c"), header("x-none")], None),
            (vec![], None),
        ] {
            let found = first(&both, &places);
            let expected =
                expected.map(|(index, text): (usize, &str)| (&places[index], text.into()));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_form_has_its_fields() {
        let mut form = request("kind=a%2Fb&id=7");
        let find =
            |form: &Request| first(form, &[pointer("/id")]).map(|(_, text)| text.into_owned());
        assert_eq!(find(&form), None);
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        form.headers.insert(CONTENT_TYPE, content_type);
        assert_eq!(find(&form), Some("7".to_owned()));
    }

    #[test]
    fn a_body_that_cannot_be_read_has_nothing_anywhere() {
        assert_eq!(first(&request("not json"), &[pointer("/a")]), None);
        assert_eq!(
            first(&request("{"), &[pointer("/a"), header("x-kind")]).unwrap().1,
            "from-header"
        );
    }
}
