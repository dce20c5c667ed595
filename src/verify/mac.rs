//! HMAC: the one place where a text is signed with a shared key.

use super::digest::Digest;
use ::hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::Sha256;

/// An HMAC that has taken in its key: cloning it saves half the work of a short message.
#[derive(Debug, Clone)]
pub enum Mac {
    /// With SHA-1.
    Sha1(Hmac<Sha1>),
    /// With SHA-256.
    Sha256(Hmac<Sha256>),
    /// SHA-384 and SHA-512, for which few processors have instructions: ring's assembly is faster.
    /// For the others the `sha1` and `sha2` crates use the processor's own.
    Wide(ring::hmac::Context),
}

impl Mac {
    /// With that key.
    pub fn new(digest: Digest, key: &[u8]) -> Self {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match digest {
            Digest::Sha1 => Self::Sha1(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Digest::Sha256 => Self::Sha256(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Digest::Sha384 => Self::wide(ring::hmac::HMAC_SHA384, key),
            Digest::Sha512 => Self::wide(ring::hmac::HMAC_SHA512, key),
        }
    }

    fn wide(digest: ring::hmac::Algorithm, key: &[u8]) -> Self {
        Self::Wide(ring::hmac::Context::with_key(&ring::hmac::Key::new(digest, key)))
    }

    /// Takes in more of the text.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(mac) => mac.update(bytes),
            Self::Sha256(mac) => mac.update(bytes),
            Self::Wide(mac) => mac.update(bytes),
        }
    }

    /// The tag of all that was taken in.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha256(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Wide(mac) => mac.sign().as_ref().to_vec(),
        }
    }
}

/// The tag of a text under a key.
pub(super) fn tag(digest: Digest, key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Mac::new(digest, key);
    mac.update(text);
    mac.finish()
}
