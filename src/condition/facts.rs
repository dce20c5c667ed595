//! What a condition can ask of an event. Each is made when it is asked for, and once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::OnceLock;

use cel::common::types::{CelInt, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::bounds::{ROOM, room};
use super::{Failure, value};
use crate::event::{Event, Headers, SENDER_ID};
use crate::pointer::Unreadable;

/// An event, as conditions see it.
pub struct Facts<'e> {
    event: &'e Event,
    headers: OnceLock<CelMap<'e>>,
    body: OnceLock<Result<Box<dyn Val + 'e>, Unreadable>>,
}

impl<'e> Facts<'e> {
    /// Nothing is read yet.
    pub fn new(event: &'e Event) -> Self {
        Self { event, headers: OnceLock::new(), body: OnceLock::new() }
    }

    /// The source that sent it.
    pub fn source(&self) -> &'e str {
        self.event.source()
    }

    /// Its event type.
    pub fn kind(&self) -> &'e str {
        self.event.kind()
    }

    /// The sender's own id, or nothing.
    fn id(&self) -> &'e str {
        let mut attributes = self.event.attributes().iter();
        attributes.find(|(name, _)| name == SENDER_ID).map_or("", |(_, id)| id)
    }

    fn headers(&self) -> &CelMap<'e> {
        self.headers.get_or_init(|| joined(self.event.headers()))
    }

    fn body(&self) -> &Result<Box<dyn Val + 'e>, Unreadable> {
        self.body.get_or_init(|| value::of(self.event.document()?))
    }

    /// Why the body has no value, if it was asked for and has none.
    pub(super) fn unreadable(&self) -> Option<Failure> {
        let error = self.body.get()?.as_ref().err()?;
        Some((*error).into())
    }

    /// Bytes that a condition can look at.
    fn bytes(&self) -> usize {
        self.event.headers().as_bytes().len() + self.event.body().len()
    }
}

/// Headers by name; the values of one that is repeated are joined.
fn joined(headers: &Headers) -> CelMap<'_> {
    let mut values: HashMap<&str, Cow<'_, str>> = HashMap::new();
    for (name, value) in headers.iter() {
        let value = String::from_utf8_lossy(value);
        match values.entry(name) {
            Entry::Vacant(first) => {
                first.insert(value);
            }
            Entry::Occupied(mut all) => {
                let all = all.get_mut().to_mut();
                all.push_str(", ");
                all.push_str(&value);
            }
        }
    }
    let boxed = |value| Box::new(CelString::from(value)) as Box<dyn Val + '_>;
    let values: HashMap<_, _> =
        values.into_iter().map(|(name, value)| (CelMapKey::from(name), boxed(value))).collect();
    values.into()
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let text = |text| CowVal::owned(CelString::from(text));
        match name {
            "source" => Some(text(self.source())),
            "type" => Some(text(self.kind())),
            "id" => Some(text(self.id())),
            "headers" => Some(CowVal::Borrowed(self.headers())),
            "body" => self.body().as_ref().ok().map(|body| CowVal::Borrowed(&**body)),
            ROOM => Some(CowVal::owned(CelInt::from(room(self.bytes())))),
            _ => None,
        }
    }
}
