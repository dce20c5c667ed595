//! Signing as a sender does.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

const ID: &str = "01JABCDEFGHJKMNPQRSTVWXYZ0";

fn signed(verifier: &Verifier, mut request: Request) -> Result<Request, Unsignable> {
    verifier.sign(&mut request, ID, NOW_MS).map(|()| request)
}

fn name<T>(names: &'static [&'static str], from: fn(&str) -> Option<T>) -> impl Strategy<Value = T>
where
    T: std::fmt::Debug,
{
    select(names).prop_map(move |name| from(name).unwrap())
}

/// Layouts of every kind, as `(signature, content, where the timestamp is)`.
fn layouts() -> impl Strategy<Value = (SignatureSpec, &'static str, Option<TimestampAt>)> {
    let fields = || kv_fields("|;", "~", "v1");
    let at = || TimestampAt::Header("X-Time".into());
    select(vec![
        (whole("", ""), "{body}", None),
        (whole("v1,", " \t"), "{header:X-Id}.{timestamp}.{body}", Some(at())),
        (whole("sha=", ""), "{method} {url}\n{body}", None),
        (whole("", ""), "{secret}{header:X-Given}{query:k}{body:/a}{body}", None),
        (fields(), "{timestamp}.{body}", Some(TimestampAt::Field("t".into()))),
        (fields(), "{field:n}{timestamp}{field:n}{body}", Some(at())),
    ])
}

fn specs() -> impl Strategy<Value = SignedSpec> {
    let digest = name(Digest::NAMES, Digest::from_name);
    let encoding = name(Encoding::NAMES, Encoding::from_name);
    let format = name(TimeFormat::NAMES, TimeFormat::from_name);
    let body = name(BodyTransform::NAMES, BodyTransform::from_name);
    let url = name(UrlTransform::NAMES, UrlTransform::from_name);
    (digest, encoding, format, (body, url), layouts(), any::<bool>()).prop_map(
        |(digest, encoding, format, (body_transform, url_transform), parts, aliased)| {
            let (signature, content, at) = parts;
            let timestamp = at.map(|at| TimestampSpec { format, ..super::timestamp(at) });
            SignedSpec {
                algorithm: Algorithm::Hmac(digest),
                encoding,
                header_alias: aliased.then(|| ("X-".into(), "Y-".into())),
                require_headers: pairs(&[("X-Version", "1")]),
                body_transform,
                url_transform,
                ..with_layout(signature, content, timestamp)
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_signed_is_verified(spec in specs(), text in "[ -~é]{1,40}") {
        let verifier = bind(scheme(&spec), &["first", "second"]);
        let body = serde_json::json!({ "a": text }).to_string();
        let mut request = request(&[("X-Given", "as it is")], body.as_bytes());
        request.target = "/in?k=1&x=%20".into();
        let request = signed(&verifier, request).unwrap();
        prop_assert_eq!(request.headers["x-given"].as_bytes(), b"as it is");
        prop_assert_eq!(check(&verifier, request, NOW_MS), Ok(0), "{:?}", spec);
    }
}

#[test]
fn the_first_secret_in_force_signs() {
    let window = |from, to| Window { not_before: from, not_after: to };
    let now = NOW_MS / 1000;
    let verifier = |windows: &[Window]| {
        let scheme = scheme(&PLAIN);
        let secrets = windows.iter().enumerate();
        let secrets =
            secrets.map(|(n, window)| scheme.secret(&format!("key {n}"), *window).unwrap());
        let secrets = secrets.collect();
        Verifier::new(scheme, secrets).unwrap()
    };
    let gone = window(None, Some(now - 1));
    let to_come = window(Some(now + 1), None);
    let rotation = verifier(&[gone, to_come, Window::default(), window(Some(now), None)]);
    let request = || request(&[], b"body");
    assert_eq!(check(&rotation, signed(&rotation, request()).unwrap(), NOW_MS), Ok(2));
    let refused = signed(&verifier(&[gone, to_come]), request()).unwrap_err();
    assert_eq!(refused, Unsignable::Refused(Refusal::NoSecretInForce));
}

#[test]
fn what_cannot_be_signed_says_why() {
    let in_body = with_layout(bare(SignatureAt::Body("/sig".into())), "{body:/a}{body}", None);
    let in_query = with_layout(bare(SignatureAt::Query("sig".into())), "{url}{body}", None);
    let bad_prefix = with_layout(whole("line\n", ""), "{body}", None);
    for (spec, expected) in [
        (in_body, Unsignable::Place("body")),
        (in_query, Unsignable::Place("query")),
        (bad_prefix, Unsignable::Header(HeaderName::from_static("x-sig"))),
    ] {
        assert_eq!(signed(&verifier(&spec), request(&[], b"{}")).unwrap_err(), expected);
    }
}

#[test]
fn a_signature_is_put_where_it_belongs_with_what_it_signs() {
    let time = |at: &str| Some(timestamp(TimestampAt::Body(at.into())));
    for spec in [
        with_layout(
            bare(SignatureAt::Body("/s/mac".into())),
            "{timestamp}{body:/s/id}",
            time("/s/t"),
        ),
        with_layout(bare(SignatureAt::Query("sig".into())), "{query:k}{body}", None),
        with_layout(whole("", ""), "{body:/b}{body}", time("/t")),
    ] {
        let verifier = verifier(&spec);
        let signed = signed(&verifier, request(&[], b"{\"a\":[1]}")).unwrap();
        assert_eq!(check(&verifier, signed, NOW_MS), Ok(0), "{spec:?}");
    }
    let spec = with_layout(whole("", ""), "{body:/b}{body}", None);
    let refused = signed(&verifier(&spec), request(&[], b"a=1")).unwrap_err();
    assert_eq!(refused, Unsignable::Refused(Refusal::UnreadableBody));
}

#[test]
fn an_unsigned_request_stays_as_it_is() {
    let verifier = Verifier::new(Scheme::Unsigned, Vec::new()).unwrap();
    assert!(signed(&verifier, request(&[], b"{}")).unwrap().headers.is_empty());
}
