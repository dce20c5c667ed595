//! Each mistake is named for what it is, and nothing is given away.

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha1::Sha1;
use sha2::Sha256;

use super::*;
use crate::verify::signed::{
    Algorithm, LayoutSpec, SignatureAt, SignatureSpec, SignedSpec, TimeFormat, TimestampAt,
    TimestampSpec,
};
use crate::verify::tests::PLAIN;
use crate::verify::{Digest, Encoding, Givens, Scheme, TokenAt, TokenSpec, Window};

const NOW_MS: i64 = 1_700_000_000_000;
const SECRET: &str = "hush-3f9a-secret";
const BODY: &str = "{\"a\": 1, \"b\": \"x/y\"}";

fn spec(prefix: &str, content: &str) -> SignedSpec {
    let (also_prefix, separator) = Default::default();
    let at = SignatureAt::Headers(vec!["X-Signature".into()]);
    let timestamp = content.contains("{timestamp}").then(|| TimestampSpec {
        at: TimestampAt::Header("X-Time".into()),
        format: TimeFormat::Unix,
        tolerance: Some(300),
        signed: true,
    });
    SignedSpec {
        layout: LayoutSpec {
            signature: SignatureSpec::Whole { at, prefix: prefix.into(), also_prefix, separator },
            content: content.into(),
            timestamp,
        },
        ..PLAIN.clone()
    }
}

fn hex256(key: &[u8], content: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(content.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn request(headers: &[(&str, &str)], body: &str) -> Request {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Request {
        method: Method::POST,
        target: "/in/acme".into(),
        headers: map,
        body: Bytes::copy_from_slice(body.as_bytes()),
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
    }
}

fn verifier(spec: &Spec, url: Option<&str>, secrets: &[(&str, Window)]) -> Verifier {
    let scheme = Scheme::new(spec, &Givens { public_url: url, ..Givens::default() }).unwrap();
    let secrets = secrets.iter().map(|(text, window)| scheme.secret(text, *window).unwrap());
    let secrets = secrets.collect();
    Verifier::new(scheme, secrets).unwrap()
}

/// The explanation of a request to a source of this scheme, with two other sources beside it.
fn explained(spec: &Spec, request: &Request) -> Explanation {
    let url = Some("https://hooks.example/in/acme");
    let over = Window { not_before: None, not_after: Some(1_600_000_000) };
    let verifier = verifier(spec, url, &[(SECRET, Window::default()), ("old-secret", over)]);
    let other_spec = Spec::Signed(Box::new(self::spec("v9=", "v9:{body}")));
    let other = self::verifier(&other_spec, url, &[("their-secret", Window::default())]);
    let sources = [Subject { name: "other", verifier: &other, spec: &other_spec, public_url: url }];
    let preset = Spec::Signed(Box::new(self::spec("", "preset:{body}")));
    let others = Others { sources: &sources, presets: &[("fitting", &preset)] };
    let subject = Subject { name: "acme", verifier: &verifier, spec, public_url: url };
    let captured = Captured { request, has_body: true, at: NOW_MS };
    let explanation = explain(subject, captured, others, WORK);
    let said = format!("{explanation:?}{}", explanation.as_json());
    assert!(!said.contains(SECRET) && !said.contains("old-secret"), "{said}");
    explanation
}

fn likely(spec: &SignedSpec, headers: &[(&str, &str)], body: &str) -> String {
    let spec = Spec::Signed(Box::new(spec.clone()));
    let explanation = explained(&spec, &request(headers, body));
    let said = format!("{explanation:?}");
    for (_, value) in headers.iter().filter(|(name, _)| *name == "X-Signature") {
        assert!(value.len() < 20 || !said.contains(value), "{said}");
    }
    explanation.likely.unwrap_or_default()
}

#[test]
fn a_mistake_is_named() {
    let plain = spec("sha256=", "{body}");
    let prefixed = |key: &[u8], body: &str| format!("sha256={}", hex256(key, body));
    let mut sha1 = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    sha1.update(BODY.as_bytes());
    let sha1 = format!("sha256={}", hex::encode(sha1.finalize().into_bytes()));
    let base64 = Encoding::Base64.encode(&hex::decode(hex256(SECRET.as_bytes(), BODY)).unwrap());
    for (signature, part) in [
        (prefixed(SECRET.as_bytes(), r#"{"a":1,"b":"x/y"}"#), "the same JSON without white space"),
        (prefixed(SECRET.as_bytes(), r#"{"a":1,"b":"x\/y"}"#), "with slashes"),
        (prefixed(SECRET.as_bytes(), &format!("{BODY}\n")), "the body and a line break"),
        (prefixed(SECRET.as_bytes(), ""), "an empty body"),
        (prefixed(b"hush-3f9a-secret\n", BODY), "secret 0 with a line break at its end"),
        (prefixed(b"old-secret", BODY), "secret 1, which is out of its time"),
        (prefixed(b"their-secret", BODY), "the secret of source `other`"),
        (
            format!("v9={}", hex256(b"their-secret", &format!("v9:{BODY}"))),
            "posted to the wrong path",
        ),
        (hex256(SECRET.as_bytes(), BODY), "has no `sha256=` before it"),
        (
            format!("sha1={}", hex256(SECRET.as_bytes(), BODY)),
            "has `sha1=` before it in place of `sha256=`",
        ),
        (format!("sha256={base64}"), "is in base64 in place of hex"),
        (sha1, "is made with sha1"),
        (hex256(SECRET.as_bytes(), &format!("preset:{BODY}")), "as the preset `fitting` has it"),
        (prefixed(b"nobody knows", BODY), "none of the usual mistakes"),
        (hex256(b"nobody knows", BODY), "by its looks, the signature has no `sha256=` before it"),
    ] {
        let likely = likely(&plain, &[("X-Signature", &signature)], BODY);
        assert!(likely.contains(part), "{part}: {likely}");
    }
    let moved = likely(&plain, &[("X-Sig", &prefixed(SECRET.as_bytes(), BODY))], BODY);
    assert!(moved.contains("stands in header x-sig"), "{moved}");
    let strange = likely(&plain, &[("X-Their-Signature", "abc")], BODY);
    assert!(strange.contains("x-their-signature is"), "{strange}");
    assert!(likely(&plain, &[], BODY).contains("many senders sign only when"));
}

#[test]
fn a_superfluous_prefix_is_named() {
    let signature = format!("sha256={}", hex256(SECRET.as_bytes(), BODY));
    let likely = likely(&spec("", "{body}"), &[("X-Signature", &signature)], BODY);
    assert!(likely.contains("has `sha256=` before it"), "{likely}");
}

#[test]
fn a_wrong_time_is_named() {
    let timed = spec("", "{timestamp}.{body}");
    for (time, part) in [
        ("1700000000000", "is in milliseconds, and the scheme has seconds"),
        ("1600000000", "the signature is right, but not its time"),
        ("yesterday", "the signature is right, but not its time"),
    ] {
        let signature = hex256(SECRET.as_bytes(), &format!("{time}.{BODY}"));
        let likely = likely(&timed, &[("X-Time", time), ("X-Signature", &signature)], BODY);
        assert!(likely.contains(part), "{time}: {likely}");
    }
    let signature = hex256(SECRET.as_bytes(), &format!("1600000000.{BODY}\n"));
    let old = likely(&timed, &[("X-Time", "1600000000"), ("X-Signature", &signature)], BODY);
    assert!(old.contains("the body and a line break"), "{old}");
}

#[test]
fn a_wrong_url_is_named() {
    let signed = spec("", "{url}{body}");
    for url in [
        "http://hooks.example/in/acme",
        "https://hooks.example/in/acme/",
        "https://other.example/in/acme",
    ] {
        let signature = hex256(SECRET.as_bytes(), &format!("{url}{BODY}"));
        let headers = [("Host", "other.example"), ("X-Signature", &*signature)];
        let likely = likely(&signed, &headers, BODY);
        assert!(likely.contains(&format!("the sender calls {url}, ")), "{likely}");
    }
}

#[test]
fn a_token_is_not_shown_and_its_mistakes_are_named() {
    let spec = Spec::Token(TokenSpec {
        at: TokenAt::Headers(vec!["X-Token".into()]),
        prefix: String::new(),
    });
    for (name, token, part) in [
        ("X-Token", "Bearer hush-3f9a-secret", "has `Bearer ` before it"),
        ("X-Other", "hush-3f9a-secret", "stands in header x-other"),
        ("X-Token", "their-secret", "the secret of source `other`"),
        ("X-Token", "hush-3f9a-secre", "none of the usual mistakes"),
    ] {
        let explanation = explained(&spec, &request(&[(name, token)], BODY));
        let likely = explanation.likely.as_deref().unwrap();
        assert!(likely.contains(part), "{part}: {likely}");
        assert!(!format!("{explanation:?}").contains(token), "{explanation:?}");
    }
}

#[test]
fn every_step_says_what_was_expected_and_found() {
    let timed = Spec::Signed(Box::new(spec("sha256=", "{timestamp}.{body}")));
    let signature = format!("sha256={}", hex256(SECRET.as_bytes(), &format!("1699999990.{BODY}")));
    let good = request(&[("X-Time", "1699999990"), ("X-Signature", &signature)], BODY);
    let Explanation { verdict, steps, likely } = explained(&timed, &good);
    assert_eq!((verdict, likely), (Ok(Some(0)), None));
    let shown: Vec<String> = steps
        .iter()
        .map(|step| {
            format!("{} | {} | {} | {}", step.check, step.expected, step.found, step.passed)
        })
        .collect();
    let hash = hex::encode(<Sha256 as sha2::Digest>::digest(format!("1699999990.{BODY}")));
    assert_eq!(
        shown,
        [
            format!("header x-signature | `sha256=`, then 32 bytes in hex | `sha256={}…`, 71 characters | true", &signature[7..11]),
            "time in header x-time | unix, within 300 s of 2023-11-14T22:13:20.000Z | `1699999990`, 10 s ago | true".to_owned(),
            format!("signed text | {{timestamp}}.{{body}} | 31 bytes, SHA-256 {hash} | true"),
            "secret 0 | the one that was signed with | it is | true".to_owned(),
            "secret 1 | the one that was signed with | it is out of its time | false".to_owned(),
        ]
    );
}

#[test]
fn the_digest_of_a_text_with_the_secret_in_it_is_not_shown() {
    let mut hashed = spec("", "{secret}{body}");
    hashed.algorithm = Algorithm::Hash(Digest::Sha256);
    let right = hex::encode(<Sha256 as sha2::Digest>::digest(format!("{SECRET}{BODY}")));
    let wrong = request(&[("X-Signature", &"0".repeat(64))], BODY);
    let explanation = explained(&Spec::Signed(Box::new(hashed)), &wrong);
    assert!(explanation.steps.iter().any(|step| step.found.contains("20 bytes beside the secret")));
    assert!(!format!("{explanation:?}").contains(&right[..8]), "{explanation:?}");
}

#[test]
fn a_search_ends_where_its_work_does() {
    let spec = Spec::Signed(Box::new(spec("sha256=", "{body}")));
    let verifier = verifier(&spec, None, &[(SECRET, Window::default())]);
    let signature = format!("sha256={}", hex256(b"another", BODY));
    let request = request(&[("X-Signature", &signature)], BODY);
    let subject = Subject { name: "acme", verifier: &verifier, spec: &spec, public_url: None };
    let captured = Captured { request: &request, has_body: true, at: NOW_MS };
    let likely = explain(subject, captured, Others::default(), 0).likely.unwrap();
    assert!(likely.contains("too large to try"), "{likely}");
}
