//! `handshake` of a scheme: how a sender tries whether we are there, and what it wants to hear.

use http::{HeaderName, Method, StatusCode};
use serde_json::Value;
use toml::de::DeValue;

use crate::pointer::Pointer;
use crate::verify::Encoding;
use crate::verify::handshake::{Handshake, Place, Respond, RespondBody, Said, Test, When};

use super::item::{Entry, Item};
use super::notes::Shape;
use super::section::Section;
use super::setting::Setting;

const MATCH: &str = r#"add match = { body = { "/type" = "url_verification" } }"#;
const RESPOND: &str = r#"add respond = { echo = { pointer = "/challenge" } }"#;

const STATUS: Setting<u32> = Setting::new("status", 200, 200, 299);

const METHODS: [&str; 4] = ["POST", "GET", "HEAD", "OPTIONS"];

/// One handshake, or several.
pub(super) fn read(item: Item<'_>) -> Option<Vec<Handshake>> {
    let all: Vec<_> =
        item.one_or_more().into_iter().map(|item| item.section("handshake", one)).collect();
    all.into_iter().collect()
}

fn one(handshake: &mut Section<'_>) -> Option<Handshake> {
    let when = handshake.required("match", MATCH, |item| item.section("handshake.match", when));
    let verify_first = handshake.optional("verify_first", Item::boolean).unwrap_or(true);
    let keep = handshake.optional_table("keep", place);
    let respond =
        handshake.required("respond", RESPOND, |item| item.section("handshake.respond", respond));
    Some(Handshake { when: when?, verify_first, keep, respond: respond? })
}

fn when(when: &mut Section<'_>) -> Option<When> {
    let method = when.optional("method", |item| {
        item.choice("method", &METHODS, |name| {
            METHODS.contains(&name).then(|| name.parse::<Method>().ok())?
        })
    });
    let mut tests = Vec::new();
    if let Some(item) = when.item("header") {
        tests.extend(self::tests(item, |entry| header(entry).map(Place::Header))?);
    }
    if let Some(item) = when.item("query") {
        tests.extend(self::tests(item, |entry| Some(Place::Query(entry.name.to_owned())))?);
    }
    if let Some(item) = when.item("body") {
        tests.extend(self::tests(item, |entry| {
            let pointer = Pointer::parse(entry.name);
            let report = |error: &_| entry.item.wrong(&format!("`{}`: {error}", entry.name), "");
            pointer.inspect_err(report).ok().map(Place::Body)
        })?);
    }
    Some(When { method: method.unwrap_or(Method::POST), tests })
}

fn header(entry: &Entry<'_>) -> Option<HeaderName> {
    let name = entry.name.parse();
    let report = |_: &_| entry.item.wrong(&format!("`{}` is no name of a header", entry.name), "");
    name.inspect_err(report).ok()
}

/// What must be at places: a value, `true` for any, `false` for none.
fn tests(
    item: Item<'_>,
    place: impl Fn(&Entry<'_>) -> Option<Place>,
) -> Option<Vec<(Place, Test)>> {
    let tests = item.entries()?.into_iter().map(|entry| {
        for shape in [Shape::Text, Shape::List, Shape::Boolean, Shape::Whole] {
            entry.item.may_be(shape);
        }
        let test = match entry.item.value() {
            DeValue::Boolean(true) => Test::Present,
            DeValue::Boolean(false) => Test::Absent,
            DeValue::Integer(number) => Test::OneOf(vec![number.to_string()]),
            _ => Test::OneOf(entry.item.owned_texts()?),
        };
        Some((place(&entry)?, test))
    });
    tests.collect()
}

fn respond(respond: &mut Section<'_>) -> Option<Respond> {
    let status = u16::try_from(respond.count(&STATUS)).ok()?;
    let headers = respond.optional("header", |item| {
        let headers = item.entries()?.into_iter();
        headers.map(|entry| Some((header(&entry)?, said(entry.item)?))).collect()
    });
    let echo = respond.item("echo");
    let json = respond.item("json");
    let body = match (echo, json) {
        (None, None) => RespondBody::Empty,
        (Some(echo), None) => RespondBody::Text(said(echo)?),
        (None, Some(json)) => {
            let members = json.entries()?.into_iter();
            let members = members.map(|entry| Some((entry.name.to_owned(), said(entry.item)?)));
            RespondBody::Json(members.collect::<Option<_>>()?)
        }
        (Some(_), Some(json)) => {
            json.wrong("an answer has one body: `echo` or `json`", "");
            return None;
        }
    };
    let status = StatusCode::from_u16(status).ok()?;
    Some(Respond { status, headers: headers.unwrap_or_default(), body })
}

/// A literal value, what stands at a place, or the scheme's signature of that.
fn said(item: Item<'_>) -> Option<Said> {
    for shape in [Shape::Text, Shape::Table, Shape::Boolean, Shape::Whole] {
        item.may_be(shape);
    }
    match item.value() {
        DeValue::Integer(_) => item.integer().map(Value::from).map(Said::Literal),
        DeValue::Boolean(value) => Some(Said::Literal(Value::from(*value))),
        DeValue::Table(_) => item.section("echo", said_of),
        _ => item.text().map(Value::from).map(Said::Literal),
    }
}

fn said_of(said: &mut Section<'_>) -> Option<Said> {
    let (key, item) = said.one_of(&["query", "header", "pointer", "hmac"], "")?;
    if key != "hmac" {
        return at((key, item)).map(Said::Echo);
    }
    let of = item.section("hmac", place);
    let prefix = said.optional("prefix", Item::owned).unwrap_or_default();
    let encoding = said
        .optional("encoding", |item| item.choice("encoding", Encoding::NAMES, Encoding::from_name));
    Some(Said::Proof { of: of?, prefix, encoding: encoding.unwrap_or(Encoding::Hex) })
}

fn place(place: &mut Section<'_>) -> Option<Place> {
    at(place.one_of(&["query", "header", "pointer"], "")?)
}

fn at(found: (&str, Item<'_>)) -> Option<Place> {
    match found {
        ("query", item) => item.owned().map(Place::Query),
        ("header", item) => {
            let name = item.parsed("the name of a header", |text| text.parse().ok());
            name.map(Place::Header)
        }
        (_, item) => {
            let pointer = item.parsed("a JSON pointer", |text| Pointer::parse(text).ok());
            pointer.map(Place::Body)
        }
    }
}
