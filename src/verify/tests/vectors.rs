//! Vectors from RFCs, providers' documentation and the test suites of their libraries.

use super::super::presets;
use super::*;
use base64::Engine as _;
use serde::Deserialize;
use serde_json::Value;

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
    scheme: Value,
}

fn vectors() -> Vec<Vector> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/signatures/vectors.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Vector {
    fn request(&self) -> Request {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = base64::engine::general_purpose::STANDARD.decode(&self.body_b64).unwrap();
        let query = self
            .url
            .as_deref()
            .and_then(|url| url.split_once('?'))
            .map(|(_, query)| format!("?{query}"));
        Request {
            method: self.method.parse().unwrap(),
            target: format!("/hooks/x{}", query.unwrap_or_default()),
            ..request(&headers, &body)
        }
    }

    fn public_url(&self) -> Option<&str> {
        self.url.as_deref().and_then(|url| url.split('?').next())
    }

    /// Secrets that do not load and requests that do not verify are refused alike.
    #[track_caller]
    fn check(&self, scheme: Scheme) {
        let secrets: Result<Vec<_>, _> =
            self.secrets.iter().map(|text| scheme.secret(text, Window::default())).collect();
        let verdict = match secrets {
            Ok(secrets) => {
                check(&Verifier::new(scheme, secrets).unwrap(), self.request(), self.now * 1000)
                    .map_err(|e| e.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(verdict.is_ok(), self.valid, "{}: {verdict:?}", self.id);
    }

    fn scheme(&self) -> Scheme {
        let text = |pointer: &str| self.scheme.pointer(pointer).and_then(Value::as_str);
        let headers: Vec<&str> = match &self.scheme["signature"]["header"] {
            Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
            name => vec![name.as_str().unwrap()],
        };
        let signature = match text("/signature/parse") {
            Some("kv") => SignatureSpec::Fields {
                headers: &headers,
                item_separator: text("/signature/item_separator").unwrap(),
                kv_separator: text("/signature/kv_separator").unwrap(),
                key: text("/signature/key").unwrap(),
            },
            _ => SignatureSpec::Whole {
                at: SignatureAt::Headers(&headers),
                prefix: text("/signature/prefix").unwrap_or_default(),
                also_prefix: &[],
                separator: text("/signature/separator").unwrap_or_default(),
            },
        };
        let timestamp = self.scheme.get("timestamp").map(|_| TimestampSpec {
            at: match text("/timestamp/field") {
                Some(key) => TimestampAt::Field(key),
                None => TimestampAt::Header(text("/timestamp/header").unwrap()),
            },
            format: TimeFormat::from_name(text("/timestamp/format").unwrap()).unwrap(),
            tolerance: self.scheme.pointer("/timestamp/tolerance").and_then(Value::as_u64),
            signed: true,
        });
        scheme(&HmacSpec {
            digest: Digest::from_name(text("/digest").unwrap()).unwrap(),
            encoding: Encoding::from_name(text("/encoding").unwrap()).unwrap(),
            layout: LayoutSpec { signature, content: text("/content").unwrap(), timestamp },
            alias: None,
            require_headers: &[],
            secret: SecretForm {
                encoding: SecretEncoding::from_name(text("/secret/encoding").unwrap_or("utf8"))
                    .unwrap(),
                strip_prefix: text("/secret/strip_prefix"),
            },
            public_url: self.public_url(),
        })
    }
}

#[test]
fn every_hmac_vector_is_judged_right() {
    let vectors: Vec<_> =
        vectors().into_iter().filter(|vector| vector.scheme["kind"] == "hmac").collect();
    assert!(vectors.len() > 100);
    for vector in vectors {
        vector.check(vector.scheme());
    }
}

#[test]
fn presets_judge_their_providers_vectors_right() {
    for (name, provider, least) in [
        ("github", "github", 10),
        ("hotglue", "hotglue", 4),
        ("hotglue", "hotglue-shape", 1),
        ("standard-webhooks", "standard-webhooks", 10),
        ("supaglue", "supaglue", 1),
        ("svix", "svix", 1),
        ("svix", "standard-webhooks", 10),
    ] {
        let vectors: Vec<_> =
            vectors().into_iter().filter(|vector| vector.provider == provider).collect();
        assert!(vectors.len() >= least, "{provider}: {}", vectors.len());
        let preset = presets::find(name).unwrap();
        vectors.iter().for_each(|vector| vector.check(preset.scheme(vector.public_url()).unwrap()));
    }
}
