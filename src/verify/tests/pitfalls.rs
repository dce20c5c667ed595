//! What receivers get wrong, each with a test: here, or under the name that stands here.
//!
//! | pitfall | test |
//! |---|---|
//! | duplicate headers | `rules::duplicate_headers_count_once_if_equal`, `head::tests` |
//! | lax hex and base64 | `rules::hex_may_be_upper_case_but_not_odd_or_marked`, `encoding::tests` |
//! | short signatures | `rules::a_signature_is_as_long_as_the_digest` |
//! | bodies written anew | `a_body_that_is_written_anew_is_refused` |
//! | compressed bodies | `a_compressed_body_is_signed_as_it_came_in`, `…_decoded…`, `…_swells…` |
//! | timestamps | `seconds_are_not_milliseconds`, `rules::the_age_…`, `rules::a_malformed_timestamp_…` |
//! | unsigned times and ids | `config::scheme-kinds`, `it::duplicates` |
//! | several signatures | `rules::thirty_two_signatures_are_looked_at`, `rules::an_unknown_label_is_no_signature` |
//! | mixing algorithms | `keys::standard_webhooks_chooses_by_the_secret_and_never_mixes`, `the_scheme_is_never_sniffed` |
//! | prefixes | `rules::the_prefix_is_required_with_its_case` |
//! | secrets | `secret::tests`, `config::tests::a_secret_is_what_its_place_holds` |
//! | rotation | `rules::each_secret_is_tried_and_the_one_that_matched_is_named` |
//! | comparing in time | `benches/verify.rs`, group `wrong-at`; `tokens::a_token_is_the_secret_and_nothing_near_it` |
//! | telling errors | `rules::a_refusal_shows_nothing_of_the_request_or_the_secret`, `it::unauthorized` |
//! | unsigned deliveries | `rules::an_unsigned_delivery_is_refused_before_its_body` |
//! | rebuilt URLs | `rules::the_url_is_the_public_one_with_the_query_as_received` |
//! | handshakes | `it::handshakes` |
//! | malleable signatures | `keys::an_ed25519_signature_has_one_form`, `presets::no_signature_is_an_id` |
//! | claims of proof | `it::vectors::a_preset_claims_vectors_only_if_it_has_some` |

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

#[test]
fn a_body_that_is_written_anew_is_refused() {
    for (sent, anew) in [
        (r#"{"a":"\/"}"#, r#"{"a":"/"}"#),
        (r#"{"a":"\u00e9"}"#, r#"{"a":"é"}"#),
        ("{\"a\":1}\r\n", r#"{"a":1}"#),
        (r#"{"a":1.0}"#, r#"{"a":1}"#),
        (r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#),
        (r#"{"a": 1}"#, r#"{"a":1}"#),
    ] {
        let good = format!("sha256={}", sha256("key", sent.as_bytes()));
        let verdict = |body: &str| {
            check(&verifier(&PLAIN), request(&[("X-Sig", &good)], body.as_bytes()), NOW_MS)
        };
        assert_eq!(verdict(sent), Ok(0));
        assert_eq!(verdict(anew), Err(Refusal::Mismatch), "{anew}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The verdict on a compressed body that was signed as `signed`.
fn compressed(which: SignedBody, body: &[u8], signed: &[u8]) -> Result<usize, Refusal> {
    let spec = SignedSpec { signed_body: which, ..PLAIN.clone() };
    let good = format!("sha256={}", sha256("key", signed));
    let headers = [("X-Sig", good.as_str()), ("Content-Encoding", "gzip")];
    check(&verifier(&spec), request(&headers, body), NOW_MS)
}

#[test]
fn a_compressed_body_is_signed_as_it_came_in() {
    let body = gzip(b"body");
    assert_eq!(compressed(SignedBody::Received, &body, &body), Ok(0));
    assert_eq!(compressed(SignedBody::Received, &body, b"body"), Err(Refusal::Mismatch));
}

#[test]
fn a_compressed_body_is_decoded_where_the_scheme_says_so() {
    let body = gzip(b"body");
    assert_eq!(compressed(SignedBody::Decoded, &body, b"body"), Ok(0));
    assert_eq!(compressed(SignedBody::Decoded, &body, &body), Err(Refusal::Mismatch));
    let torn = &body[..body.len() - 1];
    assert_eq!(compressed(SignedBody::Decoded, torn, b"body"), Err(Refusal::UnreadableBody));
    assert_eq!(compressed(SignedBody::Decoded, b"body", b"body"), Err(Refusal::UnreadableBody));
    let spec = SignedSpec { signed_body: SignedBody::Decoded, ..PLAIN.clone() };
    let good = format!("sha256={}", sha256("key", b"body"));
    assert_eq!(check(&verifier(&spec), request(&[("X-Sig", &good)], b"body"), NOW_MS), Ok(0));
}

#[test]
fn a_body_that_swells_a_hundredfold_is_refused() {
    let zeros = vec![0; 1 << 20];
    let body = gzip(&zeros);
    assert!(body.len() * 100 < zeros.len());
    assert_eq!(compressed(SignedBody::Decoded, &body, &zeros), Err(Refusal::UnreadableBody));
    let most: Vec<u8> = (0..20_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!(compressed(SignedBody::Decoded, &gzip(&most), &most), Ok(0));
}

#[test]
fn seconds_are_not_milliseconds() {
    for (format, text) in [(TimeFormat::Unix, "1700000000000"), (TimeFormat::UnixMs, "1700000000")]
    {
        let at = timestamp(TimestampAt::Header("X-Time".into()));
        let spec = with_layout(whole("", ""), "{timestamp}", Some(TimestampSpec { format, ..at }));
        let good = sha256("key", text.as_bytes());
        let request = request(&[("X-Sig", &good), ("X-Time", text)], b"");
        assert_eq!(check(&verifier(&spec), request, NOW_MS), Err(Refusal::Stale), "{text}");
    }
}

#[test]
fn the_scheme_is_never_sniffed() {
    let mut mac = ::hmac::Hmac::<sha1::Sha1>::new_from_slice(b"key").unwrap();
    mac.update(b"body");
    let tag = mac.finalize().into_bytes();
    let base64 = Encoding::Base64.encode(&hex::decode(sha256("key", b"body")).unwrap());
    for other in
        [format!("sha1={}", hex::encode(tag)), hex::encode(tag), format!("sha256={base64}")]
    {
        let verdict = check(&verifier(&PLAIN), request(&[("X-Sig", &other)], b"body"), NOW_MS);
        assert_eq!(verdict, Err(Refusal::MalformedSignature), "{other}");
    }
}
