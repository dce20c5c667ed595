//! The keys of a source, one for each secret, and the comparison.

use super::content::{Piece, bare};
use super::spec::{Algorithm, EcdsaForm};
use crate::verify::mac::Mac;
use crate::verify::public_key::{PublicKey, Signing};
use crate::verify::secret::{self, Family};
use crate::verify::{Digest, Refusal, Secret, SecretError, Unsignable, Window};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
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

/// What shows who has signed a text.
#[derive(Debug)]
enum Key {
    Shared(Shared),
    Public(PublicKey, Signing),
}

/// What signs as the sender does.
#[derive(Debug)]
enum Shared {
    Mac(Box<Mac>),
    /// A plain digest, of a text in which the secret is.
    Hash(Digest),
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

    /// Which secret signed `content`, as proven by one of `signatures`. Each is tried with every
    /// signature of its family.
    pub(super) fn matching(
        &self,
        content: &[Piece<'_>],
        signatures: &[Offered],
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        // Schemes with public keys have no `{secret}`.
        let message = OnceCell::new();
        secret::matching(&self.0, now_unix_ms, Bound::window, |bound| {
            let family = bound.secret.family();
            let offered = signatures.iter().filter(|offered| offered.family == family);
            let offered = offered.map(|offered| offered.bytes.as_slice());
            match &bound.key {
                Key::Shared(shared) => {
                    let own = shared.tag(content, &bound.secret);
                    offered.fold(Choice::from(0), |hit, tag| hit | tag.ct_eq(&own)).into()
                }
                Key::Public(key, signing) => {
                    let message = message.get_or_init(|| bare(content));
                    offered.fold(false, |hit, tag| hit | key.has_signed(*signing, message, tag))
                }
            }
        })
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
        let bound = match index {
            Some(index) => self.0.get(index),
            None => secret::in_force(&self.0, now_unix_ms, Bound::window).ok(),
        }?;
        match &bound.key {
            Key::Shared(Shared::Mac(mac)) => {
                let mut mac = mac.clone();
                mac.update(text);
                Some(mac.finish())
            }
            Key::Shared(Shared::Hash(_)) | Key::Public(..) => None,
        }
    }

    /// The signature of `content` under the first secret in force, and its family.
    pub(super) fn sign(
        &self,
        content: &[Piece<'_>],
        now_unix_ms: i64,
    ) -> Result<Offered, Unsignable> {
        let Bound { secret, key } = secret::in_force(&self.0, now_unix_ms, Bound::window)?;
        match key {
            Key::Shared(shared) => {
                Ok(Offered { family: secret.family(), bytes: shared.tag(content, secret) })
            }
            Key::Public(..) => Err(Unsignable::PublicKey),
        }
    }
}

impl Bound {
    fn window(&self) -> Window {
        self.secret.window()
    }
}

impl Key {
    fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, SecretError> {
        let (signing, kind) = match algorithm {
            Algorithm::Hmac(digest) => {
                return Ok(Self::Shared(Shared::Mac(Box::new(Mac::new(digest, bytes)))));
            }
            Algorithm::Hash(digest) => return Ok(Self::Shared(Shared::Hash(digest))),
            Algorithm::Ed25519 => (Signing::Ed25519, "an Ed25519 public key"),
            Algorithm::EcdsaP256(EcdsaForm::Der) => (Signing::EcdsaP256Der, "a P-256 public key"),
            Algorithm::EcdsaP256(EcdsaForm::Raw) => (Signing::EcdsaP256, "a P-256 public key"),
            Algorithm::RsaSha256 => (Signing::RsaSha256, "an RSA public key"),
        };
        let key = PublicKey::new(signing, bytes).ok_or(SecretError::PublicKey(kind))?;
        Ok(Self::Public(key, signing))
    }
}

impl Shared {
    fn tag(&self, content: &[Piece<'_>], secret: &Secret) -> Vec<u8> {
        let chunks = content.iter().map(|piece| match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::Secret => secret.key(),
        });
        match self {
            Self::Mac(mac) => {
                let mut mac = mac.clone();
                chunks.for_each(|chunk| mac.update(chunk));
                mac.finish()
            }
            Self::Hash(Digest::Sha1) => hash::<Sha1>(chunks),
            Self::Hash(Digest::Sha256) => hash::<Sha256>(chunks),
            Self::Hash(Digest::Sha384) => hash::<Sha384>(chunks),
            Self::Hash(Digest::Sha512) => hash::<Sha512>(chunks),
        }
    }
}

fn hash<'a, D: sha2::Digest>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    chunks.fold(D::new(), |hash, chunk| hash.chain_update(chunk)).finalize().to_vec()
}
