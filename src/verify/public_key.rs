//! Public keys, and what they have signed.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The y coordinates of the points of small order, little-endian, without the sign bit: with such
/// a key, one signature fits every message. They are 0, 1, -1, two of order 8, and those of these
/// that can also be written above the prime.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    little(1),
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\
       \xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\
       \x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
    below_2_255(0xec),
    below_2_255(0xed),
    below_2_255(0xee),
];

const fn little(first: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = first;
    bytes
}

const fn below_2_255(first: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = first;
    bytes[31] = 0x7f;
    bytes
}

/// A key that can verify, and not sign, in the form in which `ring` wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// An RSAPublicKey (RFC 8017).
    Rsa(Vec<u8>),
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    /// 32 bytes, with which no signature fits every message.
    Ed25519(Vec<u8>),
}

/// How a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signing {
    RsaSha1,
    RsaSha256,
    RsaSha384,
    RsaSha512,
    /// The two numbers of the signature behind each other.
    EcdsaP256,
    /// The same in ASN.1.
    EcdsaP256Der,
    /// The two numbers behind each other.
    EcdsaP384,
    Ed25519,
}

impl PublicKey {
    /// A key that signs that way: in a SubjectPublicKeyInfo, or a bare point.
    pub fn new(signing: Signing, bytes: &[u8]) -> Option<Self> {
        let bare = || match signing {
            Signing::Ed25519 => Self::ed25519(bytes),
            Signing::EcdsaP256 | Signing::EcdsaP256Der => Self::p256(bytes),
            Signing::EcdsaP384 => Self::p384(bytes),
            Signing::RsaSha1 | Signing::RsaSha256 | Signing::RsaSha384 | Signing::RsaSha512 => None,
        };
        let key = Self::from_info(bytes).or_else(bare)?;
        key.with(signing).is_some().then_some(key)
    }

    /// 32 bytes.
    pub fn ed25519(key: &[u8]) -> Option<Self> {
        let (last, low) = key.split_last()?;
        let is_small = |y: &[u8; 32]| low == &y[..31] && last & 0x7f == y[31];
        let is_key = key.len() == 32 && !SMALL_ORDER.iter().any(is_small);
        is_key.then(|| Self::Ed25519(key.to_vec()))
    }

    /// An uncompressed point.
    pub fn p256(point: &[u8]) -> Option<Self> {
        is_point(point, 32).then(|| Self::P256(point.to_vec()))
    }

    /// An uncompressed point.
    pub fn p384(point: &[u8]) -> Option<Self> {
        is_point(point, 48).then(|| Self::P384(point.to_vec()))
    }

    /// The key in a SubjectPublicKeyInfo (RFC 5280).
    pub fn from_info(info: &[u8]) -> Option<Self> {
        /// `rsaEncryption` and its empty parameters (RFC 3279).
        const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        /// `id-ecPublicKey` and the curve (RFC 5480).
        const P256: &[u8] =
            b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        const P384: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
        /// `id-Ed25519` (RFC 8410).
        const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
        let (info, []) = value(0x30, info)? else { return None };
        let (algorithm, rest) = value(0x30, info)?;
        let ([0, key @ ..], []) = value(0x03, rest)? else { return None };
        match algorithm {
            RSA => Some(Self::Rsa(key.to_vec())),
            P256 => Self::p256(key),
            P384 => Self::p384(key),
            ED25519 => Self::ed25519(key),
            _ => None,
        }
    }

    /// The key that a certificate is about. Nothing else in the certificate is looked at.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        Self::from_info(&certificate.subject_public_key_info())
    }

    /// Whether this key's owner signed the message. A key of another kind did not.
    pub fn has_signed(&self, signing: Signing, message: &[u8], tag: &[u8]) -> bool {
        let Some((algorithm, key)) = self.with(signing) else { return false };
        UnparsedPublicKey::new(algorithm, key).verify(message, tag).is_ok()
    }

    /// What verifies with it, if it signs that way.
    fn with(&self, signing: Signing) -> Option<(&'static dyn VerificationAlgorithm, &[u8])> {
        Some(match (signing, self) {
            // `ring` takes short keys for SHA-1, and no others are as old as that.
            (Signing::RsaSha1, Self::Rsa(key)) => {
                (&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
            }
            (Signing::RsaSha256, Self::Rsa(key)) => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
            (Signing::RsaSha384, Self::Rsa(key)) => (&signature::RSA_PKCS1_2048_8192_SHA384, key),
            (Signing::RsaSha512, Self::Rsa(key)) => (&signature::RSA_PKCS1_2048_8192_SHA512, key),
            (Signing::EcdsaP256, Self::P256(key)) => (&signature::ECDSA_P256_SHA256_FIXED, key),
            (Signing::EcdsaP256Der, Self::P256(key)) => (&signature::ECDSA_P256_SHA256_ASN1, key),
            (Signing::EcdsaP384, Self::P384(key)) => (&signature::ECDSA_P384_SHA384_FIXED, key),
            (Signing::Ed25519, Self::Ed25519(key)) => (&signature::ED25519, key),
            _ => return None,
        })
    }
}

/// Whether it is a point in its uncompressed form, of coordinates of that many bytes.
fn is_point(point: &[u8], bytes: usize) -> bool {
    point.first() == Some(&0x04) && point.len() == 1 + 2 * bytes
}

/// The value of the DER element of that kind that the bytes begin with, and what follows it.
fn value(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [found, length @ 0..=0x7f, rest @ ..] if *found == tag => (usize::from(*length), rest),
        [found, 0x81, length, rest @ ..] if *found == tag => (usize::from(*length), rest),
        [found, 0x82, high, low, rest @ ..] if *found == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
