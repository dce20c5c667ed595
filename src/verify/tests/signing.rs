//! Signing as a sender does.

use super::super::presets;
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
fn layouts()
-> impl Strategy<Value = (SignatureSpec<'static>, &'static str, Option<TimestampAt<'static>>)> {
    let fields = |key| SignatureSpec::Fields {
        headers: &["X-Sig"],
        item_separator: "|;",
        kv_separator: "~",
        key,
    };
    let at = TimestampAt::Header("X-Time");
    select(vec![
        (whole("", ""), "{body}", None),
        (whole("v1,", " \t"), "{header:X-Id}.{timestamp}.{body}", Some(at)),
        (whole("sha=", ""), "{method} {url}\n{body}", None),
        (whole("", ""), "{secret}{header:X-Given}{query:k}{body:/a}{body}", None),
        (fields("v1"), "{timestamp}.{body}", Some(TimestampAt::Field("t"))),
        (fields("v1"), "{field:n}{timestamp}{field:n}{body}", Some(at)),
    ])
}

fn specs() -> impl Strategy<Value = HmacSpec<'static>> {
    let digest = name(Digest::NAMES, Digest::from_name);
    let encoding = name(Encoding::NAMES, Encoding::from_name);
    let format = name(TimeFormat::NAMES, TimeFormat::from_name);
    (digest, encoding, format, layouts(), any::<bool>()).prop_map(
        |(digest, encoding, format, (signature, content, at), aliased)| {
            let timestamp = at.map(|at| TimestampSpec { format, ..super::timestamp(at) });
            let layout = LayoutSpec { signature, content, timestamp };
            let alias = with_layout(
                SignatureSpec::Whole {
                    at: SignatureAt::Headers(&["Y-Sig"]),
                    prefix: "",
                    also_prefix: &[],
                    separator: "",
                },
                "{header:Y-Id}{body}",
                None,
            );
            HmacSpec {
                digest,
                encoding,
                layout,
                alias: aliased.then_some(alias.layout),
                require_headers: &[("X-Version", "1")],
                public_url: Some("https://hooks.example.com/in"),
                ..PLAIN
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
fn every_preset_accepts_what_it_signs() {
    for name in presets::names() {
        let scheme = presets::find(name).unwrap().scheme(None).unwrap();
        let verifier = bind(scheme, &["whsec_c2VjcmV0IGtleQ=="]);
        let request = signed(&verifier, request(&[], b"{}")).unwrap();
        assert_eq!(check(&verifier, request, NOW_MS), Ok(0), "{name}");
    }
}

#[test]
fn svix_gets_its_own_three_headers() {
    let scheme = presets::find("svix").unwrap().scheme(None).unwrap();
    let request = signed(&bind(scheme, &["whsec_c2VjcmV0"]), request(&[], b"{}")).unwrap();
    assert_eq!(request.headers["svix-id"], ID);
    assert_eq!(request.headers["svix-timestamp"], "1700000000");
    assert!(request.headers["svix-signature"].as_bytes().starts_with(b"v1,"));
    assert_eq!(request.headers.len(), 3);
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
    let at = |at| SignatureSpec::Whole { at, prefix: "", also_prefix: &[], separator: "" };
    let in_body = with_layout(at(SignatureAt::Body("/sig")), "{body:/a}", None);
    let in_query = with_layout(at(SignatureAt::Query("sig")), "{body}", None);
    let of_the_body = with_layout(whole("", ""), "{body:/b}{body}", None);
    let bad_prefix = with_layout(whole("line\n", ""), "{body}", None);
    for (spec, expected) in [
        (in_body, Unsignable::Place("body")),
        (in_query, Unsignable::Place("query")),
        (of_the_body, Unsignable::Refused(Refusal::Missing("/b in the body".into()))),
        (bad_prefix, Unsignable::Header(HeaderName::from_static("x-sig"))),
    ] {
        assert_eq!(signed(&verifier(&spec), request(&[], b"{}")).unwrap_err(), expected);
    }
}

#[test]
fn an_unsigned_request_stays_as_it_is() {
    let verifier = Verifier::new(Scheme::Unsigned, Vec::new()).unwrap();
    assert!(signed(&verifier, request(&[], b"{}")).unwrap().headers.is_empty());
}
