//! Public keys as they are handed out: in PEM, as JSON Web Keys (RFC 7517), in certificates.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::EndEntityCert;

/// Keys of one set at the most.
const KEYS: usize = 64;

/// A key that can verify, and not sign, in the form in which `ring` wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// An RSAPublicKey (RFC 8017).
    Rsa(Vec<u8>),
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key, and the name that signers call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedKey {
    pub id: Option<String>,
    pub key: PublicKey,
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
    /// Likewise.
    EcdsaP384,
    Ed25519,
}

impl PublicKey {
    /// Whether this key's owner signed the message. A key of another kind did not.
    pub fn has_signed(&self, signing: Signing, message: &[u8], tag: &[u8]) -> bool {
        let (algorithm, key): (&dyn VerificationAlgorithm, _) = match (signing, self) {
            // `ring` takes short keys for SHA-1, and no others are as old as that.
            (Signing::RsaSha1, Self::Rsa(key)) => {
                (&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
            }
            (Signing::RsaSha256, Self::Rsa(key)) => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
            (Signing::RsaSha384, Self::Rsa(key)) => (&signature::RSA_PKCS1_2048_8192_SHA384, key),
            (Signing::RsaSha512, Self::Rsa(key)) => (&signature::RSA_PKCS1_2048_8192_SHA512, key),
            (Signing::EcdsaP256, Self::P256(key)) => (&signature::ECDSA_P256_SHA256_FIXED, key),
            (Signing::EcdsaP384, Self::P384(key)) => (&signature::ECDSA_P384_SHA384_FIXED, key),
            (Signing::Ed25519, Self::Ed25519(key)) => (&signature::ED25519, key),
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, key).verify(message, tag).is_ok()
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
            P256 => (key.len() == 65).then(|| Self::P256(key.to_vec())),
            P384 => (key.len() == 97).then(|| Self::P384(key.to_vec())),
            ED25519 => (key.len() == 32).then(|| Self::Ed25519(key.to_vec())),
            _ => None,
        }
    }

    /// The key that a certificate is about. Nothing else in the certificate is looked at.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        Self::from_info(&certificate.subject_public_key_info())
    }

    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            let fits = x.len() == length && y.len() == length;
            fits.then(|| [&[4], &*x, &*y].concat())
        };
        match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => {
                let numbers = [integer(&bytes(&jwk.n)?)?, integer(&bytes(&jwk.e)?)?].concat();
                Some(Self::Rsa(element(0x30, &numbers)))
            }
            ("EC", Some("P-256")) => point(32).map(Self::P256),
            ("EC", Some("P-384")) => point(48).map(Self::P384),
            ("OKP", Some("Ed25519")) => {
                bytes(&jwk.x).filter(|key| key.len() == 32).map(Self::Ed25519)
            }
            _ => None,
        }
    }
}

/// A JSON Web Key, as far as it is public.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct JwkSet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// One key in an envelope, as Plaid sends it.
#[derive(Deserialize)]
struct Enveloped<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
}

/// The keys that a text holds: a key in PEM, a certificate in PEM, a JSON Web Key or a set of them.
/// Keys of kinds that are not known here are passed over.
pub(super) fn read(text: &[u8]) -> Vec<NamedKey> {
    if let Ok(info) = SubjectPublicKeyInfoDer::from_pem_slice(text) {
        return PublicKey::from_info(&info).map(unnamed).into_iter().collect();
    }
    if let Some(key) = certified(text) {
        return vec![key];
    }
    let single = || match serde_json::from_slice::<Enveloped<'_>>(text) {
        Ok(enveloped) => vec![enveloped.key],
        Err(_) => serde_json::from_slice(text).into_iter().collect(),
    };
    let keys = serde_json::from_slice::<JwkSet<'_>>(text).map_or_else(|_| single(), |set| set.keys);
    keys.into_iter().take(KEYS).filter_map(named).collect()
}

/// The key that a certificate in PEM is about; nothing else holds one.
pub(super) fn certified(pem: &[u8]) -> Option<NamedKey> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    PublicKey::from_certificate(&certificate).map(unnamed)
}

fn unnamed(key: PublicKey) -> NamedKey {
    NamedKey { id: None, key }
}

fn named(raw: &RawValue) -> Option<NamedKey> {
    let jwk: Jwk = serde_json::from_str(raw.get()).ok()?;
    let signs = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
    let key = PublicKey::from_jwk(&jwk).filter(|_| signs)?;
    Some(NamedKey { id: jwk.kid, key })
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

/// A DER element of at most 64 KiB.
fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let [.., high, low] = value.len().to_be_bytes();
    let head = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, value].concat()
}

/// A positive INTEGER of at most 8192 bits.
fn integer(number: &[u8]) -> Option<Vec<u8>> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeros..).filter(|number| (1..=1024).contains(&number.len()))?;
    let sign: &[u8] = if number.first().is_some_and(|first| *first >= 0x80) { &[0] } else { &[] };
    Some(element(0x02, &[sign, number].concat()))
}
