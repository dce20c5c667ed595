//! Whatever stands where signatures, tokens and templates do.

use super::*;
use crate::fuzz::fuzz;

/// A request with that header, if it is one at all.
fn with_header(name: &'static str, value: &[u8]) -> Option<Request> {
    let value = HeaderValue::from_bytes(value).ok()?;
    let mut request = request(&[("X-Time", "1700000000")], b"body");
    request.headers.insert(HeaderName::from_static(name), value);
    Some(request)
}

#[test]
fn fuzzed_signatures_count_only_with_the_right_secret() {
    let list = SignatureSpec::List { headers: vec!["X-Sig".into()], item_separator: ",".into() };
    let at = TimestampAt::Field("0".into());
    let list = with_layout(list, "{timestamp}.{body}", Some(timestamp(at)));
    let bound = |spec| [verifier(spec), bind(scheme(spec), &["another"])];
    let schemes = [&*PLAIN, &*FIELDS, &list].map(bound);
    let tags = [sha256("key", b"body"), sha256("key", b"1700000000.body")];
    fuzz("signature", |input| {
        let Some(request) = with_header("x-sig", input) else { return };
        let text = String::from_utf8_lossy(input).to_lowercase();
        for [right, wrong] in &schemes {
            let verdict = check(right, request.clone(), NOW_MS);
            assert!(verdict.is_err() || tags.iter().any(|tag| text.contains(tag)));
            assert!(check(wrong, request.clone(), NOW_MS).is_err());
        }
    });
}

#[test]
fn fuzzed_templates_sign_what_they_verify() {
    fuzz("template", |input| {
        let at = TimestampSpec { signed: false, ..timestamp(TimestampAt::Header("X-Time".into())) };
        let spec = with_layout(whole("", ""), &String::from_utf8_lossy(input), Some(at));
        let spec = Spec::Signed(Box::new(spec));
        let givens = Givens { public_url: Some("https://h.example/in/"), ..Givens::default() };
        let scheme = || Scheme::new(&spec, &givens);
        let (Ok(right), Ok(wrong)) = (scheme(), scheme()) else { return };
        let mut request = request(&[], br#"{"a":["x",{}],"b~/":-1.50}"#);
        request.target = "/in?k=v%20w".into();
        let right = bind(right, &["key"]);
        if right.sign(&mut request, "id", NOW_MS).is_ok() {
            assert_eq!(
                check(&bind(wrong, &["another"]), request.clone(), NOW_MS),
                Err(Refusal::Mismatch)
            );
            assert_eq!(check(&right, request, NOW_MS), Ok(0));
        }
    });
}

#[test]
fn fuzzed_tokens_are_the_secret_or_refused() {
    let at = TokenAt::Headers(vec!["Authorization".into()]);
    let spec = Spec::Token(TokenSpec { at, prefix: "Bearer ".into() });
    let bearer = bind(Scheme::new(&spec, &Givens::default()).unwrap(), &["hunter2"]);
    let basic = bind(Scheme::new(&Spec::Basic, &Givens::default()).unwrap(), &["user:pa:ss"]);
    fuzz("shown", |input| {
        let Some(request) = with_header("authorization", input) else { return };
        let text = String::from_utf8_lossy(input);
        let text = text.trim_matches([' ', '\t']);
        assert_eq!(check(&bearer, request.clone(), NOW_MS).is_ok(), text == "Bearer hunter2");
        if check(&basic, request, NOW_MS).is_ok() {
            let (scheme, shown) = text.split_once(' ').unwrap();
            assert!(scheme.eq_ignore_ascii_case("basic"));
            assert_eq!(shown.trim().trim_end_matches('='), "dXNlcjpwYTpzcw");
        }
    });
}

#[test]
fn fuzzed_bodies_are_signed_as_they_are_verified() {
    let givens = Givens { public_url: Some("https://h.example/in/"), ..Givens::default() };
    let codes = code::Code::NAMES.iter().map(|name| code::Code::from_name(name).unwrap());
    let codes = codes.map(|code| {
        let scheme = || Scheme::new(&Spec::Code(code), &givens).unwrap();
        (code, bind(scheme(), &["6b6579"]), bind(scheme(), &["6b657a"]))
    });
    let codes: Vec<_> = codes.collect();
    fuzz("code", |input| {
        let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let (content_type, body) = input.split_at(end);
        let Ok(content_type) = HeaderValue::from_bytes(content_type) else { return };
        let mut bare = request(&[], body.get(1..).unwrap_or_default());
        bare.headers.insert(http::header::CONTENT_TYPE, content_type);
        bare.target = "/in/?a=b%20c&a".into();
        for (code, right, wrong) in &codes {
            let mut request = bare.clone();
            assert!(right.verify(bare.clone(), NOW_MS).is_err(), "{code:?}");
            if right.sign(&mut request, "id", NOW_MS).is_ok() {
                assert!(check(wrong, request.clone(), NOW_MS).is_err(), "{code:?}");
                assert_eq!(check(right, request, NOW_MS), Ok(0), "{code:?}");
            }
        }
    });
}
