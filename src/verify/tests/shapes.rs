//! The rarer shapes of signatures and texts.

use super::*;

fn signed(content: &str) -> String {
    sha256("key", content.as_bytes())
}

#[track_caller]
fn verdict(spec: &SignedSpec, header: &str) -> Result<usize, Refusal> {
    check(&verifier(spec), request(&[("X-Sig", header)], b"body"), NOW_MS)
}

#[test]
fn a_list_has_its_fields_by_their_place() {
    let signature =
        SignatureSpec::List { headers: vec!["X-Sig".into()], item_separator: ",/".into() };
    let time = timestamp(TimestampAt::Field("0".into()));
    let spec = with_layout(signature, "{timestamp}.{field:1}.{body}", Some(time));
    let (good, other) = (signed("1700000000.k.body"), signed("other"));
    assert_eq!(verdict(&spec, &format!("1700000000,k/{good}")), Ok(0));
    assert_eq!(verdict(&spec, &format!("1700000000, k, {other}, {good}")), Ok(0));
    assert_eq!(verdict(&spec, &format!("1700000000,k,{other}")), Err(Refusal::Mismatch));
    assert_eq!(verdict(&spec, &format!("1600000000,k,{good}")), Err(Refusal::Stale));
    assert_eq!(verdict(&spec, "1700000000,k"), Err(Refusal::MalformedSignature));
    assert_eq!(verdict(&spec, ""), Err(Refusal::MalformedSignature));
}

#[test]
fn groups_of_fields_stand_for_themselves() {
    let mut spec = FIELDS.clone();
    if let SignatureSpec::Fields { group_separator, .. } = &mut spec.layout.signature {
        *group_separator = " ".into();
    }
    let group = |time: &str, signed_time: &str| {
        format!("t={time},v1={}", signed(&format!("{signed_time}.body")))
    };
    let (good, stale) = (group("1700000000", "1700000000"), group("1600000000", "1600000000"));
    assert_eq!(verdict(&spec, &good), Ok(0));
    assert_eq!(verdict(&spec, &format!("{stale} {good}")), Ok(0));
    assert_eq!(verdict(&spec, &format!("{good} {stale}")), Ok(0));
    assert_eq!(verdict(&spec, &stale), Err(Refusal::Stale));
    // The time of one group says nothing of the signature of another.
    let mixed = format!("t=1700000000,v1={} {stale}", signed("1600000000.body"));
    assert_eq!(verdict(&spec, &mixed), Err(Refusal::Stale));
    let fifth = [&*stale, &*stale, &*stale, &*stale, &*good].join(" ");
    assert_eq!(verdict(&spec, &fifth), Err(Refusal::Stale), "four groups are looked at");
}

#[test]
fn a_body_may_be_signed_by_its_digest() {
    use sha2::Digest as _;
    let spec = |body_transform| SignedSpec {
        body_transform,
        ..with_layout(whole("", ""), "v|{body}", None)
    };
    let digest = hex::encode(sha2::Sha256::digest(b"body"));
    let by_digest = signed(&format!("v|{digest}"));
    assert_eq!(verdict(&spec(BodyTransform::Sha256Hex), &by_digest), Ok(0));
    assert_eq!(verdict(&spec(BodyTransform::None), &by_digest), Err(Refusal::Mismatch));
    // The check value of CRC-32 is that of `123456789`.
    let crc = spec(BodyTransform::Crc32Dec);
    let request = request(&[("X-Sig", &signed("v|3421780262"))], b"123456789");
    assert_eq!(check(&verifier(&crc), request, NOW_MS), Ok(0));
    assert!(!covers_body(&verifier(&crc)) && covers_body(&verifier(&PLAIN)));
}

#[test]
fn a_plain_digest_has_the_secret_in_it() {
    use sha2::Digest as _;
    let spec = SignedSpec {
        algorithm: Algorithm::Hash(Digest::Sha256),
        ..with_layout(whole("", ""), "{secret}{body}", None)
    };
    let good = hex::encode(sha2::Sha256::digest(b"keybody"));
    assert_eq!(verdict(&spec, &good), Ok(0));
    assert_eq!(verdict(&spec, &signed("keybody")), Err(Refusal::Mismatch));
    // Without the secret in it, anybody's digest would be as good.
    assert_eq!(verifier(&spec).prove(b"text", None, NOW_MS), None);
    assert!(verifier(&PLAIN).prove(b"text", None, NOW_MS).is_some());
    let plain = SignedSpec { layout: layout(whole("", ""), "{body}", None), ..spec };
    assert_eq!(Signed::new(&plain, None).unwrap_err().field, "content");
}

#[test]
fn a_url_is_signed_as_hubspot_writes_it() {
    let spec = SignedSpec {
        url_transform: UrlTransform::Hubspot,
        ..with_layout(whole("", ""), "{url}", None)
    };
    for (target, url) in [
        ("/in?a=%3A%2f%3F%40%21%24%27%28%29%2A%2C%3B", "?a=:/?@!$'()*,;"),
        ("/in?a=%25%20%C3%A9%", "?a=%25%20%C3%A9%"),
        ("/in?a=%253A&b=%2", "?a=%253A&b=%2"),
        ("/in", ""),
    ] {
        let good = signed(&format!("https://h.example/in/{url}"));
        let mut request = request(&[("X-Sig", &good)], b"");
        request.target = target.into();
        assert_eq!(check(&verifier(&spec), request, NOW_MS), Ok(0), "{target}");
    }
}
