//! Signed requests against presets: of the providers' libraries, documentation and tests, for the
//! schemes that are code or tokens.

use std::net::IpAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Reading;
use crate::source::Source;
use crate::verify::Request;

#[derive(Deserialize)]
struct Vector {
    id: String,
    provider: String,
    valid: bool,
    method: String,
    url: Option<String>,
    headers: Vec<(String, String)>,
    body_b64: String,
    secrets: Vec<String>,
    now: i64,
    #[serde(default)]
    scheme: Value,
    #[serde(default)]
    with: Map<String, Value>,
    #[serde(default)]
    context: Map<String, Value>,
}

fn read(file: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/signatures").join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Vector {
    /// The source that router.toml describes with the provider's preset, or with `scheme`.
    fn source(&self, scheme: Option<&str>) -> Source {
        let mut text = match scheme {
            Some(scheme) => format!("[sources.s]\nscheme = {scheme}\n"),
            None => format!("[sources.s]\nscheme = \"{}\"\n", self.provider),
        };
        if let Some(url) = self.url.as_deref().and_then(|url| url.split('?').next()) {
            text += &format!("public_url = {}\n", json!(url));
        }
        if !self.secrets.is_empty() {
            let secrets: Vec<_> =
                self.secrets.iter().map(|value| format!("{{ value = {} }}", json!(value))).collect();
            text += &format!("secrets = [{}]\n", secrets.join(", "));
        }
        let given = |name: &str| self.context.get(name).map(|value| (name.to_owned(), value.clone()));
        let certificate = self.context.get("cert_pem").map(|pem| ("certificate".to_owned(), pem.clone()));
        let with = self.with.clone().into_iter().chain(given("webhook_id")).chain(certificate);
        let with: Vec<_> = with.map(|(name, value)| format!("{name} = {value}")).collect();
        if !with.is_empty() {
            text += &format!("with = {{ {} }}\n", with.join(", "));
        }
        let read = Reading::new(Path::new("router.toml"), &text, &|_| None, self.now);
        let (mut config, _) = read.accept().unwrap_or_else(|e| panic!("{}: {e}", self.id));
        config.sources.remove(0)
    }

    fn request(&self) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let url: Option<http::Uri> = self.url.as_deref().map(|url| url.parse().unwrap());
        let target = url.as_ref().and_then(|url| url.path_and_query()).map(|t| t.to_string());
        Request {
            method: self.method.parse().unwrap(),
            target: target.unwrap_or_else(|| "/hooks/s".to_owned()),
            headers,
            body: Bytes::from(STANDARD.decode(&self.body_b64).unwrap()),
            peer: IpAddr::from([127, 0, 0, 1]),
        }
    }

    fn check(&self, scheme: Option<&str>) {
        let (source, request) = (self.source(scheme), self.request());
        let early = source.verifier.precheck(&request.headers, &request.target);
        let verdict = source.verifier.verify(request, self.now * 1000);
        assert_eq!(verdict.is_ok(), self.valid, "{}: {verdict:?}", self.id);
        assert!(early.is_ok() || !self.valid, "{}: {early:?}", self.id);
    }
}

#[test]
fn requests_that_the_providers_libraries_sign_are_judged_right() {
    let vectors = read("code.json");
    assert!(vectors.len() > 50, "{}", vectors.len());
    vectors.iter().for_each(|vector| vector.check(None));
}

#[test]
fn published_requests_of_schemes_that_are_code_are_judged_right() {
    const HS256: &str = r#"{ kind = "jws", alg = "HS256", signature = { header = "X-Webhook-Signature" }, secret = { encoding = "base64url" } }"#;
    let is_ours = |vector: &&Vector| matches!(vector.scheme["kind"].as_str(), Some("code" | "jws"));
    let vectors = read("vectors.json");
    let ours: Vec<_> = vectors.iter().filter(is_ours).collect();
    assert_eq!(ours.len(), 19);
    for vector in ours {
        vector.check((vector.provider == "jws").then_some(HS256));
    }
}
