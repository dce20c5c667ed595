//! The rules of verification, one test each, and published vectors.

mod aliases;
mod coverage;
mod forms;
mod fuzz;
mod keys;
mod pitfalls;
mod properties;
mod rules;
mod shapes;
mod signed_tokens;
mod signing;
mod steps;
mod tokens;

use super::signed::*;
use super::*;
use crate::pointer::Pointer;
use ::hmac::{KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue};
use std::sync::LazyLock;

const NOW_MS: i64 = 1_700_000_000_000;

/// `X-Sig: sha256=<hex>` over the body.
pub(super) static PLAIN: LazyLock<SignedSpec> = LazyLock::new(|| SignedSpec {
    algorithm: Algorithm::Hmac(Digest::Sha256),
    encoding: Encoding::Hex,
    secret: SecretForm::VERBATIM,
    layout: layout(whole("sha256=", ""), "{body}", None),
    or: None,
    header_alias: None,
    require_headers: Vec::new(),
    signed_body: SignedBody::Received,
    body_transform: BodyTransform::None,
    url_transform: UrlTransform::None,
});

/// `X-Sig: t=<seconds>,v1=<hex>` over `t.body`.
static FIELDS: LazyLock<SignedSpec> = LazyLock::new(|| {
    let at = TimestampAt::Field("t".into());
    with_layout(kv_fields(",", "=", "v1"), "{timestamp}.{body}", Some(timestamp(at)))
});

fn whole(prefix: &str, separator: &str) -> SignatureSpec {
    SignatureSpec::Whole {
        at: SignatureAt::Headers(vec!["X-Sig".into()]),
        prefix: prefix.into(),
        also_prefix: Vec::new(),
        separator: separator.into(),
    }
}

/// One bare signature at that place.
fn bare(at: SignatureAt) -> SignatureSpec {
    let (prefix, also_prefix, separator) = Default::default();
    SignatureSpec::Whole { at, prefix, also_prefix, separator }
}

fn kv_fields(item_separator: &str, kv_separator: &str, key: &str) -> SignatureSpec {
    SignatureSpec::Fields {
        headers: vec!["X-Sig".into()],
        item_separator: item_separator.into(),
        kv_separator: kv_separator.into(),
        key: key.into(),
        group_separator: String::new(),
    }
}

fn timestamp(at: TimestampAt) -> TimestampSpec {
    TimestampSpec { at, format: TimeFormat::Unix, tolerance: Some(300), signed: true }
}

fn layout(signature: SignatureSpec, content: &str, timestamp: Option<TimestampSpec>) -> LayoutSpec {
    LayoutSpec { signature, content: content.into(), timestamp }
}

fn with_layout(
    signature: SignatureSpec,
    content: &str,
    timestamp: Option<TimestampSpec>,
) -> SignedSpec {
    SignedSpec { layout: layout(signature, content, timestamp), ..PLAIN.clone() }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn scheme(spec: &SignedSpec) -> Scheme {
    let spec = Spec::Signed(Box::new(spec.clone()));
    Scheme::new(&spec, &Givens { public_url: Some("https://h.example/in/"), ..Givens::default() })
        .unwrap()
}

fn bind(scheme: Scheme, secrets: &[&str]) -> Verifier {
    let secrets = secrets.iter().map(|text| scheme.secret(text, Window::default()).unwrap());
    let secrets = secrets.collect();
    Verifier::new(scheme, secrets).unwrap()
}

fn verifier(spec: &SignedSpec) -> Verifier {
    bind(scheme(spec), &["key"])
}

fn request(headers: &[(&str, &str)], body: &[u8]) -> Request {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    Request {
        method: Method::POST,
        target: "/hooks/x".into(),
        headers: map,
        body: Bytes::copy_from_slice(body),
        peer: IpAddr::from([127, 0, 0, 1]),
    }
}

/// Prechecks, then verifies; whatever the precheck refuses must be refused for good.
fn check(verifier: &Verifier, request: Request, now_unix_ms: i64) -> Result<usize, Refusal> {
    let early = verifier.precheck(&request.headers, &request.target);
    let verdict = verifier.verify(request, now_unix_ms);
    if let Err(refusal) = early {
        assert_eq!(verdict.unwrap_err(), refusal);
        return Err(refusal);
    }
    verdict.map(|verified| verified.secret_index().unwrap())
}

fn covers_header(verifier: &Verifier, name: &'static str) -> bool {
    verifier.covers(&Location::Header(HeaderName::from_static(name)))
}

/// Whether a place is signed that the scheme does not know.
fn covers_body(verifier: &Verifier) -> bool {
    verifier.covers(&Location::Pointer(Pointer::from_static("/nowhere")))
}

fn refused_early(verifier: &Verifier, request: &Request) -> bool {
    verifier.precheck(&request.headers, &request.target).is_err()
}

/// Computed apart from the code under test.
fn sha256(key: &str, content: &[u8]) -> String {
    let mut mac = ::hmac::Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(content);
    hex::encode(mac.finalize().into_bytes())
}
