//! Public keys, and what they have signed.

use super::spec::EcdsaForm;
use crate::verify::SecretError;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey,
};
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;
use webpki::ring::RSA_PKCS1_2048_8192_SHA256;

/// What stands before the 32 bytes of a key in an Ed25519 SubjectPublicKeyInfo (RFC 8410).
const ED25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// What stands before the uncompressed point in a P-256 SubjectPublicKeyInfo (RFC 5480).
const P256_SPKI: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

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

/// A key that can verify, and not sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    Ed25519(Vec<u8>),
    /// An uncompressed point.
    P256(Vec<u8>, EcdsaForm),
    /// A SubjectPublicKeyInfo.
    Rsa(Vec<u8>),
}

impl PublicKey {
    /// A bare key of 32 bytes, or a SubjectPublicKeyInfo.
    pub fn ed25519(bytes: &[u8]) -> Result<Self, SecretError> {
        let key = bytes.strip_prefix(ED25519_SPKI).unwrap_or(bytes);
        let is_small = |y: &[u8; 32]| {
            key.split_last().is_some_and(|(last, low)| low == &y[..31] && last & 0x7f == y[31])
        };
        if key.len() != 32 || SMALL_ORDER.iter().any(is_small) {
            return Err(SecretError::PublicKey("an Ed25519 public key"));
        }
        Ok(Self::Ed25519(key.to_vec()))
    }

    /// An uncompressed point, or a SubjectPublicKeyInfo with one.
    pub fn p256(bytes: &[u8], form: EcdsaForm) -> Result<Self, SecretError> {
        match bytes.strip_prefix(P256_SPKI).unwrap_or(bytes) {
            point @ [0x04, ..] if point.len() == 65 => Ok(Self::P256(point.to_vec(), form)),
            _ => Err(SecretError::PublicKey("a P-256 public key")),
        }
    }

    /// A SubjectPublicKeyInfo.
    pub fn rsa(bytes: &[u8]) -> Result<Self, SecretError> {
        /// `rsaEncryption` (RFC 3279) and its empty parameters.
        const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        let is_rsa = bytes.windows(RSA.len()).take(8).any(|window| window == RSA);
        match RawPublicKeyEntity::try_from(&SubjectPublicKeyInfoDer::from(bytes)) {
            Ok(_) if is_rsa => Ok(Self::Rsa(bytes.to_vec())),
            _ => Err(SecretError::PublicKey("an RSA public key")),
        }
    }

    /// Whether this key's owner signed the message.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
            }
            Self::P256(point, EcdsaForm::Der) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
                key.verify(message, signature).is_ok()
            }
            Self::P256(point, EcdsaForm::Raw) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature).is_ok()
            }
            Self::Rsa(info) => {
                RawPublicKeyEntity::try_from(&SubjectPublicKeyInfoDer::from(&**info))
                    .and_then(|key| {
                        key.verify_signature(RSA_PKCS1_2048_8192_SHA256, message, signature)
                    })
                    .is_ok()
            }
        }
    }
}
