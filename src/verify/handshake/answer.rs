//! What a handshake is answered.

use super::Handshake;
use super::when::Place;
use crate::verify::{Encoding, Request};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};
use std::fmt;
use thiserror::Error;

/// Bytes of a value that is sent back, at the most.
const ECHO_BYTES: usize = 1024;

/// How a provider wants to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, Said)>,
    pub body: RespondBody,
}

impl Respond {
    pub(super) fn said(&self) -> impl Iterator<Item = &Said> {
        let (text, members) = match &self.body {
            RespondBody::Empty => (None, None),
            RespondBody::Text(said) => (Some(said), None),
            RespondBody::Json(members) => (None, Some(members)),
        };
        let members = members.into_iter().flatten().map(|(_, said)| said);
        self.headers.iter().map(|(_, said)| said).chain(text).chain(members)
    }

    pub(super) fn said_mut(&mut self) -> impl Iterator<Item = &mut Said> {
        let (text, members) = match &mut self.body {
            RespondBody::Empty => (None, None),
            RespondBody::Text(said) => (Some(said), None),
            RespondBody::Json(members) => (None, Some(members)),
        };
        let members = members.into_iter().flatten().map(|(_, said)| said);
        let headers = self.headers.iter_mut().map(|(_, said)| said);
        headers.chain(text).chain(members)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RespondBody {
    Empty,
    /// Plain text.
    Text(Said),
    Json(Vec<(String, Said)>),
}

/// A value of an answer. Its `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    Literal(Value),
    /// What stands at that place of the request.
    Echo(Place),
    /// The scheme's own signature of what stands at that place.
    Proof {
        of: Place,
        prefix: String,
        encoding: Encoding,
    },
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Literal(_) => "Literal(…)",
            Self::Echo(_) => "Echo(…)",
            Self::Proof { .. } => "Proof(…)",
        })
    }
}

/// An answer in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub content_type: &'static str,
    pub body: String,
}

/// Why a handshake is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfit {
    #[error(
        "what would be sent back is longer than {ECHO_BYTES} bytes, or holds characters that it may not hold"
    )]
    Echo,
    #[error("no secret is in force to prove that it is known")]
    Secret,
}

impl Handshake {
    /// The answer to a request that is this handshake. `prove` signs a text as the scheme does.
    ///
    /// # Errors
    /// What would be sent back is not fit for it.
    pub fn answer(
        &self,
        request: &Request,
        prove: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Welcome, Unfit> {
        let say = |said: &Said| said.value(request, &prove);
        let header = |(name, said): &(HeaderName, Said)| {
            let value = text(say(said)?);
            Ok((name.clone(), HeaderValue::from_str(&value).map_err(|_| Unfit::Echo)?))
        };
        let respond = &self.respond;
        let (content_type, body) = match &respond.body {
            RespondBody::Empty => (TEXT, String::new()),
            RespondBody::Text(said) => (TEXT, text(say(said)?)),
            RespondBody::Json(members) => {
                let members = members.iter().map(|(name, said)| Ok((name.clone(), say(said)?)));
                let object: Map<_, _> = members.collect::<Result<_, _>>()?;
                ("application/json", Value::Object(object).to_string())
            }
        };
        let headers = respond.headers.iter().map(header).collect::<Result<_, _>>()?;
        Ok(Welcome { status: respond.status, headers, content_type, body })
    }

    /// The secret that the request hands over; `None`: it is not that kind of handshake.
    ///
    /// # Errors
    /// It is no secret that could be kept.
    pub fn secret(&self, request: &Request) -> Result<Option<String>, Unfit> {
        self.keep.as_ref().map(|place| echo(place, request)).transpose()
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Said {
    fn value(
        &self,
        request: &Request,
        prove: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Value, Unfit> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Echo(place) => echo(place, request).map(Value::from),
            Self::Proof { of, prefix, encoding } => {
                let tag = prove(echo(of, request)?.as_bytes()).ok_or(Unfit::Secret)?;
                Ok(Value::from([prefix, &*encoding.encode(&tag)].concat()))
            }
        }
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// What stands at a place, if it is short, and could not be taken for markup by any browser.
fn echo(place: &Place, request: &Request) -> Result<String, Unfit> {
    let found = place.find(request).ok().flatten().ok_or(Unfit::Echo)?;
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !b"<>&\"'`\\".contains(&byte);
    let is_fit = (1..=ECHO_BYTES).contains(&found.len()) && found.bytes().all(is_plain);
    if is_fit { Ok(found.into_owned()) } else { Err(Unfit::Echo) }
}
