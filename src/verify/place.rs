//! Places that a scheme reads values from.

use crate::pointer::{self, Pointer};
use crate::verify::head::Head;
use crate::verify::{Refusal, Request, SpecError, Unsignable};
use http::{HeaderName, HeaderValue, Method};
use std::borrow::Cow;
use std::fmt;

/// One place in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Header(HeaderName),
    Query(String),
    /// A field of a `kv` signature header.
    Field(String),
    Body(Pointer),
}

/// A request taken apart as far as its scheme needs.
pub(super) struct Facts<'a> {
    pub method: &'a Method,
    pub head: Head<'a>,
    /// The fields of a `kv` signature header.
    pub fields: Vec<(&'a str, &'a str)>,
    /// Empty as long as it is not read; then nothing is looked up in it.
    pub body: &'a [u8],
}

impl Place {
    pub fn header(field: &'static str, name: &str) -> Result<Self, SpecError> {
        header_name(field, name).map(Self::Header)
    }

    pub fn query(field: &'static str, key: &str) -> Result<Self, SpecError> {
        if key.is_empty() {
            return Err(SpecError::new(field, "the name of a query parameter is missing"));
        }
        Ok(Self::Query(key.to_owned()))
    }

    pub fn field(field: &'static str, key: &str) -> Result<Self, SpecError> {
        if key.is_empty() {
            return Err(SpecError::new(field, "the name of a field is missing"));
        }
        Ok(Self::Field(key.to_owned()))
    }

    pub fn body(field: &'static str, pointer: &str) -> Result<Self, SpecError> {
        match Pointer::parse(pointer) {
            Ok(pointer) => Ok(Self::Body(pointer)),
            Err(error) => Err(SpecError::new(field, format!("`{pointer}`: {error}"))),
        }
    }

    /// The name of the query parameter that it is.
    pub fn query_key(&self) -> Option<&str> {
        match self {
            Self::Query(key) => Some(key),
            _ => None,
        }
    }

    pub fn is_in_body(&self) -> bool {
        matches!(self, Self::Body(_))
    }
}

pub(super) fn header_name(field: &'static str, name: &str) -> Result<HeaderName, SpecError> {
    name.parse().map_err(|_| SpecError::new(field, format!("`{name}` is not the name of a header")))
}

/// Puts a header into a request that is about to be sent.
pub(super) fn set_header(
    request: &mut Request,
    name: &HeaderName,
    value: &str,
) -> Result<(), Unsignable> {
    let value = HeaderValue::from_str(value).map_err(|_| Unsignable::Header(name.clone()))?;
    request.headers.insert(name, value);
    Ok(())
}

/// Puts a text where the place is, in a request that is about to be sent.
pub(super) fn put(request: &mut Request, place: &Place, text: &str) -> Result<(), Unsignable> {
    match place {
        Place::Header(name) => set_header(request, name, text)?,
        Place::Query(key) => {
            let joint = if request.target.contains('?') { '&' } else { '?' };
            let pair =
                form_urlencoded::Serializer::new(String::new()).append_pair(key, text).finish();
            // Here `+` stands for itself.
            request.target += &format!("{joint}{}", pair.replace('+', "%20"));
        }
        Place::Body(pointer) => {
            let body = serde_json::from_slice(&request.body);
            let mut body = body.map_err(|_| Refusal::UnreadableBody)?;
            pointer.put(&mut body, text);
            request.body = body.to_string().into();
        }
        Place::Field(_) => {}
    }
    Ok(())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Query(key) => write!(f, "query parameter {key}"),
            Self::Field(key) => write!(f, "field {key} of the signature header"),
            Self::Body(pointer) => write!(f, "{pointer} in the body"),
        }
    }
}

impl<'a> Facts<'a> {
    /// What stands at that place, if anything.
    pub fn find(&self, place: &Place) -> Result<Option<Cow<'a, str>>, Refusal> {
        match place {
            Place::Header(name) => Ok(self.head.header(name)?.map(Cow::Borrowed)),
            Place::Query(key) => self.head.query(key),
            Place::Field(key) => self.field(place, key),
            Place::Body(pointer) => match pointer::first(self.body, &[pointer]) {
                Ok(found) => Ok(found.map(|(_, text)| text)),
                Err(_) => Err(Refusal::UnreadableBody),
            },
        }
    }

    /// What must stand at that place.
    pub fn need(&self, place: &Place) -> Result<Cow<'a, str>, Refusal> {
        self.find(place)?.ok_or_else(|| Refusal::Missing(place.to_string()))
    }

    fn field(&self, place: &Place, key: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        let mut values = self.fields.iter().filter(|(name, _)| *name == key);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => Ok(Some(Cow::Borrowed(value))),
            (Some(_), Some(_)) => Err(Refusal::Ambiguous(place.to_string())),
        }
    }
}
