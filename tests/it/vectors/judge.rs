//! One vector: a request, the secrets it is to be judged by, and the verdict.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard::config::presets;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::yard::Yard;

#[derive(Debug, Deserialize)]
pub struct Vector {
    pub id: String,
    /// The preset that it is for, if there is one.
    provider: String,
    pub valid: bool,
    origin: String,
    method: String,
    url: Option<String>,
    headers: Vec<(String, String)>,
    body_b64: String,
    secrets: Vec<String>,
    /// Seconds since 1970.
    now: i64,
    /// A description in the words of router.toml.
    #[serde(default)]
    scheme: Value,
    /// What the source adds to its scheme.
    #[serde(default)]
    with: Map<String, Value>,
    /// The same in the words of `vectors.json`.
    #[serde(default)]
    context: Map<String, Value>,
}

/// Vectors whose description is wrong on purpose: the preset knows better.
const NOT_OF_THE_PRESET: [&str; 2] = ["hubspot-v3-ms-read-as-s", "adyen-key-as-ascii"];

/// The longest tolerance that router.toml takes, in seconds.
const LONGEST_TOLERANCE: u64 = 7 * 86_400;

/// All vectors of `tests/fixtures/signatures`, as far as there is something to judge them by.
pub fn all() -> &'static [Vector] {
    static VECTORS: OnceLock<Vec<Vector>> = OnceLock::new();
    VECTORS.get_or_init(|| {
        let files = ["vectors.json", "code.json", "sdk.json"].into_iter();
        files.flat_map(read).filter(Vector::can_be_judged).collect()
    })
}

fn read(file: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/signatures").join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Vector {
    /// Judges it by its description and by the preset of its provider.
    pub fn check(&self) {
        for scheme in self.schemes() {
            self.agree(&scheme);
        }
    }

    /// What a source may say of its scheme, on one line.
    fn schemes(&self) -> Vec<String> {
        let described = self.is_described().then(|| as_toml(&self.description()));
        let has_preset = self.has_preset() && !NOT_OF_THE_PRESET.contains(&&*self.id);
        let preset = has_preset.then(|| format!("{:?}", self.provider));
        described.into_iter().chain(preset).collect()
    }

    /// The preset that it proves, if it comes from the provider itself.
    pub fn proves(&self) -> Option<&str> {
        let own =
            matches!(&*self.origin, "provider-docs" | "provider-sdk" | "provider-sdk-test" | "rfc");
        (self.valid && own).then_some(&*self.provider)
    }

    fn can_be_judged(&self) -> bool {
        self.is_described() || self.has_preset()
    }

    fn has_preset(&self) -> bool {
        presets::find(&self.provider).is_some()
    }

    fn is_described(&self) -> bool {
        self.scheme.is_object()
    }

    /// The scheme in the words of router.toml, which has a default tolerance, and an upper limit.
    fn description(&self) -> Value {
        let mut scheme = self.scheme.clone();
        let tolerance = scheme.pointer("/timestamp/tolerance").and_then(Value::as_u64);
        match tolerance {
            Some(seconds) => {
                scheme["timestamp"]["tolerance"] = json!(seconds.min(LONGEST_TOLERANCE));
            }
            None => drop(scheme.as_object_mut().unwrap().remove("timestamp")),
        }
        scheme
    }

    /// Judges it by the program: a captured request against a source, at the vector's time.
    fn agree(&self, scheme: &str) {
        let yard = Yard::new(&self.source(scheme));
        fs::write(yard.path("captured.http"), self.on_the_wire()).unwrap();
        let at = self.now.to_string();
        let verify = ["verify", &self.id, "--request", "captured.http", "--json", "--at", &at];
        let ran = yard.command(&verify).output().unwrap();
        // The signatures of other methods are right or wrong too, but no source takes them.
        let is_taken = self.valid && self.method == "POST";
        let code = if is_taken { 0 } else { 1 };
        assert_eq!(ran.status.code(), Some(code), "{scheme}: {ran:?}");
        match serde_json::from_slice::<Value>(&ran.stdout) {
            Ok(told) => {
                assert_eq!(told["verified"], is_taken, "{scheme}: {told}");
                assert_eq!(told["refusal"].is_null(), self.valid, "{scheme}: {told}");
                assert_eq!(told["steps"][0]["passed"], true, "{scheme}: {told}");
            }
            // A source with such a secret is not even made.
            Err(_) => {
                let report = String::from_utf8(ran.stderr).unwrap();
                assert!(report.contains("the secret is empty"), "{scheme}: {report}");
            }
        }
    }

    /// The source of router.toml that has its name and is to judge it.
    pub fn own_source(&self) -> String {
        self.source(&self.schemes()[0])
    }

    fn source(&self, scheme: &str) -> String {
        let secrets: Vec<_> = self.secrets.iter().map(|text| json!({ "value": text })).collect();
        let secrets = match secrets.is_empty() {
            true => String::new(),
            false => format!("secrets = {}\n", as_toml(&Value::from(secrets))),
        };
        let (id, with, (public_url, _)) = (&self.id, self.with(), self.url());
        format!("[sources.{id}]\nscheme = {scheme}\n{secrets}{with}public_url = {public_url:?}\n")
    }

    /// Where the sender posts it to, and the query of that.
    fn url(&self) -> (&str, &str) {
        match &self.url {
            Some(url) => url.split_at(url.find('?').unwrap_or(url.len())),
            None => ("https://hooks.example.com/in", ""),
        }
    }

    /// `with`, if there is anything in it.
    fn with(&self) -> String {
        let mut with = self.with.clone();
        for (theirs, ours) in [("webhook_id", "webhook_id"), ("cert_pem", "certificate")] {
            with.extend(self.context.get(theirs).map(|value| (ours.to_owned(), value.clone())));
        }
        if with.is_empty() { String::new() } else { format!("with = {}\n", as_toml(&with.into())) }
    }

    /// The request, byte for byte, as it comes to the source.
    pub fn on_the_wire(&self) -> Vec<u8> {
        let body = STANDARD.decode(&self.body_b64).unwrap();
        let (_, query) = self.url();
        let mut head = format!("{} /hooks/{}{query} HTTP/1.1\r\n", self.method, self.id);
        head += &format!("host: hooks\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        [head.as_bytes(), b"\r\n", &body].concat()
    }
}

/// A value as TOML writes it on one line.
fn as_toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs = table.iter().map(|(key, value)| format!("{key:?} = {}", as_toml(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items = items.iter().map(as_toml);
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        // What JSON escapes, TOML escapes in the same way.
        other => other.to_string(),
    }
}
