//! An event: one verified request, immutable. It can only be made from a [`Verified`] request, or
//! from an event by the handler that handled it, or read back from the ledger, which holds nothing
//! else.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION};
use thiserror::Error;
use ulid::Ulid;

use crate::document::Document;
use crate::pointer::Unreadable;
use crate::verify::Verified;

/// Headers that are secrets of their own, whatever the scheme: checked, then dropped.
const SECRET_HEADERS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// The type of an event whose source's `event_type` was not found in it.
pub const UNKNOWN: &str = "unknown";
/// The type of an event whose source has no `event_type`.
pub const UNTYPED: &str = "event";

/// The attribute that holds the sender's own id of an event.
pub const SENDER_ID: &str = "sender-id";
/// The attribute of an emitted event that holds the id of the event in answer to which it was.
pub const PARENT: &str = "parent";
/// The attribute of an emitted event that says how many emitted ones it is away from its request,
/// itself included.
pub const DEPTH: &str = "depth";

/// How the source of an emitted event begins; the handler's name follows. No sender has such a name.
pub const EMITTED: &str = "handler:";

/// Stands for a secret's place where a key that is none of the source's secrets proved an event.
const NO_SECRET: i64 = -1;

/// The attribute that holds the delivery that an attempt is a replay of, as `<event>/<route>`.
const REPLAY_OF: &str = "replay-of";

/// One verified request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    source: Arc<str>,
    kind: Arc<str>,
    received_at: u64,
    proof: Option<i64>,
    attributes: Vec<(String, String)>,
    headers: Headers,
    body: Bytes,
}

impl Event {
    /// The event that a verified request is. Its bytes are copied once, out of the connection's
    /// read buffer, which would otherwise live as long as the event.
    pub fn new(
        verified: Verified,
        source: Arc<str>,
        kind: Arc<str>,
        received_at: u64,
        sender_id: Option<String>,
    ) -> Self {
        let index = verified.secret_index().and_then(|index| i64::try_from(index).ok());
        let proof = index.or(verified.is_proven().then_some(NO_SECRET));
        let request = verified.into_request();
        let (path, query) = match request.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (request.target.as_str(), None),
        };
        let mut attributes = vec![("path".to_owned(), path.to_owned())];
        attributes.extend(query.map(|query| ("query".to_owned(), query.to_owned())));
        attributes.extend(sender_id.map(|id| (SENDER_ID.to_owned(), id)));
        attributes.push(("peer".to_owned(), request.peer.to_string()));
        Self {
            source,
            kind,
            received_at,
            proof,
            attributes,
            headers: Headers::storable(&request.headers),
            body: Bytes::copy_from_slice(&request.body),
        }
    }

    /// The event that a handler emitted while it handled this one, whose id is `id`. There is none
    /// without one that was verified.
    pub fn emitted(
        &self,
        id: EventId,
        handler: &str,
        kind: Arc<str>,
        body: Bytes,
        now: u64,
    ) -> Self {
        let depth = self.depth().saturating_add(1).to_string();
        Self {
            source: format!("{EMITTED}{handler}").into(),
            kind,
            received_at: now,
            // As good as what it goes back to, and no secret of the handler's matched.
            proof: self.proof.map(|_| NO_SECRET),
            attributes: vec![(PARENT.to_owned(), id.to_string()), (DEPTH.to_owned(), depth)],
            headers: Headers(Box::default()),
            body,
        }
    }

    /// How many emitted events it is away from its request, itself included.
    pub fn depth(&self) -> u32 {
        let mut attributes = self.attributes.iter();
        let depth = attributes.find(|(name, _)| name == DEPTH);
        depth.and_then(|(_, depth)| depth.parse().ok()).unwrap_or(0)
    }

    /// An event as the ledger kept it. Nothing but the ledger calls this.
    pub(crate) fn restore(
        source: Arc<str>,
        kind: Arc<str>,
        received_at: u64,
        proof: Option<i64>,
        attributes: Vec<(String, String)>,
        headers: Headers,
        body: Bytes,
    ) -> Self {
        Self { source, kind, received_at, proof, attributes, headers, body }
    }

    /// The same event for an attempt that is a replay of that delivery.
    pub fn replayed(&self, origin: &str) -> Self {
        let mut again = self.clone();
        again.attributes.push((REPLAY_OF.to_owned(), origin.to_owned()));
        again
    }

    /// The source that sent it.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Its event type.
    pub fn kind(&self) -> &Arc<str> {
        &self.kind
    }

    /// When its last byte had come in, or when it was emitted, in milliseconds since 1970.
    pub fn received_at(&self) -> u64 {
        self.received_at
    }

    /// Which of the source's secrets matched; `None` where none did.
    pub fn secret(&self) -> Option<usize> {
        self.proof.and_then(|place| usize::try_from(place).ok())
    }

    /// Whether anything proved where it comes from.
    pub fn is_verified(&self) -> bool {
        self.proof.is_some()
    }

    /// What proved it, as the ledger keeps it.
    pub(crate) fn proof(&self) -> Option<i64> {
        self.proof
    }

    /// Named facts about it: `path`, `query`, `sender-id`, `peer`; or `parent` and `depth`.
    pub fn attributes(&self) -> &[(String, String)] {
        &self.attributes
    }

    /// Its headers, without those that are secrets.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Its body, as it was signed.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Its body, to be looked into.
    ///
    /// # Errors
    /// It is too large.
    pub fn document(&self) -> Result<Document<'_>, Unreadable> {
        let content_type = self.headers.iter().find(|(name, _)| *name == "content-type");
        Document::new(content_type.map(|(_, value)| value), &self.body)
    }
}

/// Header fields as they stand on the wire, `name: value\r\n` each: names and values hold no line
/// breaks, so the form is exact, and readable in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers(Box<[u8]>);

impl Headers {
    /// All fields but those that are secrets.
    fn storable(map: &HeaderMap) -> Self {
        let mut block = Vec::with_capacity(512);
        for (name, value) in map.iter().filter(|(name, _)| !SECRET_HEADERS.contains(name)) {
            push(&mut block, name.as_str(), value.as_bytes());
        }
        Self(block.into_boxed_slice())
    }

    /// A handler's reply's fields. Their names and values hold no line breaks.
    pub fn of_reply(fields: &[(String, Vec<u8>)]) -> Self {
        let mut block = Vec::new();
        for (name, value) in fields {
            push(&mut block, name, value);
        }
        Self(block.into_boxed_slice())
    }

    /// The block that the ledger kept.
    pub(crate) fn restore(block: &[u8]) -> Self {
        Self(block.into())
    }

    /// The block as it is kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Name (lower case) and value of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let end = rest.windows(2).position(|two| two == b"\r\n")?;
            let (line, after) = (rest.get(..end)?, rest.get(end + 2..)?);
            rest = after;
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(line.get(..colon)?).ok()?, line.get(colon + 2..)?))
        })
    }
}

fn push(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.extend_from_slice(name.as_bytes());
    block.extend_from_slice(b": ");
    block.extend_from_slice(value);
    block.extend_from_slice(b"\r\n");
}

/// An event's name: `evt_` and a ULID of the time of its arrival, its ledger's tag and its place
/// in that ledger, so that finding it needs no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId(Ulid);

/// The text is no event id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not an event id: it is `evt_` and 26 letters and digits")]
pub struct BadEventId;

impl EventId {
    const PREFIX: &str = "evt_";
    const SEQ_BITS: u32 = 48;

    /// The id of the event that came in at `received_at` (milliseconds since 1970) and is number
    /// `seq` of the ledger with that tag.
    pub fn new(received_at: u64, ledger: u32, seq: u64) -> Self {
        let place = u128::from(seq) & ((1 << Self::SEQ_BITS) - 1);
        Self(Ulid::from_parts(received_at, u128::from(ledger) << Self::SEQ_BITS | place))
    }

    /// The event's number in its ledger.
    pub fn seq(self) -> u64 {
        let place = self.0.random() & ((1 << Self::SEQ_BITS) - 1);
        u64::try_from(place).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; ulid::ULID_LEN];
        write!(f, "{}{}", Self::PREFIX, self.0.array_to_str(&mut text))
    }
}

impl FromStr for EventId {
    type Err = BadEventId;

    fn from_str(text: &str) -> Result<Self, BadEventId> {
        let ulid = text.strip_prefix(Self::PREFIX).ok_or(BadEventId)?;
        Ulid::from_string(ulid).map(Self).map_err(|_| BadEventId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn headers_keep_every_byte_and_drop_secrets() {
        let mut map = HeaderMap::new();
        map.append("x-a", HeaderValue::from_static("one: two"));
        map.append("x-a", HeaderValue::from_bytes(b"\xff\x80").unwrap());
        map.append("authorization", HeaderValue::from_static("Bearer hush"));
        map.append("cookie", HeaderValue::from_static("hush"));
        map.append("x-empty", HeaderValue::from_static(""));
        let kept = Headers::restore(Headers::storable(&map).as_bytes());
        let fields: Vec<_> = kept.iter().collect();
        assert_eq!(
            fields,
            [("x-a", &b"one: two"[..]), ("x-a", &b"\xff\x80"[..]), ("x-empty", &b""[..])]
        );
    }

    #[test]
    fn what_is_no_event_id_is_refused() {
        for text in
            ["", "evt_", "evt_0", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "evt_01ARZ3NDEKTSV4RRFFQ69G5FA!"]
        {
            assert_eq!(text.parse::<EventId>(), Err(BadEventId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_names_its_place(at in 0..1u64 << 48, ledger: u32, seq in 0..1u64 << 48) {
            let id = EventId::new(at, ledger, seq);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.seq(), seq);
        }
    }
}
