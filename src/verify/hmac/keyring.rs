//! Keyed HMAC states, one for each secret, and the comparison.

use super::content::Piece;
use super::spec::Digest;
use crate::verify::{Refusal, Secret};
use ::hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq as _};

/// The secrets of a source, ready to use.
#[derive(Debug)]
pub(in crate::verify) struct Keyring(Vec<Key>);

#[derive(Debug)]
struct Key {
    secret: Secret,
    state: State,
}

/// An HMAC that has taken in its key: cloning it saves half the work of a short message.
#[derive(Debug, Clone)]
enum State {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Keyring {
    pub(super) fn new(digest: Digest, secrets: Vec<Secret>) -> Self {
        let keyed = secrets
            .into_iter()
            .map(|secret| Key { state: State::new(digest, secret.key()), secret });
        Self(keyed.collect())
    }

    /// Which secret signed `content`, as proven by one of `signatures`. Every secret in force is
    /// tried with every signature, so that the time taken tells nothing of either.
    pub(super) fn matching(
        &self,
        content: &[Piece<'_>],
        signatures: &[Vec<u8>],
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        let in_force = |(_, key): &(usize, &Key)| key.is_in_force(now_unix_ms);
        let mut verdict = Err(Refusal::NoSecretInForce);
        for (index, key) in self.0.iter().enumerate().filter(in_force) {
            let tag = key.tag(content);
            let hit =
                signatures.iter().fold(Choice::from(0), |hit, offered| hit | offered.ct_eq(&tag));
            verdict = match verdict {
                Ok(earlier) => Ok(earlier),
                Err(_) if bool::from(hit) => Ok(index),
                Err(_) => Err(Refusal::Mismatch),
            };
        }
        verdict
    }

    /// The signature of `content` under the first secret in force.
    pub(super) fn sign(&self, content: &[Piece<'_>], now_unix_ms: i64) -> Result<Vec<u8>, Refusal> {
        let key = self.0.iter().find(|key| key.is_in_force(now_unix_ms));
        key.map(|key| key.tag(content)).ok_or(Refusal::NoSecretInForce)
    }
}

impl Key {
    fn is_in_force(&self, now_unix_ms: i64) -> bool {
        self.secret.window().contains(now_unix_ms)
    }

    fn tag(&self, content: &[Piece<'_>]) -> Vec<u8> {
        let mut state = self.state.clone();
        for piece in content {
            match piece {
                Piece::Bytes(bytes) => state.update(bytes),
                Piece::Secret => state.update(self.secret.key()),
            }
        }
        state.finish()
    }
}

impl Digest {
    /// The length of a signature in bytes.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl State {
    fn new(digest: Digest, key: &[u8]) -> Self {
        // HMAC takes keys of any length.
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match digest {
            Digest::Sha1 => Self::Sha1(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Digest::Sha256 => Self::Sha256(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Digest::Sha384 => Self::Sha384(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Digest::Sha512 => Self::Sha512(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(mac) => mac.update(bytes),
            Self::Sha256(mac) => mac.update(bytes),
            Self::Sha384(mac) => mac.update(bytes),
            Self::Sha512(mac) => mac.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha256(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha384(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha512(mac) => mac.finalize().into_bytes().to_vec(),
        }
    }
}
