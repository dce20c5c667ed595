//! Where a source's requests have their event type and their id.

use http::HeaderName;

use crate::source::EventType;
use crate::verify::{EventId, Location};

use super::item::Item;
use super::notes::Shape;
use super::section::Section;

const BODY: &str = r#"write "body" for the body itself, or a place: { header = "X-Id" }"#;

/// One place, or several of which the first that a request has counts.
pub(super) fn event_type(item: Item<'_>) -> EventType {
    let mut required = false;
    let mut at = Vec::new();
    for item in item.one_or_more() {
        at.extend(item.section("event_type", |place| {
            required |= place.optional("required", Item::boolean).unwrap_or(false);
            location(place)
        }));
    }
    EventType { at, required }
}

/// The same of ids, or `"body"`.
pub(super) fn event_id(item: Item<'_>) -> Option<EventId> {
    item.may_be(Shape::Choice(vec!["body".to_owned()]));
    if let Some(text) = item.value().as_str() {
        if text != "body" {
            item.wrong(&format!("`{text}` is no place of an id"), BODY);
        }
        return Some(EventId::Body);
    }
    let items = item.one_or_more().into_iter();
    let places = items.filter_map(|item| item.section("event_id", location));
    Some(EventId::At(places.collect()))
}

fn location(place: &mut Section<'_>) -> Option<Location> {
    match place.one_of(&["pointer", "header", "join"], "")? {
        ("join", item) => {
            let parts = item.list()?.into_iter();
            let parts = parts.map(|item| item.section("join", plain));
            parts.collect::<Option<_>>().map(Location::Joined)
        }
        found => at(found),
    }
}

fn plain(place: &mut Section<'_>) -> Option<Location> {
    at(place.one_of(&["pointer", "header"], "")?)
}

fn at((key, item): (&str, Item<'_>)) -> Option<Location> {
    if key == "header" {
        let name = item.parsed("the name of a header", |text| text.parse::<HeaderName>().ok());
        return name.map(Location::Header);
    }
    item.pointer().map(Location::Pointer)
}
