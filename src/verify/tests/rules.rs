use super::*;

fn signed(content: &str) -> String {
    sha256("key", content.as_bytes())
}

#[track_caller]
fn plain(headers: &[&str]) -> Result<usize, Refusal> {
    let headers: Vec<_> = headers.iter().map(|value| ("X-Sig", *value)).collect();
    check(&verifier(&PLAIN), request(&headers, b"body"), NOW_MS)
}

#[track_caller]
fn fields(header: &str, now_unix_ms: i64) -> Result<usize, Refusal> {
    check(&verifier(&FIELDS), request(&[("X-Sig", header)], b"body"), now_unix_ms)
}

#[test]
fn a_signed_request_is_verified_and_handed_back() {
    let good = format!("sha256={}", signed("body"));
    let verified = verifier(&PLAIN).verify(request(&[("x-sig", &good)], b"body"), NOW_MS).unwrap();
    assert_eq!(verified.secret_index(), Some(0));
    assert_eq!(&verified.request().body[..], b"body");
    assert_eq!(verified.into_request().target, "/hooks/x");
}

#[test]
fn duplicate_headers_count_once_if_equal() {
    let good = format!("sha256={}", signed("body"));
    assert_eq!(plain(&[&good, &format!(" {good}\t")]), Ok(0));
    let other = format!("sha256={}", signed("other"));
    assert_eq!(plain(&[&good, &other]), Err(Refusal::Ambiguous("header x-sig".into())));
}

#[test]
fn a_value_that_is_not_ascii_is_refused_without_panic() {
    assert_eq!(plain(&["sha256=é"]), Err(Refusal::NotText("header x-sig".into())));
}

#[test]
fn hex_may_be_upper_case_but_not_odd_or_marked() {
    let good = signed("body");
    assert_eq!(plain(&[&format!("sha256={}", good.to_uppercase())]), Ok(0));
    for bad in [format!("sha256=0x{good}"), format!("sha256={}", &good[1..])] {
        assert_eq!(plain(&[&bad]), Err(Refusal::MalformedSignature));
    }
}

#[test]
fn a_signature_is_as_long_as_the_digest() {
    let good = signed("body");
    for bad in ["sha256=".into(), format!("sha256={}", &good[..32]), format!("sha256={good}00")] {
        assert_eq!(plain(&[&bad]), Err(Refusal::MalformedSignature), "{bad}");
    }
}

#[test]
fn any_bytes_and_no_bytes_are_a_body() {
    for body in [&b""[..], b"\xff\x00\r\n"] {
        let good = format!("sha256={}", sha256("key", body));
        assert_eq!(check(&verifier(&PLAIN), request(&[("X-Sig", &good)], body), NOW_MS), Ok(0));
    }
}

#[test]
fn an_unsigned_delivery_is_refused_before_its_body() {
    let bare = request(&[], b"body");
    assert_eq!(verifier(&PLAIN).precheck(&bare.headers, "/"), Err(Refusal::MissingSignature));
    assert_eq!(verifier(&FIELDS).precheck(&bare.headers, "/"), Err(Refusal::MissingSignature));
}

#[test]
fn the_prefix_is_required_with_its_case() {
    let good = signed("body");
    for bad in
        [good.clone(), format!("SHA256={good}"), format!("sha1={good}"), format!("sha256= {good}")]
    {
        assert_eq!(plain(&[&bad]), Err(Refusal::MalformedSignature), "{bad}");
    }
}

#[test]
fn a_further_prefix_is_taken_only_where_it_is_named() {
    let signature = SignatureSpec::Whole {
        at: SignatureAt::Headers(vec!["X-Sig".into()]),
        prefix: String::new(),
        also_prefix: vec!["sha256=".into()],
        separator: String::new(),
    };
    let verifier = verifier(&with_layout(signature, "{body}", None));
    for value in [signed("body"), format!("sha256={}", signed("body"))] {
        assert_eq!(check(&verifier, request(&[("X-Sig", &value)], b"body"), NOW_MS), Ok(0));
    }
    let wrong = format!("sha1={}", signed("body"));
    assert!(check(&verifier, request(&[("X-Sig", &wrong)], b"body"), NOW_MS).is_err());
}

#[test]
fn the_age_is_checked_in_both_directions_to_the_millisecond() {
    let header = format!("t=1700000000,v1={}", signed("1700000000.body"));
    for (offset_ms, verdict) in [
        (0, Ok(0)),
        (300_000, Ok(0)),
        (-300_000, Ok(0)),
        (300_001, Err(Refusal::Stale)),
        (-300_001, Err(Refusal::Stale)),
    ] {
        assert_eq!(fields(&header, NOW_MS + offset_ms), verdict, "{offset_ms}");
    }
    assert_eq!(fields(&header, i64::MIN), Err(Refusal::Stale));
}

#[test]
fn a_malformed_timestamp_is_refused_before_the_body() {
    for bad in [
        "+1700000000",
        "-1700000000",
        " 1700000000",
        "1700000000.0",
        "Infinity",
        "",
        "9999999999999999999",
    ] {
        let header = format!("t={bad},v1={}", signed(&format!("{bad}.body")));
        assert!(refused_early(&verifier(&FIELDS), &request(&[("X-Sig", &header)], b"")), "{bad}");
        assert_eq!(fields(&header, NOW_MS), Err(Refusal::MalformedTimestamp), "{bad}");
    }
}

#[test]
fn a_timestamp_is_needed_once() {
    let good = signed("1700000000.body");
    let missing = Err(Refusal::Missing("field t of the signature header".into()));
    assert_eq!(fields(&format!("v1={good}"), NOW_MS), missing);
    let twice = Err(Refusal::Ambiguous("field t of the signature header".into()));
    assert_eq!(fields(&format!("t=1700000000,t=1700000000,v1={good}"), NOW_MS), twice);
}

#[test]
fn any_of_several_signatures_may_match() {
    let (good, other) = (signed("1700000000.body"), signed("other"));
    assert_eq!(fields(&format!("t=1700000000,v1=XX,v1={other}, v1={good}"), NOW_MS), Ok(0));
    let verifier = verifier(&with_layout(whole("v1,", " \t"), "{body}", None));
    let header = format!("v1,{other} v2,{other}\tv1,{}", signed("body"));
    assert_eq!(check(&verifier, request(&[("X-Sig", &header)], b"body"), NOW_MS), Ok(0));
    let verifier = self::verifier(&with_layout(whole("v1=", ","), "{body}", None));
    let header = format!("v1={other}, v1={}", signed("body"));
    assert_eq!(check(&verifier, request(&[("X-Sig", &header)], b"body"), NOW_MS), Ok(0));
}

#[test]
fn an_unknown_label_is_no_signature() {
    let good = signed("1700000000.body");
    for label in ["v0", "v1a", "V1", "v"] {
        let verdict = fields(&format!("t=1700000000,{label}={good}"), NOW_MS);
        assert_eq!(verdict, Err(Refusal::MalformedSignature), "{label}");
    }
    let verifier = verifier(&with_layout(whole("v1,", " "), "{body}", None));
    let header = format!("v1a,{}", signed("body"));
    let verdict = check(&verifier, request(&[("X-Sig", &header)], b"body"), NOW_MS);
    assert_eq!(verdict, Err(Refusal::MalformedSignature));
}

#[test]
fn thirty_two_signatures_are_looked_at() {
    let crowd = |prefix: &str, others| format!("{prefix}{}, ", signed("other")).repeat(others);
    let whole = verifier(&with_layout(whole("v1,", " "), "{body}", None));
    for (others, verdict) in [(31, Ok(0)), (32, Err(Refusal::Mismatch))] {
        let header =
            format!("{}v1={},t=1700000000", crowd("v1=", others), signed("1700000000.body"));
        assert_eq!(fields(&header, NOW_MS), verdict, "{others}");
        let header = format!("{}v1,{}", crowd("v1,", others).replace(", ", " "), signed("body"));
        assert_eq!(check(&whole, request(&[("X-Sig", &header)], b"body"), NOW_MS), verdict);
    }
}

#[test]
fn each_secret_is_tried_and_the_one_that_matched_is_named() {
    let header = format!("sha256={}", sha256("new", b"body"));
    let check = |secrets: &[&str]| {
        check(&bind(scheme(&PLAIN), secrets), request(&[("X-Sig", &header)], b"body"), NOW_MS)
    };
    assert_eq!(check(&["old", "new"]), Ok(1));
    assert_eq!(check(&["new", "new"]), Ok(0));
    assert_eq!(check(&["old", "older"]), Err(Refusal::Mismatch));
}

#[test]
fn a_secret_counts_within_its_window() {
    let good = format!("sha256={}", signed("body"));
    let from = |not_before| Window { not_before: Some(not_before), not_after: None };
    let check = |windows: &[Window]| {
        let scheme = scheme(&PLAIN);
        let secrets = windows.iter().map(|window| scheme.secret("key", *window).unwrap()).collect();
        check(
            &Verifier::new(scheme, secrets).unwrap(),
            request(&[("X-Sig", &good)], b"body"),
            NOW_MS,
        )
    };
    assert_eq!(check(&[from(1_700_000_001), from(1_700_000_000)]), Ok(1));
    assert_eq!(check(&[from(1_700_000_001)]), Err(Refusal::NoSecretInForce));
}

#[test]
fn secrets_and_schemes_must_go_together() {
    assert_eq!(Verifier::new(scheme(&PLAIN), vec![]).unwrap_err(), VerifierError::NoSecret);
    let secret = || scheme(&PLAIN).secret("key", Window::default()).unwrap();
    assert_eq!(
        Verifier::new(Scheme::Unsigned, vec![secret()]).unwrap_err(),
        VerifierError::UnusedSecret
    );
    assert_eq!(Scheme::Unsigned.secret("key", Window::default()).unwrap_err(), SecretError::Unused);
}

#[test]
fn an_unsigned_source_covers_nothing() {
    let verifier = Verifier::new(Scheme::Unsigned, vec![]).unwrap();
    assert_eq!(verifier.precheck(&HeaderMap::new(), "/"), Ok(()));
    assert_eq!(verifier.verify(request(&[], b""), NOW_MS).unwrap().secret_index(), None);
    assert!(!covers_body(&verifier) && !covers_header(&verifier, "host"));
    assert_eq!(verifier.signature_names().count(), 0);
}

#[test]
fn a_public_url_is_whole_and_without_a_query() {
    let signed = with_layout(whole("", ""), "{url}", None);
    let twilio = Spec::Code(code::Code::Twilio);
    for spec in [Spec::Signed(Box::new(signed)), twilio] {
        let problem = |public_url| {
            let scheme = Scheme::new(&spec, &Givens { public_url, ..Givens::default() });
            scheme.map(drop).map_err(|error| error.field)
        };
        let whole = ["https://h", "http://h:1/p"];
        assert!(whole.iter().all(|url| problem(Some(url)) == Ok(())));
        for bad in [None, Some(""), Some("https://"), Some("/p"), Some("ftp://h/p")]
            .into_iter()
            .chain(["https://h/p?a=1", "https://h/p?", "https://h#a"].map(Some))
        {
            assert_eq!(problem(bad), Err("public_url"), "{bad:?}");
        }
    }
    let elsewhere = Spec::Code(code::Code::Contentful);
    assert!(Scheme::new(&elsewhere, &Givens::default()).is_ok());
}

#[test]
fn the_url_is_the_public_one_with_the_query_as_received() {
    let spec = with_layout(whole("", ""), "{method}{url}{body}", None);
    let verdict = |target: &str, content: &str| {
        let mut request =
            request(&[("X-Sig", &signed(content)), ("Host", "evil.example")], b"body");
        request.target = target.into();
        check(&verifier(&spec), request, NOW_MS)
    };
    assert_eq!(verdict("/hooks/x", "POSThttps://h.example/in/body"), Ok(0));
    assert_eq!(verdict("/x?a=%2F&b=%2f", "POSThttps://h.example/in/?a=%2F&b=%2fbody"), Ok(0));
    assert_eq!(verdict("/x?a=%2f", "POSThttps://h.example/in/?a=%2Fbody"), Err(Refusal::Mismatch));
    assert_eq!(verdict("/x", "PUThttps://h.example/in/body"), Err(Refusal::Mismatch));
}

#[test]
fn signature_and_timestamp_may_stand_in_the_body() {
    let spec = with_layout(
        bare(SignatureAt::Body("/signature/signature".into())),
        "{timestamp}{body:/signature/token}",
        Some(timestamp(TimestampAt::Body("/signature/timestamp".into()))),
    );
    let body = |timestamp: &str, mac: &str| {
        format!(r#"{{"signature":{{"timestamp":{timestamp},"token":"tok","signature":"{mac}"}}}}"#)
    };
    let verdict = |body: &str| check(&verifier(&spec), request(&[], body.as_bytes()), NOW_MS);
    assert_eq!(verdict(&body("1700000000", &signed("1700000000tok"))), Ok(0));
    assert_eq!(verdict(&body("\"1600000000\"", &signed("1600000000tok"))), Err(Refusal::Stale));
    assert_eq!(verdict("{}"), Err(Refusal::MissingSignature));
    assert_eq!(verdict("{"), Err(Refusal::UnreadableBody));
    assert!(!covers_body(&verifier(&spec)));
}

#[test]
fn a_query_parameter_may_be_signed_in_small_letters() {
    let verifier = verifier(&with_layout(whole("", ""), "id:{query_lower:data.id};{body}", None));
    for (signed, verdict) in [("id:ord01j;x", Ok(0)), ("id:ORD01J;x", Err(Refusal::Mismatch))] {
        let mut request = request(&[("x-sig", &sha256("key", signed.as_bytes()))], b"x");
        request.target = "/hooks/x?data.id=ORD01J".into();
        assert_eq!(check(&verifier, request, NOW_MS), verdict, "{signed}");
    }
}

#[test]
fn a_signature_may_stand_in_the_query() {
    let spec = with_layout(bare(SignatureAt::Query("sig".into())), "{query:k}.{body}", None);
    let verdict = |target: String| {
        let request = Request { target, ..request(&[], b"body") };
        check(&verifier(&spec), request, NOW_MS)
    };
    let good = signed("a b.body");
    assert_eq!(verdict(format!("/x?k=a%20b&sig={good}")), Ok(0));
    assert_eq!(verdict("/x?k=a%20b".into()), Err(Refusal::MissingSignature));
    assert_eq!(
        verdict(format!("/x?sig={good}")),
        Err(Refusal::Missing("query parameter k".into()))
    );
}

#[test]
fn required_headers_have_exactly_their_value() {
    let spec = SignedSpec { require_headers: pairs(&[("X-Version", "1")]), ..PLAIN.clone() };
    let good = format!("sha256={}", signed("body"));
    let verdict = |more: &[(&str, &str)]| {
        let headers = [&[("X-Sig", good.as_str())], more].concat();
        check(&verifier(&spec), request(&headers, b"body"), NOW_MS)
    };
    assert_eq!(verdict(&[("x-version", "1")]), Ok(0));
    assert_eq!(verdict(&[("x-version", "2")]), Err(Refusal::WrongValue("header x-version".into())));
    assert_eq!(verdict(&[]), Err(Refusal::Missing("header x-version".into())));
}

#[test]
fn a_header_that_the_scheme_needs_is_missed_before_the_body() {
    let required = SignedSpec { require_headers: pairs(&[("X-Id", "1")]), ..PLAIN.clone() };
    let signed_id = with_layout(whole("sha256=", ""), "{header:X-Id}.{body}", None);
    let header = format!("sha256={}", signed("body"));
    for spec in [required, signed_id] {
        assert!(refused_early(&verifier(&spec), &request(&[("X-Sig", &header)], b"")));
        assert!(!refused_early(
            &verifier(&spec),
            &request(&[("X-Sig", &header), ("X-Id", "1")], b"")
        ));
    }
}

#[test]
fn the_secret_may_be_part_of_the_content() {
    let verifier = verifier(&with_layout(whole("", ""), "{secret}{body}", None));
    let good = signed("keybody");
    assert_eq!(check(&verifier, request(&[("X-Sig", &good)], b"body"), NOW_MS), Ok(0));
}

#[test]
fn what_is_covered_is_what_is_signed() {
    let at = TimestampAt::Header("X-Time".into());
    let verifier =
        verifier(&with_layout(whole("", ""), "{header:X-Id}.{timestamp}", Some(timestamp(at))));
    let covered = |name| covers_header(&verifier, name);
    assert!(covered("x-id") && covered("x-time"));
    assert!(!covered("x-sig") && !covered("x-other") && !covers_body(&verifier));
    assert!(verifier.signature_names().eq(["x-sig"]));
}

#[test]
fn a_refusal_shows_nothing_of_the_request_or_the_secret() {
    let wrong = signed("other");
    let refusal = plain(&[&format!("sha256={wrong}")]).unwrap_err();
    assert_eq!(refusal.cause(), "mismatch");
    assert!(!format!("{refusal} {refusal:?}").contains(&wrong));
    let shown = format!("{:?}", bind(scheme(&PLAIN), &["hunter2"]));
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117, 110"), "{shown}");
}

#[test]
fn a_description_that_cannot_hold_names_its_field() {
    let field = |spec: &SignedSpec| Signed::new(spec, None).unwrap_err().field;
    let kv = |items, pairs, key| with_layout(kv_fields(items, pairs, key), "{body}", None);
    let timed = |at, tolerance, content| {
        let timestamp = TimestampSpec { tolerance: Some(tolerance), ..timestamp(at) };
        with_layout(whole("", ""), content, Some(timestamp))
    };
    let signature = |signature| with_layout(signature, "{body}", None);
    assert_eq!(field(&signature(bare(SignatureAt::Headers(vec![])))), "signature.header");
    assert_eq!(
        field(&signature(bare(SignatureAt::Headers(vec!["a b".into()])))),
        "signature.header"
    );
    assert_eq!(field(&signature(bare(SignatureAt::Query("".into())))), "signature.query");
    assert_eq!(field(&signature(bare(SignatureAt::Body("x".into())))), "signature.body");
    assert_eq!(field(&kv("", "=", "v1")), "signature.item_separator");
    assert_eq!(field(&kv(",", "", "v1")), "signature.kv_separator");
    assert_eq!(field(&kv(",", "=", "")), "signature.key");
    assert_eq!(field(&timed(TimestampAt::Header("".into()), 1, "{timestamp}")), "timestamp.header");
    assert_eq!(field(&timed(TimestampAt::Body("t".into()), 1, "{timestamp}")), "timestamp.body");
    assert_eq!(field(&timed(TimestampAt::Field("t".into()), 1, "{timestamp}")), "timestamp.field");
    assert_eq!(
        field(&timed(TimestampAt::Header("t".into()), 0, "{timestamp}")),
        "timestamp.tolerance"
    );
    assert_eq!(field(&timed(TimestampAt::Header("t".into()), 1, "{body}")), "timestamp.signed");
    assert_eq!(
        field(&SignedSpec { require_headers: pairs(&[("a b", "")]), ..PLAIN.clone() }),
        "require_headers"
    );
    assert_eq!(field(&with_layout(whole("", ""), "{url}", None)), "public_url");
    assert_eq!(field(&with_layout(whole("", ""), "{header:X-Sig}{body}", None)), "content");
}

#[test]
fn a_timestamp_in_a_signed_body_is_signed() {
    let spec =
        with_layout(whole("", ""), "{body}", Some(timestamp(TimestampAt::Body("/t".into()))));
    let body = r#"{"t":1700000000}"#;
    let verdict =
        |now| check(&verifier(&spec), request(&[("X-Sig", &signed(body))], body.as_bytes()), now);
    assert_eq!(verdict(NOW_MS), Ok(0));
    assert_eq!(verdict(NOW_MS + 300_001), Err(Refusal::Stale));
}

#[test]
fn an_unsigned_timestamp_is_taken_where_that_is_acknowledged() {
    let unsigned =
        TimestampSpec { signed: false, ..timestamp(TimestampAt::Header("X-Time".into())) };
    let verifier = verifier(&with_layout(whole("", ""), "{body}", Some(unsigned)));
    let verdict = |time| {
        check(&verifier, request(&[("X-Sig", &signed("body")), ("X-Time", time)], b"body"), NOW_MS)
    };
    assert_eq!(verdict("1700000300"), Ok(0));
    assert_eq!(verdict("1700000301"), Err(Refusal::Stale));
}

#[test]
fn names_lead_to_values() {
    assert!(Digest::NAMES.iter().all(|name| Digest::from_name(name).is_some()));
    assert!(TimeFormat::NAMES.iter().all(|name| TimeFormat::from_name(name).is_some()));
    assert!(SecretEncoding::NAMES.iter().all(|name| SecretEncoding::from_name(name).is_some()));
    assert_eq!(Digest::from_name("md5"), None);
}
