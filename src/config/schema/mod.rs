//! The JSON Schema of router.toml, for editors: made of what the reader reads.

mod explore;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use self::tree::Node;
use super::notes::Shape;

/// What each key is for, by the end of its path.
static ABOUT: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| toml::from_str(include_str!("about.toml")).unwrap_or_default());

/// The dialect that editors of TOML understand.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let root = explore::explore();
    let mut schema = table(&root, "");
    schema.insert("$schema".to_owned(), DIALECT.into());
    schema.insert("title".to_owned(), "router.toml of hookyard".into());
    schema.into()
}

/// The schema of the value at that path.
fn value(node: &Node, path: &str) -> Value {
    let mut ways: Vec<Value> = node.shapes.iter().map(|shape| one(shape, node, path)).collect();
    let mut schema = match ways.len() {
        0 => Map::new(),
        1 => match ways.remove(0) {
            Value::Object(only) => only,
            other => Map::from_iter([("const".to_owned(), other)]),
        },
        _ => Map::from_iter([("anyOf".to_owned(), ways.into())]),
    };
    let mut about: Vec<String> = about(path).map(str::to_owned).into_iter().collect();
    about.extend(schema.remove("description").and_then(|kind| Some(kind.as_str()?.to_owned())));
    if let Some((default, limits)) = &node.quantity {
        about.push(limits.clone());
        schema.insert("default".to_owned(), default.clone());
    }
    if !about.is_empty() {
        schema.insert("description".to_owned(), about.join("\n").into());
    }
    schema.into()
}

fn one(shape: &Shape, node: &Node, path: &str) -> Value {
    let inner = |path: &str| node.inner.as_ref().map_or_else(|| json!({}), |it| value(it, path));
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Described(what) => json!({ "type": "string", "description": what }),
        Shape::Choice(names) => json!({ "enum": names }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Whole => json!({ "type": "integer" }),
        Shape::Quantity { examples, or_whole, .. } => {
            let types = if *or_whole { json!(["string", "integer"]) } else { json!("string") };
            json!({ "type": types, "description": examples })
        }
        Shape::DateTime => json!({ "type": "string", "format": "date-time" }),
        Shape::Table => table(node, path).into(),
        Shape::Entries => {
            json!({ "type": "object", "additionalProperties": inner(&format!("{path}.*")) })
        }
        Shape::List => json!({ "type": "array", "items": inner(&format!("{path}[]")) }),
    }
}

fn table(node: &Node, path: &str) -> Map<String, Value> {
    let dot = if path.is_empty() { "" } else { "." };
    let keys = node
        .keys
        .iter()
        .map(|(key, it)| ((*key).to_owned(), value(it, &format!("{path}{dot}{key}"))));
    let mut table = Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("properties".to_owned(), Map::from_iter(keys).into()),
        ("additionalProperties".to_owned(), false.into()),
    ]);
    let required = node.required();
    if !required.is_empty() {
        table.insert("required".to_owned(), required.into());
    }
    let groups: Vec<Value> = node
        .lasting_groups()
        .map(|group| {
            let one = group.iter().map(|key| json!({ "required": [key] }));
            json!({ "oneOf": one.collect::<Vec<Value>>() })
        })
        .collect();
    if !groups.is_empty() {
        table.insert("allOf".to_owned(), groups.into());
    }
    table
}

/// What is said of the key at a path: of the longest end of it that anything is said of.
fn about(path: &str) -> Option<&'static str> {
    ends(path).find_map(|end| ABOUT.get(end)).map(String::as_str)
}

/// The path, and what is left of it without its first key, and so on.
fn ends(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |rest| rest.split_once('.').map(|(_, end)| end))
}
