//! Which requests are a handshake.

use crate::form::Form;
use crate::pointer::{self, Pointer};
use crate::verify::head::Head;
use crate::verify::{Refusal, Request};
use http::header::CONTENT_TYPE;
use http::{HeaderName, Method};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use subtle::{Choice, ConstantTimeEq as _};

/// One place in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Header(HeaderName),
    Query(String),
    Body(Pointer),
}

/// What must be at a place.
#[derive(Clone, PartialEq, Eq)]
pub enum Test {
    Present,
    Absent,
    /// One of these. They may be secrets.
    OneOf(Vec<String>),
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Present => "Present",
            Self::Absent => "Absent",
            Self::OneOf(_) => "OneOf(…)",
        })
    }
}

/// The method of a handshake, and what else tells it from events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    pub method: Method,
    pub tests: Vec<(Place, Test)>,
}

impl When {
    pub(super) fn fits(&self, request: &Request) -> bool {
        let fits = |(place, test): &(Place, Test)| {
            place.find(request).is_ok_and(|found| test.holds(found.as_deref()))
        };
        self.method == request.method && self.tests.iter().all(fits)
    }

    /// As far as it can be known without a body.
    pub(super) fn fits_head(&self, method: &Method, head: Head<'_>) -> bool {
        let fits = |(place, test): &(Place, Test)| {
            matches!(place, Place::Body(_))
                || place.find_in_head(head).is_ok_and(|found| test.holds(found.as_deref()))
        };
        self.method == *method && self.tests.iter().all(fits)
    }
}

impl Test {
    fn holds(&self, found: Option<&str>) -> bool {
        match (self, found) {
            (Self::Present, found) => found.is_some_and(|text| !text.is_empty()),
            (Self::Absent, found) => found.is_none(),
            (Self::OneOf(_), None) => false,
            (Self::OneOf(known), Some(found)) => {
                // Digests are of one length, whatever that of a secret is.
                let found = Sha256::digest(found);
                let same = |text: &String| Sha256::digest(text).ct_eq(&found);
                known.iter().fold(Choice::from(0), |hit, text| hit | same(text)).into()
            }
        }
    }
}

impl Place {
    /// What stands there, if anything.
    pub(super) fn find<'a>(&self, request: &'a Request) -> Result<Option<Cow<'a, str>>, Refusal> {
        match self {
            Self::Body(pointer) => in_body(request, pointer),
            _ => self.find_in_head(Head { headers: &request.headers, target: &request.target }),
        }
    }

    fn find_in_head<'a>(&self, head: Head<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
        match self {
            Self::Header(name) => Ok(head.header(name)?.map(Cow::Borrowed)),
            Self::Query(key) => in_query(head, key),
            Self::Body(_) => Ok(None),
        }
    }
}

/// As providers expect it to be read: `+` is a space.
fn in_query<'a>(head: Head<'a>, key: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let query = head.query_suffix().trim_start_matches('?');
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == key);
    let found = values.next().map(|(_, value)| value);
    match values.next() {
        Some((_, other)) if found.as_ref() != Some(&other) => {
            Err(Refusal::Ambiguous(format!("query parameter {key}")))
        }
        _ => Ok(found),
    }
}

fn in_body<'a>(request: &'a Request, pointer: &Pointer) -> Result<Option<Cow<'a, str>>, Refusal> {
    let content_type = request.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    if let Some(form) = Form::new(content_type, &request.body) {
        let found = form.fields().find(|(name, _)| pointer.leads_to_member(name));
        return Ok(found.map(|(_, value)| value));
    }
    let found = pointer::first(&request.body, &[pointer]);
    found.map(|found| found.map(|(_, text)| text)).map_err(|_| Refusal::UnreadableBody)
}
