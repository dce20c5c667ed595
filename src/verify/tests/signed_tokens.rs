//! Tokens that are signed.

use super::jws::{Alg, JwsSpec};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

fn hs256() -> Verifier {
    let spec = JwsSpec {
        alg: Alg::Hs256,
        header: "X-Token".into(),
        prefixes: vec![String::new()],
        secret: SecretForm::VERBATIM,
        issuers: Vec::new(),
        audience: None,
        claims: Vec::new(),
        body: None,
        expires: false,
        max_age: None,
        keys: None,
    };
    bind(Scheme::new(&Spec::Jws(Box::new(spec)), &Givens::default()).unwrap(), &["key"])
}

fn token(header: &str) -> String {
    let signed = [header, "{}"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let tag = hex::decode(sha256("key", signed.as_bytes())).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[test]
fn what_is_wrong_with_a_tokens_header_is_said() {
    let verifier = hs256();
    let with_name = |length| format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(length));
    for (header, verdict) in [
        (r#"{"alg":"HS256"}"#.to_owned(), Ok(0)),
        (with_name(256), Ok(0)),
        (with_name(257), Err(Refusal::WrongValue("kid of the token".into()))),
        (r#"{"alg":"HS512"}"#.to_owned(), Err(Refusal::WrongValue("alg of the token".into()))),
        (r#"{"alg":"none"}"#.to_owned(), Err(Refusal::WrongValue("alg of the token".into()))),
    ] {
        let sent = request(&[("X-Token", &token(&header))], b"");
        assert_eq!(check(&verifier, sent, NOW_MS), verdict, "{header}");
    }
}
