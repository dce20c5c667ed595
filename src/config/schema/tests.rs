//! The schema against the files that the reader is tested with.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

/// What the parser makes of a date and time, which JSON has none of.
const DATE_TIME: &str = "$__toml_private_datetime";

static SCHEMA: LazyLock<Value> = LazyLock::new(schema);

/// What in a value is not as the schema says: the part of JSON Schema that the schema uses.
fn mistakes(value: &Value, schema: &Value, at: &str) -> Vec<String> {
    let wrong = |what: &str| vec![format!("{at}: {what}: {value}")];
    if let Some(ways) = schema["anyOf"].as_array() {
        let all: Vec<_> = ways.iter().map(|way| mistakes(value, way, at)).collect();
        return if all.iter().any(Vec::is_empty) { Vec::new() } else { all.concat() };
    }
    if let Some(names) = schema["enum"].as_array() {
        return if names.contains(value) { Vec::new() } else { wrong("none of the names") };
    }
    let kind = match value {
        Value::String(_) => "string",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(keys) if keys.contains_key(DATE_TIME) => "string",
        _ => "object",
    };
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => return Vec::new(),
        one => vec![one.clone()],
    };
    if !types.contains(&kind.into()) {
        return wrong("of another type");
    }
    let mut found = Vec::new();
    for item in value.as_array().into_iter().flatten() {
        found.extend(mistakes(item, &schema["items"], &format!("{at}[]")));
    }
    let keys = value.as_object().filter(|_| kind == "object");
    for (key, part) in keys.into_iter().flatten() {
        let schema = match schema["properties"].get(key) {
            Some(schema) => schema,
            None if schema["additionalProperties"] == false => {
                found.push(format!("{at}: unknown key {key}"));
                continue;
            }
            None => &schema["additionalProperties"],
        };
        found.extend(mistakes(part, schema, &format!("{at}.{key}")));
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        if value.get(key.as_str().unwrap()).is_none() {
            found.push(format!("{at}: no {key}"));
        }
    }
    for group in schema["allOf"].as_array().into_iter().flatten() {
        let keys = group["oneOf"].as_array().unwrap().iter();
        let there = keys.filter(|one| value.get(one["required"][0].as_str().unwrap()).is_some());
        if there.count() != 1 {
            found.push(format!("{at}: not one of {group}"));
        }
    }
    found
}

fn check(text: &str) -> Vec<String> {
    let value: toml::Value = toml::from_str(text).unwrap();
    mistakes(&serde_json::to_value(value).unwrap(), &SCHEMA, "")
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn every_file_that_the_reader_accepts_is_as_the_schema_says() {
    let folder = "tests/fixtures/config/valid";
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let mut texts: Vec<String> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert!(!texts.is_empty());
    texts.push(file("router.toml"));
    for text in texts {
        assert_eq!(check(&text), [""; 0], "{text}");
    }
}

#[test]
fn what_the_reader_refuses_the_schema_refuses_too() {
    for (text, part) in [
        ("[server]\nlisen = \"x\"", "unknown key lisen"),
        ("[server]\nlisten = 1", ".server.listen: of another type"),
        ("[server.tls]\ncert = \"a\"", ".server.tls: no \"key\""),
        ("[sources.a]\nsecrets = []", ".sources.a: no \"scheme\""),
        ("[sources.a]\nscheme = \"hotgleu\"", "none of the names"),
        ("[sources.a]\nscheme = \"hotglue\"\nsecrets = [{}]", "not one of"),
        ("[sources.a.scheme]\nkind = \"hmac\"\ncontnet = \"\"", "unknown key contnet"),
        ("[[routes]]\nmode = \"later\"", "none of the names"),
        ("[[routes]]\nhandler = \"h\"", ": no \"source\""),
    ] {
        let found = check(text);
        assert!(found.iter().any(|mistake| mistake.contains(part)), "{part}: {found:?}");
    }
}

#[test]
fn quantities_have_their_defaults_and_limits() {
    let timeout = &SCHEMA["properties"]["routes"]["items"]["properties"]["timeout"];
    assert_eq!(
        (&timeout["default"], &timeout["type"]),
        (&json!("5s"), &json!(["string", "integer"]))
    );
    let about = timeout["description"].as_str().unwrap();
    assert!(about.contains("1ms to 5m") && about.contains("`server.ceilings.timeout`"), "{about}");
}

/// All keys' paths.
fn paths(node: &Node, path: &str, found: &mut BTreeSet<String>) {
    for (key, node) in &node.keys {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{key}");
        paths(node, &path, found);
        found.insert(path);
    }
    if let Some(inner) = &node.inner {
        let end = if node.shapes.contains(&Shape::Entries) { ".*" } else { "[]" };
        paths(inner, &format!("{path}{end}"), found);
    }
}

#[test]
fn something_is_said_of_every_key_and_of_no_other() {
    let mut all = BTreeSet::new();
    paths(&explore::explore(), "", &mut all);
    let silent: Vec<&String> = all.iter().filter(|path| about(path).is_none()).collect();
    assert!(silent.is_empty(), "say in src/config/schema/about.toml what these are: {silent:#?}");
    let said: BTreeSet<&str> =
        all.iter().filter_map(|path| ends(path).find(|end| ABOUT.contains_key(*end))).collect();
    let stale: Vec<&String> = ABOUT.keys().filter(|end| !said.contains(end.as_str())).collect();
    assert!(stale.is_empty(), "there are no such keys any more: {stale:?}");
}
