//! A body as a CEL value that borrows the body's text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::document::Document;
use crate::form::Form;
use crate::pointer::Unreadable;

type Boxed<'a> = Box<dyn Val + 'a>;

/// The value of a document. Of a key that is repeated, the first counts.
///
/// # Errors
/// It is not JSON.
pub fn of(document: Document<'_>) -> Result<Boxed<'_>, Unreadable> {
    let body = match document {
        Document::Form(form) => return Ok(of_form(&form)),
        Document::Json(body) => body,
    };
    let value: Result<Json<'_>, _> = serde_json::from_slice(body);
    value
        .map(|Json(value)| value)
        .map_err(|e| Unreadable::NotJson { line: e.line(), column: e.column() })
}

fn of_form<'a>(form: &Form<'a>) -> Boxed<'a> {
    let mut map = HashMap::new();
    for (name, value) in form.fields() {
        map.entry(key(name)).or_insert_with(|| Box::new(CelString::from(value)) as Boxed<'_>);
    }
    Box::new(CelMap::from(map))
}

fn key(name: Cow<'_, str>) -> CelMapKey<'_> {
    CelMapKey::String(CelString::from(name))
}

struct Json<'a>(Boxed<'a>);

impl<'a> Json<'a> {
    fn new(value: impl Val + 'a) -> Self {
        Self(Box::new(value))
    }
}

impl<'a> Deserialize<'a> for Json<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// An object's key.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Reader;

impl<'a> Visitor<'a> for Reader {
    type Value = Json<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'a>, E> {
        Ok(Json::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'a>, E> {
        Ok(Json::new(CelBool::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'a>, E> {
        Ok(Json::new(CelInt::from(value)))
    }

    /// A number is an `int` wherever it fits: literals are.
    fn visit_u64<E>(self, value: u64) -> Result<Json<'a>, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Json::new(CelInt::from(value)),
            Err(_) => Json::new(CelUInt::from(value)),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'a>, E> {
        Ok(Json::new(CelDouble::from(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'a str) -> Result<Json<'a>, E> {
        Ok(Json::new(CelString::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'a>, E> {
        Ok(Json::new(CelString::from(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Json<'a>, A::Error> {
        let mut list = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<Json<'a>, A::Error> {
        let mut map = HashMap::new();
        while let Some((Name(name), Json(value))) = members.next_entry()? {
            map.entry(key(name)).or_insert(value);
        }
        Ok(Json::new(CelMap::from(map)))
    }
}
