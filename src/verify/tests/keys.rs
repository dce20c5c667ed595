//! Schemes with public keys.

use super::*;
use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _,
};

/// What stands before a key in a SubjectPublicKeyInfo.
const ED25519: &str = "302a300506032b6570032100";

fn spec(algorithm: Algorithm, encoding: SecretEncoding) -> SignedSpec {
    SignedSpec {
        algorithm,
        secret: SecretForm { encoding, strip_prefix: Vec::new() },
        ..with_layout(whole("", ""), "{header:X-Id}.{body}", None)
    }
}

fn signed_by(signature: impl AsRef<[u8]>) -> Request {
    request(&[("X-Id", "7"), ("X-Sig", &hex::encode(signature))], b"body")
}

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

#[test]
fn an_ed25519_signature_is_of_the_whole_text() {
    let pair = ed25519();
    let verifier = bind(
        scheme(&spec(Algorithm::Ed25519, SecretEncoding::Hex)),
        &[&"01".repeat(32), &hex::encode(pair.public_key())],
    );
    assert_eq!(check(&verifier, signed_by(pair.sign(b"7.body")), NOW_MS), Ok(1));
    assert_eq!(check(&verifier, signed_by(pair.sign(b"8.body")), NOW_MS), Err(Refusal::Mismatch));
    let short = &pair.sign(b"7.body").as_ref()[..63].to_vec();
    assert_eq!(check(&verifier, signed_by(short), NOW_MS), Err(Refusal::MalformedSignature));
}

#[test]
fn an_ed25519_signature_has_one_form() {
    /// The order of the group, little-endian.
    const ORDER: [u8; 32] = *b"\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10";
    let pair = ed25519();
    let key = hex::encode(pair.public_key());
    let verifier = bind(scheme(&spec(Algorithm::Ed25519, SecretEncoding::Hex)), &[&key]);
    let mut other = pair.sign(b"7.body").as_ref().to_vec();
    let mut carry = 0;
    for (byte, order) in other[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(check(&verifier, signed_by(other), NOW_MS), Err(Refusal::Mismatch));
}

#[test]
fn an_ecdsa_signature_has_the_form_of_its_scheme() {
    let random = SystemRandom::new();
    for (form, own, other) in [
        (EcdsaForm::Der, &ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_FIXED_SIGNING),
        (EcdsaForm::Raw, &ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_ASN1_SIGNING),
    ] {
        let secret = EcdsaKeyPair::generate_pkcs8(own, &random).unwrap();
        let pair = |how| EcdsaKeyPair::from_pkcs8(how, secret.as_ref(), &random).unwrap();
        let key = hex::encode(pair(own).public_key());
        let spec = spec(Algorithm::EcdsaP256(form), SecretEncoding::Hex);
        let verifier = bind(scheme(&spec), &[&key]);
        let verdict =
            |how, text| check(&verifier, signed_by(pair(how).sign(&random, text).unwrap()), NOW_MS);
        assert_eq!(verdict(own, b"7.body"), Ok(0));
        assert_eq!(verdict(own, b"8.body"), Err(Refusal::Mismatch));
        assert!(verdict(other, b"7.body").is_err());
    }
}

#[test]
fn a_public_key_may_be_written_in_several_ways() {
    let pair = ed25519();
    let info = [hex::decode(ED25519).unwrap(), pair.public_key().as_ref().to_vec()].concat();
    let base64 = Encoding::Base64.encode(&info);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
    for (encoding, text) in [
        (SecretEncoding::Hex, hex::encode(&info)),
        (SecretEncoding::Base64, Encoding::Base64.encode(pair.public_key().as_ref())),
        (SecretEncoding::SpkiDerBase64, base64),
        (SecretEncoding::Pem, pem),
    ] {
        let verifier = bind(scheme(&spec(Algorithm::Ed25519, encoding)), &[&text]);
        assert_eq!(check(&verifier, signed_by(pair.sign(b"7.body")), NOW_MS), Ok(0), "{text}");
    }
}

#[test]
fn what_is_no_key_of_that_kind_is_refused_at_load() {
    use Algorithm::{EcdsaP256, Ed25519, RsaSha256};
    let small_order = "01".to_owned() + &"00".repeat(31);
    let minus_zero = "00".repeat(31) + "80";
    for (algorithm, text) in [
        (Ed25519, "ab".repeat(31)),
        (Ed25519, small_order),
        (Ed25519, minus_zero),
        (EcdsaP256(EcdsaForm::Der), "04".to_owned() + &"ab".repeat(63)),
        (EcdsaP256(EcdsaForm::Der), "02".to_owned() + &"ab".repeat(64)),
        (RsaSha256, "ab".repeat(300)),
        (RsaSha256, "302a300506032b6570032100".to_owned() + &"ab".repeat(32)),
    ] {
        let scheme = scheme(&spec(algorithm, SecretEncoding::Hex));
        let refused = scheme.secret(&text, Window::default()).unwrap_err();
        assert!(matches!(refused, SecretError::PublicKey(_)), "{algorithm:?} {text}");
    }
}

#[test]
fn a_key_that_fits_every_signature_is_none_wherever_it_stands() {
    let small_order = [&[1][..], &[0; 31]].concat();
    let minus_zero = [&[0; 31][..], &[0x80]].concat();
    let good = ed25519().public_key().as_ref().to_vec();
    for (key, count) in [(good, 1), (small_order, 0), (minus_zero, 0), (vec![7; 31], 0)] {
        let x = Encoding::Base64Url.encode(&key);
        let info = [hex::decode(ED25519).unwrap(), key].concat();
        let body = Encoding::Base64.encode(&info);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, x.trim_end_matches('='));
        for text in [format!(r#"{{"keys":[{jwk}]}}"#), jwk, pem] {
            assert_eq!(asymmetric::read(text.as_bytes()).len(), count, "{text}");
        }
    }
}

#[test]
fn a_public_key_does_not_sign() {
    let key = hex::encode(ed25519().public_key());
    let verifier = bind(scheme(&spec(Algorithm::Ed25519, SecretEncoding::Hex)), &[&key]);
    let refused = verifier.sign(&mut request(&[], b""), "id", NOW_MS).unwrap_err();
    assert_eq!(refused, Unsignable::PublicKey);
}

/// Made with `openssl dgst -sha256 -sign` of `7.body`.
#[test]
fn an_rsa_signature_is_of_the_whole_text() {
    let signatures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/signatures");
    let read = |name| std::fs::read_to_string(signatures.join(name)).unwrap();
    let signature = hex::decode(read("rsa-of-7.body.hex").trim()).unwrap();
    let spec = spec(Algorithm::RsaSha256, SecretEncoding::Pem);
    let verifier = bind(scheme(&spec), &[&read("rsa-public.pem")]);
    assert_eq!(check(&verifier, signed_by(&signature), NOW_MS), Ok(0));
    let mut other = signed_by(&signature);
    other.body = Bytes::from_static(b"bodY");
    assert_eq!(check(&verifier, other, NOW_MS), Err(Refusal::Mismatch));
    let short = signed_by(&signature[..255]);
    assert_eq!(check(&verifier, short, NOW_MS), Err(Refusal::MalformedSignature));
}

#[test]
fn standard_webhooks_chooses_by_the_secret_and_never_mixes() {
    let spec = SignedSpec {
        encoding: Encoding::Base64,
        secret: SecretForm {
            encoding: SecretEncoding::Base64,
            strip_prefix: vec!["whsec_".into()],
        },
        or: Some(OtherSpec {
            algorithm: Algorithm::Ed25519,
            encoding: Encoding::Base64,
            label: "v1a,".into(),
            secret: SecretForm {
                encoding: SecretEncoding::Base64,
                strip_prefix: vec!["whpk_".into()],
            },
        }),
        ..with_layout(whole("v1,", " "), "{body}", None)
    };
    let pair = ed25519();
    let public = Encoding::Base64.encode(pair.public_key().as_ref());
    let (shared, public_key) = (format!("whsec_{public}"), format!("whpk_{public}"));
    let verdict = |secrets: &[&str], signature: &str| {
        let verifier = bind(scheme(&spec), secrets);
        check(&verifier, request(&[("X-Sig", signature)], b"body"), NOW_MS)
    };
    let mut mac = ::hmac::Hmac::<sha2::Sha256>::new_from_slice(pair.public_key().as_ref()).unwrap();
    mac.update(b"body");
    let tag = Encoding::Base64.encode(&mac.finalize().into_bytes());
    let signature = Encoding::Base64.encode(pair.sign(b"body").as_ref());
    let (v1, v1a) = (format!("v1,{tag}"), format!("v1a,{signature}"));
    assert_eq!(verdict(&[&shared], &v1), Ok(0));
    assert_eq!(verdict(&[&public_key], &v1a), Ok(0));
    assert_eq!(verdict(&[&shared, &public_key], &v1a), Ok(1));
    assert_eq!(verdict(&[&shared, &public_key], &format!("{v1} {v1a}")), Ok(0));
    // A key of one family is never tried with a signature of the other.
    assert_eq!(verdict(&[&public_key], &v1), Err(Refusal::MalformedSignature));
    assert_eq!(verdict(&[&shared], &v1a), Err(Refusal::MalformedSignature));
    for forged in [format!("v1a,{tag}"), format!("v1,{signature}")] {
        assert!(verdict(&[&shared, &public_key], &forged).is_err(), "{forged}");
    }
}
