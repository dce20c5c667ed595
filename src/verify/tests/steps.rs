//! Published requests under tokens and certificates, explained step by step.

use super::certified::Certifier;
use super::jws::{Alg, BodyHash, JwsSpec};
use super::*;
use serde_json::Value;

struct Published {
    request: Request,
    with: With,
    now_ms: i64,
}

fn published(id: &str) -> Published {
    let all: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/signatures/code.json")).unwrap();
    let vectors = all.as_array().unwrap_or_else(|| all["vectors"].as_array().unwrap());
    let vector = vectors.iter().find(|vector| vector["id"] == id).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = vector["headers"].as_array().unwrap().iter();
    let pairs: Vec<_> = pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    let headers: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    let mut with = With::default();
    for (name, value) in vector["with"].as_object().unwrap() {
        with.insert(name, vec![text(value)]);
    }
    let body = Encoding::Base64.decode(vector["body_b64"].as_str().unwrap()).unwrap();
    let now_ms = vector["now"].as_i64().unwrap() * 1000;
    Published { request: request(&headers, &body), with, now_ms }
}

/// What was looked at, and whether it was well.
fn steps(verifier: &Verifier, request: Request, now_ms: i64) -> Vec<(String, bool)> {
    let (_, steps) = trace::record(|| verifier.verify(request, now_ms));
    let said = format!("{steps:?}");
    assert!(!said.contains("thiskeyistotallyunsafe") && !said.contains("eyJ"), "{said}");
    steps.into_iter().map(|step| (step.check, step.passed)).collect()
}

fn well(checks: &[&str]) -> Vec<(String, bool)> {
    checks.iter().map(|check| ((*check).to_owned(), true)).collect()
}

/// All of these were well, and then came one that was not.
fn fails_after(checks: &[&str], bad: &str) -> Vec<(String, bool)> {
    well(checks).into_iter().chain([(bad.to_owned(), false)]).collect()
}

fn livekit(with: &With, secret: &str) -> Verifier {
    let spec = JwsSpec {
        alg: Alg::Hs256,
        header: "Authorization".into(),
        prefixes: vec![String::new(), "Bearer ".into()],
        secret: SecretForm::VERBATIM,
        issuers: vec!["{api_key}".into()],
        audience: None,
        claims: Vec::new(),
        body: Some(BodyHash {
            claim: "sha256".into(),
            encoding: Encoding::Base64,
            optional_without_body: false,
        }),
        expires: true,
        max_age: Some(300),
        keys: None,
    };
    let givens = Givens { with: Some(with), has_secrets: true, ..Givens::default() };
    bind(Scheme::new(&Spec::Jws(Box::new(spec)), &givens).unwrap(), &[secret])
}

#[test]
fn a_token_is_explained_claim_by_claim() {
    const SECRET: &str = "thiskeyistotallyunsafe";
    const CHECKS: [&str; 6] =
        ["header authorization", "secret 0", "claim exp", "claim nbf", "claim iat", "claim iss"];
    let Published { request, with, now_ms } = published("livekit-room-started");
    let ours = livekit(&with, SECRET);
    let told = |request: &Request, now_ms| steps(&ours, request.clone(), now_ms);
    let all = [&CHECKS[..], &["claim sha256"]].concat();
    assert_eq!(told(&request, now_ms), well(&all));
    let other = Request { body: Bytes::from_static(b"{}"), ..request.clone() };
    assert_eq!(told(&other, now_ms), fails_after(&CHECKS, "claim sha256"));
    assert_eq!(told(&request, now_ms + 300_000), fails_after(&CHECKS[..2], "claim exp"));
    assert_eq!(told(&request, now_ms - 61_000), fails_after(&CHECKS[..3], "claim nbf"));
    let other = livekit(&with, "another");
    assert_eq!(steps(&other, request.clone(), now_ms), fails_after(&CHECKS[..1], "secret 0"));
    let bare = Request { headers: HeaderMap::new(), ..request };
    assert_eq!(told(&bare, now_ms), fails_after(&[], "header authorization"));
}

#[test]
fn a_certificates_signature_is_explained_step_by_step() {
    const CHECKS: [&str; 4] =
        ["TopicArn in the body", "time in /Timestamp", "signed text", "signature"];
    let Published { request, with, now_ms } = published("sns-notification-v2");
    let verifier = |with: &With| {
        let spec = Spec::Certified(Certifier::AwsSns);
        let scheme = Scheme::new(&spec, &Givens { with: Some(with), ..Givens::default() });
        Verifier::new(scheme.unwrap(), Vec::new()).unwrap()
    };
    let pinned = verifier(&with);
    assert_eq!(steps(&pinned, request.clone(), now_ms), well(&CHECKS));
    let late = steps(&pinned, request.clone(), now_ms + 3_600_001);
    assert_eq!(late, fails_after(&CHECKS[..1], CHECKS[1]));
    let text = String::from_utf8(request.body.to_vec()).unwrap();
    let changed = Request { body: text.replace("Hello", "Hallo").into(), ..request.clone() };
    assert_eq!(steps(&pinned, changed, now_ms), fails_after(&CHECKS[..3], CHECKS[3]));
    let mut other = with.clone();
    other.insert("topic", vec!["arn:aws:sns:us-east-1:123456789012:Other".to_owned()]);
    assert_eq!(steps(&verifier(&other), request.clone(), now_ms), fails_after(&[], CHECKS[0]));
    let mut fetching = with;
    fetching.insert("certificate", Vec::new());
    let unfetched = steps(&verifier(&fetching), request, now_ms);
    let before = [&CHECKS[..3], &["certificate"]].concat();
    assert_eq!(unfetched, fails_after(&before, "signature"));
}
