//! One vector: a request, the secrets it is to be judged by, and the verdict.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard::config::{Config, presets};
use hookyard::verify::Request;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Deserialize)]
pub struct Vector {
    pub id: String,
    /// The preset that it is for, if there is one.
    provider: String,
    valid: bool,
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

/// All vectors of a file in `tests/fixtures/signatures`.
pub fn read(file: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/signatures").join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Those of RFCs, documentation and test suites, as far as there is something to judge them by.
pub fn published() -> &'static [Vector] {
    static VECTORS: OnceLock<Vec<Vector>> = OnceLock::new();
    VECTORS.get_or_init(|| {
        let vectors = read("vectors.json").into_iter().chain(read("code.json"));
        vectors.filter(Vector::can_be_judged).collect()
    })
}

impl Vector {
    /// Judges it by its description and by the preset of its provider.
    pub fn check(&self) {
        if self.is_described() {
            self.agree(&as_toml(&self.description()), "described");
        }
        if self.has_preset() && !NOT_OF_THE_PRESET.contains(&&*self.id) {
            self.agree(&format!("{:?}", self.provider), "preset");
        }
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

    fn agree(&self, scheme: &str, how: &str) {
        let verdict = self.verdict(scheme);
        assert_eq!(verdict.is_ok(), self.valid, "{}, {how}: {verdict:?}", self.id);
    }

    /// A source that cannot be made of these secrets refuses everything.
    fn verdict(&self, scheme: &str) -> Result<(), String> {
        let secrets: Vec<_> = self.secrets.iter().map(|text| json!({ "value": text })).collect();
        let secrets = match secrets.is_empty() {
            true => String::new(),
            false => format!("secrets = {}\n", as_toml(&Value::from(secrets))),
        };
        let (public_url, query) = match &self.url {
            Some(url) => url.split_at(url.find('?').unwrap_or(url.len())),
            None => ("https://hooks.example.com/in", ""),
        };
        let text = format!(
            "[sources.it]\nscheme = {scheme}\n{secrets}{}public_url = {public_url:?}\n",
            self.with()
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.toml");
        fs::write(&path, text).unwrap();
        let (config, _) = Config::load(&path).map_err(|report| report.to_string())?;
        let verifier = &config.sources[0].verifier;
        let request = self.request(&format!("/hooks/it{query}"));
        verifier.precheck(&request.headers, &request.target).map_err(|e| e.to_string())?;
        verifier.verify(request, self.now * 1_000).map(drop).map_err(|e| e.to_string())
    }

    /// `with`, if there is anything in it.
    fn with(&self) -> String {
        let mut with = self.with.clone();
        for (theirs, ours) in [("webhook_id", "webhook_id"), ("cert_pem", "certificate")] {
            with.extend(self.context.get(theirs).map(|value| (ours.to_owned(), value.clone())));
        }
        if with.is_empty() { String::new() } else { format!("with = {}\n", as_toml(&with.into())) }
    }

    fn request(&self, target: &str) -> Request {
        let mut request = http::Request::builder();
        for (name, value) in &self.headers {
            request = request.header(name, value.as_bytes());
        }
        let headers = request.body(()).unwrap().headers().clone();
        Request {
            method: self.method.parse().unwrap(),
            target: target.to_owned(),
            headers,
            body: STANDARD.decode(&self.body_b64).unwrap().into(),
            peer: [127, 0, 0, 1].into(),
        }
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
