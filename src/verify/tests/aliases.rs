use super::*;

/// Two families of header names; neither may lend a header to the other.
fn svix(headers: &[(&str, &str)]) -> Result<usize, Refusal> {
    let signature = SignatureSpec::Whole {
        at: SignatureAt::Headers(vec!["svix-signature".into()]),
        prefix: "v1,".into(),
        also_prefix: Vec::new(),
        separator: " \t".into(),
    };
    let time = timestamp(TimestampAt::Header("svix-timestamp".into()));
    let spec = SignedSpec {
        encoding: Encoding::Base64,
        header_alias: Some(("svix-".into(), "webhook-".into())),
        ..with_layout(signature, "{header:svix-id}.{timestamp}.{body}", Some(time))
    };
    check(&verifier(&spec), request(headers, b"body"), NOW_MS)
}

fn signed(id: &str) -> String {
    let tag = hex::decode(sha256("key", format!("{id}.1700000000.body").as_bytes())).unwrap();
    use base64::Engine as _;
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(tag))
}

#[test]
fn either_family_will_do() {
    let good = signed("m1");
    assert_eq!(
        svix(&[("svix-id", "m1"), ("svix-timestamp", "1700000000"), ("svix-signature", &good)]),
        Ok(0)
    );
    assert_eq!(
        svix(&[
            ("webhook-id", "m1"),
            ("webhook-timestamp", "1700000000"),
            ("webhook-signature", &good)
        ]),
        Ok(0)
    );
}

#[test]
fn neither_family_is_a_missing_signature() {
    assert_eq!(svix(&[]), Err(Refusal::MissingSignature));
}

#[test]
fn families_do_not_mix() {
    let good = signed("m1");
    for headers in [
        [("svix-id", "m1"), ("webhook-timestamp", "1700000000"), ("svix-signature", good.as_str())],
        [("webhook-id", "m1"), ("svix-timestamp", "1700000000"), ("svix-signature", &good)],
        [("svix-id", "m1"), ("svix-timestamp", "1700000000"), ("webhook-signature", &good)],
    ] {
        assert!(svix(&headers).is_err(), "{headers:?}");
    }
}

#[test]
fn a_captured_request_cannot_be_given_a_second_id() {
    let good = signed("m1");
    let captured = [
        ("webhook-id", "m1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", good.as_str()),
    ];
    let forged = [&[("svix-id", "m2")], &captured[..]].concat();
    assert_eq!(svix(&forged), Err(Refusal::MissingSignature));
    let forged =
        [&forged[..], &[("svix-timestamp", "1700000000"), ("svix-signature", &good)]].concat();
    assert_eq!(svix(&forged), Err(Refusal::Mismatch));
}

#[test]
fn both_families_are_fine_if_both_are_signed() {
    let (one, two) = (signed("m1"), signed("m2"));
    let both = [
        ("webhook-id", "m1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", one.as_str()),
        ("svix-id", "m2"),
        ("svix-timestamp", "1700000000"),
        ("svix-signature", &two),
    ];
    assert_eq!(svix(&both), Ok(0));
}
