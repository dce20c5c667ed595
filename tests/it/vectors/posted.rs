//! One vector of each kind, posted to the running program, and a token that expires.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::judge;
use crate::senders::{Sending, now};
use crate::wire::Wire;
use crate::yard::Yard;

/// Vectors that no time makes invalid.
const TIMELESS: [&str; 14] = [
    "octokit-mysecret",
    "github-tampered",
    "rfc-hmac-sha1-3",
    "gitlab-token",
    "gitlab-token-wrong",
    "rfc7617-utf8",
    "basic-garbage",
    "rfc8032-ed25519-3",
    "twilio-node-form",
    "twilio-node-form-changed",
    "netlify-jws",
    "netlify-body-swapped",
    "jws-es256-pem",
    "jws-es256-pem-changed",
];

#[test]
fn what_is_posted_is_judged_as_what_is_captured() {
    let vectors = || judge::all().iter().filter(|vector| TIMELESS.contains(&&*vector.id));
    assert_eq!(vectors().count(), TIMELESS.len());
    let sources: String = vectors().map(judge::Vector::own_source).collect();
    let yard = Yard::start(&sources, &[]);
    for vector in vectors() {
        let mut wire = Wire::to(yard.public());
        wire.send(vector.on_the_wire());
        let expected = if vector.valid { 200 } else { 401 };
        assert_eq!(wire.answer().status, expected, "{}", vector.id);
    }
}

#[test]
fn a_posted_token_is_good_until_it_expires() {
    let source = "[sources.livekit]\nscheme = \"livekit\"\nsecrets = [{ value = \"a secret\" }]\n";
    let yard = Yard::start(source, &[]);
    for (expires, status) in [(now() + 300, 200), (now() - 300, 401)] {
        let token = token("a secret", expires, "{}");
        let sending = Sending::new("/hooks/livekit", "{}").with("authorization", token);
        assert_eq!(sending.to(&yard).status, status, "{expires}");
    }
}

/// As LiveKit signs.
fn token(secret: &str, expires: u64, body: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(body));
    let claims = json!({ "exp": expires, "sha256": hash }).to_string();
    let [header, claims] =
        [r#"{"alg":"HS256"}"#, &*claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{header}.{claims}").as_bytes());
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
