//! The keys of a source, one for each secret, and the comparison.

use super::content::{Piece, bare};
use super::public_key::PublicKey;
use super::spec::{Algorithm, Digest};
use crate::verify::secret::Family;
use crate::verify::trace;
use crate::verify::{Refusal, Secret, SecretError, Unsignable};
use ::hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::cell::OnceCell;
use subtle::{Choice, ConstantTimeEq as _};

/// The secrets of a source, ready to use.
#[derive(Debug)]
pub(in crate::verify) struct Keyring(Vec<Bound>);

#[derive(Debug)]
struct Bound {
    secret: Secret,
    key: Key,
}

/// What one key makes of a text.
#[derive(Debug, Clone)]
enum Key {
    /// A digest that has taken in its key: cloning it saves half the work of a short message.
    Shared(Box<State>),
    Public(PublicKey),
}

#[derive(Debug, Clone)]
enum State {
    HmacSha1(Hmac<Sha1>),
    HmacSha256(Hmac<Sha256>),
    /// SHA-384 and SHA-512, for which few processors have instructions: ring's assembly is faster.
    /// For the others the `sha1` and `sha2` crates use the processor's own.
    HmacWide(ring::hmac::Context),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

/// A signature of a request, and which way it is made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offered {
    pub family: Family,
    pub bytes: Vec<u8>,
}

/// Whether a key can be made of these bytes.
pub(super) fn check_key(algorithm: Algorithm, bytes: &[u8]) -> Result<(), SecretError> {
    Key::new(algorithm, bytes).map(drop)
}

impl Keyring {
    /// `algorithm` says how each family signs.
    pub(super) fn new(
        secrets: Vec<Secret>,
        algorithm: impl Fn(Family) -> Algorithm,
    ) -> Result<Self, SecretError> {
        let bind = |secret: Secret| {
            let key = Key::new(algorithm(secret.family()), secret.key())?;
            Ok(Bound { secret, key })
        };
        secrets.into_iter().map(bind).collect::<Result<_, _>>().map(Self)
    }

    /// The secrets, in their order.
    pub(in crate::verify) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter().map(|key| &key.secret)
    }

    pub(super) fn has(&self, family: Family) -> bool {
        self.0.iter().any(|key| key.secret.family() == family)
    }

    /// Which secret signed `content`, as proven by one of `signatures`. Every secret in force is
    /// tried with every signature of its family, so that the time taken tells nothing of either.
    pub(super) fn matching(
        &self,
        content: &[Piece<'_>],
        signatures: &[Offered],
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        // Schemes with public keys have no `{secret}`.
        let message = OnceCell::new();
        let mut verdict = Err(Refusal::NoSecretInForce);
        for (index, key) in self.0.iter().enumerate() {
            if !key.is_in_force(now_unix_ms) {
                trace::tell(|| key.secret.step(index, false, false));
                continue;
            }
            let of_its_family =
                signatures.iter().filter(|offered| offered.family == key.secret.family());
            let offered = of_its_family.map(|offered| offered.bytes.as_slice());
            let hit = match &key.key {
                Key::Shared(state) => {
                    let tag = state.tag(content, &key.secret);
                    offered.fold(Choice::from(0), |hit, offered| hit | offered.ct_eq(&tag)).into()
                }
                Key::Public(public) => {
                    let message = message.get_or_init(|| bare(content));
                    offered.fold(false, |hit, offered| hit | public.has_signed(message, offered))
                }
            };
            trace::tell(|| key.secret.step(index, true, hit));
            verdict = match verdict {
                Ok(earlier) => Ok(earlier),
                Err(_) if hit => Ok(index),
                Err(_) => Err(Refusal::Mismatch),
            };
        }
        verdict
    }

    pub(in crate::verify) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A text under the secret that verified a request, or else under the first in force; `None`:
    /// it is no key that both sides sign with.
    pub(in crate::verify) fn prove(
        &self,
        text: &[u8],
        index: Option<usize>,
        now_unix_ms: i64,
    ) -> Option<Vec<u8>> {
        let key = match index {
            Some(index) => self.0.get(index),
            None => self.0.iter().find(|key| key.is_in_force(now_unix_ms)),
        }?;
        match &key.key {
            Key::Shared(state) if state.has_key() => {
                Some(state.tag(&[Piece::Bytes(text.into())], &key.secret))
            }
            Key::Shared(_) | Key::Public(_) => None,
        }
    }

    /// The signature of `content` under the first secret in force, and its family.
    pub(super) fn sign(
        &self,
        content: &[Piece<'_>],
        now_unix_ms: i64,
    ) -> Result<Offered, Unsignable> {
        let key = self.0.iter().find(|key| key.is_in_force(now_unix_ms));
        let key = key.ok_or(Unsignable::Refused(Refusal::NoSecretInForce))?;
        match &key.key {
            Key::Shared(state) => {
                Ok(Offered { family: key.secret.family(), bytes: state.tag(content, &key.secret) })
            }
            Key::Public(_) => Err(Unsignable::PublicKey),
        }
    }
}

impl Bound {
    fn is_in_force(&self, now_unix_ms: i64) -> bool {
        self.secret.window().contains(now_unix_ms)
    }
}

impl Key {
    fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, SecretError> {
        match algorithm {
            Algorithm::Hmac(digest) => Ok(Self::Shared(Box::new(State::hmac(digest, bytes)))),
            Algorithm::Hash(digest) => Ok(Self::Shared(Box::new(State::hash(digest)))),
            Algorithm::Ed25519 => PublicKey::ed25519(bytes).map(Self::Public),
            Algorithm::EcdsaP256(form) => PublicKey::p256(bytes, form).map(Self::Public),
            Algorithm::RsaSha256 => PublicKey::rsa(bytes).map(Self::Public),
        }
    }
}

impl State {
    fn hmac(digest: Digest, key: &[u8]) -> Self {
        // HMAC takes keys of any length.
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match digest {
            Digest::Sha1 => Self::HmacSha1(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Digest::Sha256 => Self::HmacSha256(Hmac::new_from_slice(key).expect(ANY_LENGTH)),
            Digest::Sha384 => Self::wide(ring::hmac::HMAC_SHA384, key),
            Digest::Sha512 => Self::wide(ring::hmac::HMAC_SHA512, key),
        }
    }

    fn wide(digest: ring::hmac::Algorithm, key: &[u8]) -> Self {
        Self::HmacWide(ring::hmac::Context::with_key(&ring::hmac::Key::new(digest, key)))
    }

    fn hash(digest: Digest) -> Self {
        match digest {
            Digest::Sha1 => Self::Sha1(Sha1::new()),
            Digest::Sha256 => Self::Sha256(Sha256::new()),
            Digest::Sha384 => Self::Sha384(Sha384::new()),
            Digest::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Whether it has taken in a key: a plain digest has none.
    fn has_key(&self) -> bool {
        matches!(self, Self::HmacSha1(_) | Self::HmacSha256(_) | Self::HmacWide(_))
    }

    fn tag(&self, content: &[Piece<'_>], secret: &Secret) -> Vec<u8> {
        let mut state = self.clone();
        for piece in content {
            match piece {
                Piece::Bytes(bytes) => state.update(bytes),
                Piece::Secret => state.update(secret.key()),
            }
        }
        state.finish()
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::HmacSha1(mac) => mac.update(bytes),
            Self::HmacSha256(mac) => mac.update(bytes),
            Self::HmacWide(mac) => mac.update(bytes),
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha384(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::HmacSha1(mac) => mac.finalize().into_bytes().to_vec(),
            Self::HmacSha256(mac) => mac.finalize().into_bytes().to_vec(),
            Self::HmacWide(mac) => mac.sign().as_ref().to_vec(),
            Self::Sha1(hash) => hash.finalize().to_vec(),
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::Sha384(hash) => hash.finalize().to_vec(),
            Self::Sha512(hash) => hash.finalize().to_vec(),
        }
    }
}
