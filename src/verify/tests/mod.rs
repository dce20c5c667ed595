//! The rules of verification, one test each, and published vectors.

mod aliases;
mod presets;
mod properties;
mod rules;
mod signing;
mod vectors;

use super::hmac::*;
use super::*;
use ::hmac::{KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue};

const NOW_MS: i64 = 1_700_000_000_000;

/// `X-Sig: sha256=<hex>` over the body.
const PLAIN: HmacSpec<'static> = HmacSpec {
    digest: Digest::Sha256,
    encoding: Encoding::Hex,
    layout: LayoutSpec { signature: whole("sha256=", ""), content: "{body}", timestamp: None },
    alias: None,
    require_headers: &[],
    secret: SecretForm::VERBATIM,
    public_url: None,
};

/// `X-Sig: t=<seconds>,v1=<hex>` over `t.body`.
const FIELDS: HmacSpec<'static> = HmacSpec {
    layout: LayoutSpec {
        signature: SignatureSpec::Fields {
            headers: &["X-Sig"],
            item_separator: ",",
            kv_separator: "=",
            key: "v1",
        },
        content: "{timestamp}.{body}",
        timestamp: Some(timestamp(TimestampAt::Field("t"))),
    },
    ..PLAIN
};

const fn whole(prefix: &'static str, separator: &'static str) -> SignatureSpec<'static> {
    SignatureSpec::Whole {
        at: SignatureAt::Headers(&["X-Sig"]),
        prefix,
        also_prefix: &[],
        separator,
    }
}

const fn timestamp(at: TimestampAt<'static>) -> TimestampSpec<'static> {
    TimestampSpec { at, format: TimeFormat::Unix, tolerance: Some(300), signed: true }
}

fn with_layout<'a>(
    signature: SignatureSpec<'a>,
    content: &'a str,
    timestamp: Option<TimestampSpec<'a>>,
) -> HmacSpec<'a> {
    HmacSpec { layout: LayoutSpec { signature, content, timestamp }, ..PLAIN }
}

fn scheme(spec: &HmacSpec<'_>) -> Scheme {
    Scheme::Hmac(Box::new(Hmac::new(spec).unwrap()))
}

fn bind(scheme: Scheme, secrets: &[&str]) -> Verifier {
    let secrets = secrets.iter().map(|text| scheme.secret(text, Window::default()).unwrap());
    let secrets = secrets.collect();
    Verifier::new(scheme, secrets).unwrap()
}

fn verifier(spec: &HmacSpec<'_>) -> Verifier {
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

fn refused_early(verifier: &Verifier, request: &Request) -> bool {
    verifier.precheck(&request.headers, &request.target).is_err()
}

/// Computed apart from the code under test.
fn sha256(key: &str, content: &[u8]) -> String {
    let mut mac = ::hmac::Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(content);
    hex::encode(mac.finalize().into_bytes())
}
