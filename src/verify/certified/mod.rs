//! Schemes that sign with a certificate of the provider, which the request names and we fetch.

mod paypal;
mod sns;
#[cfg(test)]
mod tests;

use super::asymmetric::{self, NamedKey};
use super::fetched::{self, Look, Store, Want};
use super::head::Head;
use super::named::named;
use super::public_key::Signing;
use super::trace::{self, Step, away};
use super::with::With;
use super::{Refusal, Request, SpecError};
use crate::clock;
use crate::pointer::Pointer;
use crate::text::{head, printable};
use http::Uri;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::TrustAnchor;

/// Bytes of what a request says that are shown to people.
const SHOWN: usize = 200;

named! {
    /// Who signs that way.
    Certifier {
        AwsSns = "aws-sns",
        Paypal = "paypal",
    }
}

impl Certifier {
    /// What a source may give it: whom its requests must be for, first.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::AwsSns => &["topic", "certificate", "confirm"],
            Self::Paypal => &["webhook_id", "certificate"],
        }
    }
}

/// A checked scheme of that kind.
pub struct Certified {
    certifier: Certifier,
    /// PayPal's id of the webhook, or the topics of SNS: whom the request must be for.
    subjects: Vec<String>,
    /// Hosts, with their ports, that certificates are fetched from in place of the provider's.
    hosts: Vec<String>,
    /// The certificate, where the operator has it; then none is fetched.
    pinned: Option<NamedKey>,
    store: Store,
}

impl fmt::Debug for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certified")
            .field("certifier", &self.certifier)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// What a request says of itself.
#[derive(Debug)]
struct Claim {
    /// Where the certificate is.
    certificate: String,
    content: Vec<u8>,
    signing: Signing,
    tag: Vec<u8>,
}

impl Certified {
    /// `hosts` stand in place of the provider's own.
    pub(super) fn new(
        certifier: Certifier,
        with: &With,
        hosts: &[String],
    ) -> Result<Self, SpecError> {
        let subject = certifier.names().first().copied().unwrap_or_default();
        let subjects = with.all(subject).to_vec();
        if subjects.is_empty() {
            return Err(SpecError::new("with", format!("`{subject}` is missing")));
        }
        let certificate = |pem: &str| {
            let key = asymmetric::certified(pem.as_bytes());
            key.ok_or_else(|| SpecError::new("with.certificate", "is no certificate in PEM"))
        };
        let pinned = with.one("certificate").map(certificate).transpose()?;
        Ok(Self { certifier, subjects, hosts: hosts.to_vec(), pinned, store: Store::default() })
    }

    pub(super) fn precheck(&self, head: Head<'_>) -> Result<(), Refusal> {
        match self.certifier {
            Certifier::AwsSns => Ok(()),
            Certifier::Paypal => paypal::precheck(head),
        }
    }

    /// What must be fetched before the request can be verified.
    pub(super) fn want(&self, request: &Request, now_ms: i64) -> Result<Option<Want>, Refusal> {
        if self.pinned.is_some() {
            return Ok(None);
        }
        let claim = self.claim(request, now_ms)?;
        let want = self.place_of(&claim.certificate)?;
        match self.store.look(&want, |_| true, now_ms)? {
            Look::Have(_) => Ok(None),
            Look::Fetch => Ok(Some(want)),
        }
    }

    pub(super) fn verify(&self, request: &Request, now_ms: i64) -> Result<(), Refusal> {
        let claim = self.claim(request, now_ms)?;
        trace::tell(|| {
            let hash = hex::encode(Sha256::digest(&claim.content));
            let found = format!("{} bytes, SHA-256 {hash}", claim.content.len());
            Step::new("signed text", self.certifier.name(), found, true)
        });
        let found = match &self.pinned {
            Some(key) => Ok(Look::Have(Arc::new([key.clone()]))),
            None => {
                let want = self.place_of(&claim.certificate)?;
                self.store.look(&want, |_| true, now_ms)
            }
        };
        fetched::verdict(found, |keys| {
            keys.iter().any(|key| key.key.has_signed(claim.signing, &claim.content, &claim.tag))
        })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The keys in what was fetched, which for PayPal must be certified to be its own.
    pub(super) fn keys(
        &self,
        fetched: &[u8],
        roots: &[TrustAnchor<'_>],
        now_ms: i64,
    ) -> Vec<NamedKey> {
        match self.certifier {
            Certifier::AwsSns => asymmetric::certified(fetched).into_iter().collect(),
            Certifier::Paypal => paypal::keys(fetched, roots, now_ms),
        }
    }

    /// Where a request asks to be confirmed, if it is a subscription that asks for it.
    pub(super) fn confirmation(&self, request: &Request) -> Option<Want> {
        let url = match self.certifier {
            Certifier::AwsSns => sns::confirmation(request)?,
            Certifier::Paypal => return None,
        };
        self.uri_at(&url, sns::is_host)?;
        Some(Want { url, post: None })
    }

    /// Whether what stands at that place of the body is signed.
    pub(super) fn covers(&self, pointer: &Pointer) -> bool {
        match self.certifier {
            Certifier::AwsSns => sns::covers(pointer),
            // A checksum is signed, and another body with the same one is soon found.
            Certifier::Paypal => false,
        }
    }

    pub(super) fn signature_name(&self) -> Option<&'static str> {
        match self.certifier {
            Certifier::AwsSns => None,
            Certifier::Paypal => Some(paypal::SIGNATURE.as_str()),
        }
    }

    fn claim(&self, request: &Request, now_ms: i64) -> Result<Claim, Refusal> {
        match self.certifier {
            Certifier::AwsSns => sns::claim(request, &self.subjects, now_ms),
            Certifier::Paypal => {
                // `new` has seen to it that there is one.
                let id = self.subjects.first().map_or("", String::as_str);
                paypal::claim(request, id, now_ms)
            }
        }
    }

    /// The certificate's place, if it is one of the provider's.
    fn place_of(&self, url: &str) -> Result<Want, Refusal> {
        let uri = match self.certifier {
            Certifier::AwsSns => self.uri_at(url, sns::is_host),
            Certifier::Paypal => self.uri_at(url, paypal::is_host),
        };
        let is_certificate = |uri: &Uri| match self.certifier {
            _ if uri.query().is_some() => false,
            Certifier::AwsSns => sns::is_certificate(uri.path()),
            Certifier::Paypal => true,
        };
        let is_theirs = uri.as_ref().is_some_and(is_certificate);
        trace::tell(|| {
            let found = format!("`{}`", printable(head(url, SHOWN)));
            Step::new("certificate", "at an https URL of the provider", found, is_theirs)
        });
        if is_theirs {
            Ok(Want { url: url.to_owned(), post: None })
        } else {
            Err(Refusal::WrongValue("the place of the certificate".to_owned()))
        }
    }

    /// An https URL without user or fragment that leads to a host of the provider.
    fn uri_at(&self, url: &str, is_host: impl Fn(&str) -> bool) -> Option<Uri> {
        let uri: Uri = url.parse().ok()?;
        let authority = uri.authority()?.as_str();
        let is_plain = uri.scheme_str() == Some("https") && !url.contains(['#', '@', '\\']);
        let is_allowed = if self.hosts.is_empty() {
            is_host(authority)
        } else {
            self.hosts.iter().any(|host| host.eq_ignore_ascii_case(authority))
        };
        (is_plain && is_allowed).then_some(uri)
    }
}

/// Refuses what was sent too long before or after now, by the time in `place`.
fn check_time(place: &str, text: &str, tolerance_ms: u64, now_ms: i64) -> Result<(), Refusal> {
    let at = text.parse().ok().map(jiff::Timestamp::as_millisecond);
    let verdict = match at {
        Some(at) if now_ms.abs_diff(at) <= tolerance_ms => Ok(()),
        Some(_) => Err(Refusal::Stale),
        None => Err(Refusal::MalformedTimestamp),
    };
    trace::tell(|| {
        let now = clock::rfc3339(now_ms.cast_unsigned());
        let expected = format!("within {} s of {now}", tolerance_ms / 1000);
        let away = at.map_or("which is no time".to_owned(), |at| away(at, now_ms));
        let found = format!("`{}`, {away}", printable(head(text, SHOWN)));
        Step::new(format!("time in {place}"), expected, found, verdict.is_ok())
    });
    verdict
}
