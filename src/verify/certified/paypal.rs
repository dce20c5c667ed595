//! PayPal: <https://developer.paypal.com/api/rest/webhooks/rest/#link-messageverification>. What is signed is a
//! checksum of the body, not the body.

use super::{Claim, check_time};
use crate::verify::asymmetric::NamedKey;
use crate::verify::head::Head;
use crate::verify::public_key::{PublicKey, Signing};
use crate::verify::trace::{self, Step};
use crate::verify::{Encoding, Refusal, Request};
use flate2::Crc;
use http::HeaderName;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

pub(super) static SIGNATURE: HeaderName = HeaderName::from_static("paypal-transmission-sig");
static ID: HeaderName = HeaderName::from_static("paypal-transmission-id");
static TIME: HeaderName = HeaderName::from_static("paypal-transmission-time");
static CERTIFICATE: HeaderName = HeaderName::from_static("paypal-cert-url");
static ALGORITHM: HeaderName = HeaderName::from_static("paypal-auth-algo");

/// How far from now a request may have been sent, in milliseconds.
const TOLERANCE_MS: u64 = 300_000;

/// Certificates of one chain at the most.
const CHAIN: usize = 8;

pub(super) fn precheck(head: Head<'_>) -> Result<(), Refusal> {
    signature(head)?;
    [&ID, &TIME, &CERTIFICATE, &ALGORITHM]
        .into_iter()
        .try_for_each(|name| need(head, name).map(drop))
}

/// The id of the transmission, its time, the id of the webhook and the CRC-32 of the body.
pub(super) fn claim(request: &Request, webhook_id: &str, now_ms: i64) -> Result<Claim, Refusal> {
    let head = Head { headers: &request.headers, target: &request.target };
    if !need(head, &ALGORITHM)?.eq_ignore_ascii_case("SHA256withRSA") {
        return Err(Refusal::WrongValue(format!("header {ALGORITHM}")));
    }
    let time = need(head, &TIME)?;
    check_time(TIME.as_str(), time, TOLERANCE_MS, now_ms)?;
    let mut checksum = Crc::new();
    checksum.update(&request.body);
    Ok(Claim {
        certificate: need(head, &CERTIFICATE)?.to_owned(),
        content: format!("{}|{time}|{webhook_id}|{}", need(head, &ID)?, checksum.sum())
            .into_bytes(),
        signing: Signing::RsaSha256,
        tag: signature(head)?,
    })
}

/// The hosts of PayPal and of its sandbox.
pub(super) fn is_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    host.ends_with(".paypal.com") && host.bytes().all(is_plain)
}

/// The key of a certificate that an authority has given to PayPal; none of any other.
pub(super) fn keys(pem: &[u8], roots: &[TrustAnchor<'_>], now_ms: i64) -> Vec<NamedKey> {
    let chain = CertificateDer::pem_slice_iter(pem).take(CHAIN);
    let Ok(chain) = chain.collect::<Result<Vec<_>, _>>() else { return Vec::new() };
    let key = chain.split_first().and_then(|(own, rest)| certified(own, rest, roots, now_ms));
    key.map(|key| NamedKey { id: None, key }).into_iter().collect()
}

fn certified(
    own: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    roots: &[TrustAnchor<'_>],
    now_ms: i64,
) -> Option<PublicKey> {
    let entity = EndEntityCert::try_from(own).ok()?;
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms.try_into().ok()?));
    let holds = |usage: KeyUsage| {
        let algorithms = ALL_VERIFICATION_ALGS;
        entity.verify_for_usage(algorithms, roots, rest, now, usage, None, None).is_ok()
    };
    let is_certified = holds(KeyUsage::server_auth()) || holds(KeyUsage::client_auth());
    let is_theirs = entity.valid_dns_names().any(|name| is_host(name.trim_start_matches('*')));
    if is_certified && is_theirs { PublicKey::from_certificate(own) } else { None }
}

fn signature(head: Head<'_>) -> Result<Vec<u8>, Refusal> {
    let text = head.header(&SIGNATURE)?.ok_or(Refusal::MissingSignature)?;
    let tag = Encoding::Base64.decode(text);
    trace::tell(|| {
        let found = trace::glimpse(text);
        Step::new(format!("header {SIGNATURE}"), "a signature in base64", found, tag.is_some())
    });
    tag.ok_or(Refusal::MalformedSignature)
}

fn need<'a>(head: Head<'a>, name: &HeaderName) -> Result<&'a str, Refusal> {
    let value = head.header(name)?.filter(|value| !value.is_empty());
    value.ok_or_else(|| Refusal::Missing(format!("header {name}")))
}
