//! The OpenAPI document, held against what the admin side answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::senders::{Sending, hotglue};
use crate::wat;
use crate::yard::Yard;

const CONFIG: &str = r#"
[sources.a]
scheme = { kind = "none" }
event_type = { pointer = "/type" }
[sources.h]
scheme = "hotglue"
secrets = [{ value = "hush" }]
[sources.waiting]
[sources.waiting.scheme]
kind = "hmac"
digest = "sha256"
encoding = "hex"
content = "{body}"
signature = { header = "X-Signature" }
handshake = { match = { header = { X-Secret = true } }, verify_first = false, keep = { header = "X-Secret" }, respond = {} }
[[routes]]
source = "a"
event = "done"
handler = "ack"
[[routes]]
source = "a"
event = "dead"
handler = "reject"
[[routes]]
source = "a"
event = "later"
when = "body.nothing == 1 || true"
handler = "retry"
retry = { attempts = 3, first = "1h", factor = 1, max = "1h" }
[[routes]]
source = "a"
event = "parked"
handler = "missing"
"#;

fn yard() -> (Yard, Vec<String>) {
    let reject = wat::reject("not this one");
    let retry = wat::retry(None, "not now");
    let handlers = [("ack", &*wat::ack()), ("reject", &reject), ("retry", &retry), ("bad", "bad")];
    let yard = Yard::start(CONFIG, &handlers);
    let ids = ["done", "dead", "later", "parked", "nobody"].map(|kind| {
        let answer = Sending::new("/hooks/a", format!(r#"{{"type":"{kind}"}}"#)).to(&yard);
        answer.json()["id"].as_str().unwrap().to_owned()
    });
    assert_eq!(hotglue("another", "{}").at("/hooks/h?a=1").to(&yard).status, 401);
    let binary = Sending::new("/hooks/a", b"\xff").to(&yard).json()["id"].clone();
    let ids = [&ids[..], &[binary.as_str().unwrap().to_owned()]].concat();
    ids.iter().for_each(|id| drop(yard.tried(id)));
    (yard, ids)
}

/// What in a value is not as the schema says; everything that the schema may say is known here.
fn mistakes(document: &Value, value: &Value, schema: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(name.trim_start_matches('#')).unwrap();
        return mistakes(document, value, schema, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::String(_) => "string",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &schema["type"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    if !allowed.contains(&kind.into()) {
        return vec![format!("{at}: {value} is none of {allowed:?}")];
    }
    let mut found = Vec::new();
    if schema["enum"].as_array().is_some_and(|names| !names.contains(value)) {
        found.push(format!("{at}: {value} is no known name"));
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(mistakes(document, item, &schema["items"], &format!("{at}[]")));
    }
    for (key, part) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(key);
        match known.unwrap_or(&schema["additionalProperties"]) {
            Value::Object(schema) => {
                let schema = schema.clone().into();
                found.extend(mistakes(document, part, &schema, &format!("{at}.{key}")));
            }
            Value::Null if schema.get("properties").is_none() => {}
            _ => found.push(format!("{at}: {key} is not in the document")),
        }
    }
    let required = schema["required"].as_array().filter(|_| value.is_object());
    for key in required.into_iter().flatten() {
        if value.get(key.as_str().unwrap()).is_none() {
            found.push(format!("{at}: {key} is missing"));
        }
    }
    found
}

/// A query of those parameters for which the document has an example.
fn examples(described: &Value) -> String {
    let parameters = described["parameters"].as_array().into_iter().flatten();
    let given = parameters.filter_map(|it| Some((it["name"].as_str()?, it["example"].as_str()?)));
    let given: Vec<String> = given.map(|(name, value)| format!("{name}={value}")).collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

#[test]
fn every_answer_is_as_the_document_says() {
    let (yard, ids) = yard();
    let document = yard.ask("/api/v1/openapi.json").json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let json = [("content-type", "application/json")];
        let ids = if path.contains("{id}") { &ids[..] } else { &ids[..1] };
        for (method, described) in methods.as_object().unwrap() {
            for id in ids {
                let name = match path.rsplit_once('/') {
                    Some((_, "pause" | "resume")) => "a/ack",
                    Some((_, "arm" | "handed-over")) => "waiting",
                    _ => "h",
                };
                let path = path.replace("{id}", id).replace("{name}", name) + &examples(described);
                let answer = yard.admin_request(&method.to_uppercase(), &path, &json);
                let described = &described["responses"][answer.status.to_string()]["content"];
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
                let Some(schema) = described.get("application/json") else { continue };
                let found = mistakes(&document, &answer.json(), &schema["schema"], "");
                assert_eq!(found, [""; 0], "{path}: {}", answer.body);
            }
        }
    }
}

#[test]
fn every_refusal_is_as_the_document_says() {
    let (yard, _) = yard();
    let document = yard.ask("/api/v1/openapi.json").json();
    for (path, described, status) in [
        ("/api/v1/events?state=gone", "/api/v1/events", 400),
        ("/api/v1/events/evt_1", "/api/v1/events/{id}", 404),
        ("/api/v1/events/evt_1/why", "/api/v1/events/{id}/why", 404),
        ("/api/v1/sources/gone/refused", "/api/v1/sources/{name}/refused", 404),
        ("/api/v1/dead-letters?cursor=x", "/api/v1/dead-letters", 400),
    ] {
        let answer = yard.ask(path);
        assert_eq!(answer.status, status);
        let responses = &document["paths"][described]["get"]["responses"];
        let schema = &responses[status.to_string()]["content"]["application/json"]["schema"];
        assert_eq!(mistakes(&document, &answer.json(), schema, ""), [""; 0], "{answer:?}");
    }
}

#[test]
fn every_parameter_of_the_document_is_one_that_is_known() {
    let (yard, _) = yard();
    let document = yard.ask("/api/v1/openapi.json").json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for parameter in methods["get"]["parameters"].as_array().into_iter().flatten() {
            let Some(name) = (parameter["in"] == "query").then(|| parameter["name"].as_str())
            else {
                continue;
            };
            let (name, names) = (name.unwrap(), &parameter["schema"]["enum"]);
            let value = names[0].as_str().unwrap_or("1");
            let answer = yard.ask(&format!("{path}?{name}={value}"));
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
        }
    }
}

#[test]
fn every_path_of_the_document_is_in_the_docs() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operate.md");
    let docs = fs::read_to_string(docs).unwrap();
    let document = Yard::start("", &[]).ask("/api/v1/openapi.json").json();
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(docs.contains(&format!("`{path}`")), "{path}");
    }
}

#[test]
fn every_path_in_the_admin_sides_source_is_in_the_document() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin");
    let paths = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        serde_json::from_str::<BTreeMap<String, Value>>(&text).unwrap()
    };
    let known: BTreeSet<String> = ["openapi/events.json", "openapi/operation.json"]
        .into_iter()
        .flat_map(paths)
        .map(|(path, _)| path)
        .collect();
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let text = fs::read_to_string(&entry).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for path in code.split('"').filter(|text| text.starts_with("/api/v1/")) {
            assert!(known.contains(path), "{path} of {}", entry.display());
            seen += 1;
        }
    }
    assert!(seen > 4, "{seen}");
}
