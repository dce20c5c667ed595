//! Schemes in which the sender shows the secret.

use super::*;

fn token(at: TokenAt, prefix: &str, secrets: &[&str]) -> Verifier {
    let spec = Spec::Token(TokenSpec { at, prefix: prefix.into() });
    bind(Scheme::new(&spec, &Givens::default()).unwrap(), secrets)
}

fn in_header(prefix: &str, secrets: &[&str]) -> Verifier {
    token(TokenAt::Headers(vec!["X-Token".into()]), prefix, secrets)
}

#[test]
fn a_token_is_the_secret_and_nothing_near_it() {
    let verifier = in_header("", &["old", "hunter2"]);
    let verdict = |shown: &str| check(&verifier, request(&[("x-token", shown)], b""), NOW_MS);
    assert_eq!(verdict("hunter2"), Ok(1));
    assert_eq!(verdict("old"), Ok(0));
    for near in ["hunter", "hunter22", "Hunter2", "hunter2,old"] {
        assert_eq!(verdict(near), Err(Refusal::Mismatch), "{near}");
    }
    assert_eq!(verdict(""), Err(Refusal::MalformedSignature));
    assert_eq!(check(&verifier, request(&[], b""), NOW_MS), Err(Refusal::MissingSignature));
    assert!(refused_early(&verifier, &request(&[], b"")));
}

#[test]
fn a_tokens_prefix_is_required_with_its_case() {
    let verifier = in_header("Bearer ", &["hunter2"]);
    let verdict = |shown: &str| check(&verifier, request(&[("X-Token", shown)], b""), NOW_MS);
    assert_eq!(verdict("Bearer hunter2"), Ok(0));
    for bad in ["hunter2", "bearer hunter2", "Bearer ", "Bearer"] {
        assert_eq!(verdict(bad), Err(Refusal::MalformedSignature), "{bad}");
    }
}

#[test]
fn a_token_may_stand_in_the_query_or_in_the_body() {
    let query = token(TokenAt::Query("key".into()), "", &["a b"]);
    let asking = |target: &str| Request { target: target.into(), ..request(&[], b"") };
    assert_eq!(check(&query, asking("/in?x=1&key=a%20b"), NOW_MS), Ok(0));
    assert_eq!(check(&query, asking("/in?key=a+b"), NOW_MS), Err(Refusal::Mismatch));
    let body = token(TokenAt::Body("/passcode".into()), "", &["hunter2"]);
    assert!(!refused_early(&body, &request(&[], b"")));
    assert_eq!(check(&body, request(&[], br#"{"passcode":"hunter2"}"#), NOW_MS), Ok(0));
    assert_eq!(check(&body, request(&[], b"{}"), NOW_MS), Err(Refusal::MissingSignature));
    assert_eq!(check(&body, request(&[], b"{"), NOW_MS), Err(Refusal::UnreadableBody));
}

#[test]
fn a_token_is_dropped_once_it_is_checked() {
    let header = in_header("", &["hunter2"]);
    let verified = header.verify(request(&[("X-Token", "hunter2")], b""), NOW_MS).unwrap();
    assert!(verified.request().headers.is_empty());
    let query = token(TokenAt::Query("key".into()), "", &["hunter2"]);
    for (target, rest) in [
        ("/in?a=1&key=hunter2&b", "/in?a=1&b"),
        ("/in?key=hunter2", "/in"),
        ("/in?key=hunter2&key=hunter2", "/in"),
    ] {
        let shown = Request { target: target.into(), ..request(&[], b"") };
        assert_eq!(query.verify(shown, NOW_MS).unwrap().request().target, rest);
    }
    assert!(header.signature_names().eq(["x-token"]) && query.signature_names().eq(["key"]));
    assert!(!format!("{header:?}").contains("hunter2"));
}

#[test]
fn a_shown_token_covers_nothing() {
    let verifier = in_header("", &["hunter2"]);
    assert!(!covers_body(&verifier) && !covers_header(&verifier, "x-token"));
}

#[test]
fn basic_is_user_and_password() {
    let verifier =
        bind(Scheme::new(&Spec::Basic, &Givens::default()).unwrap(), &["Aladdin:open sesame"]);
    let verdict = |value: &str| check(&verifier, request(&[("Authorization", value)], b""), NOW_MS);
    assert_eq!(verdict("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Ok(0));
    assert_eq!(verdict("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ"), Ok(0));
    assert_eq!(verdict("Basic QWxhZGRpbjpvcGVuIHNlc2FtZXM="), Err(Refusal::Mismatch));
    for bad in ["Basic", "Basic ?", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ""] {
        assert_eq!(verdict(bad), Err(Refusal::MalformedSignature), "{bad}");
    }
    let scheme = Scheme::new(&Spec::Basic, &Givens::default()).unwrap();
    let refused = |text| scheme.secret(text, Window::default()).unwrap_err();
    assert_eq!((refused("Aladdin"), refused(" ")), (SecretError::NoColon, SecretError::Empty));
}

#[test]
fn what_is_shown_for_a_source_is_believed() {
    let basic = bind(Scheme::new(&Spec::Basic, &Givens::default()).unwrap(), &["user:päss"]);
    for verifier in [in_header("Token token=", &["hunter2"]), basic] {
        let mut request = request(&[], b"{}");
        verifier.sign(&mut request, "id", NOW_MS).unwrap();
        assert_eq!(check(&verifier, request, NOW_MS), Ok(0));
    }
    for at in [TokenAt::Query("k".into()), TokenAt::Body("/a/k".into())] {
        let verifier = token(at, "", &["a+b &c"]);
        let mut request = request(&[], b"{\"a\":1}");
        verifier.sign(&mut request, "id", NOW_MS).unwrap();
        assert_eq!(check(&verifier, request, NOW_MS), Ok(0));
    }
}
