//! Public keys as they are handed out: in PEM, as JSON Web Keys (RFC 7517), in certificates.

use super::public_key::PublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

/// Keys of one set at the most.
const KEYS: usize = 64;

/// A key, and the name that signers call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedKey {
    pub id: Option<String>,
    pub key: PublicKey,
}

impl PublicKey {
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
            ("EC", Some("P-256")) => Self::p256(&point(32)?),
            ("EC", Some("P-384")) => Self::p384(&point(48)?),
            ("OKP", Some("Ed25519")) => Self::ed25519(&bytes(&jwk.x)?),
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
