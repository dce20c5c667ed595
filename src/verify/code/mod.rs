//! Schemes with a shared secret that data cannot describe: a small function each, which says what
//! was signed and by which signatures.

mod adyen;
mod braintree;
mod contentful;
mod dropbox_sign;
mod form;
mod mandrill;
mod plivo;
mod sign;
mod twilio;
mod url;

use super::encoding::Encoding;
use super::head::Head;
use super::mac;
use super::named::named;
use super::public_url;
use super::secret;
use super::trace::{self, Step};
use super::{Refusal, Request, Secret, SecretEncoding, SecretError, SecretForm, SpecError, Window};
use crate::pointer::Pointer;
use crate::verify::Digest;
use http::HeaderName;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use std::borrow::Cow;
use std::slice::from_ref;
use subtle::{Choice, ConstantTimeEq as _};

named! {
    /// Who signs that way.
    Code {
        AdyenStandard = "adyen-standard",
        Braintree = "braintree",
        Contentful = "contentful",
        DropboxSign = "dropbox-sign",
        Mandrill = "mandrill",
        Plivo = "plivo",
        PlivoV2 = "plivo-v2",
        Twilio = "twilio",
    }
}

/// Signatures of one header that are looked at.
const SIGNATURES: usize = 32;

/// What a request says of itself.
#[derive(Debug)]
struct Claim {
    /// What may have been signed, in the spellings that the sender uses.
    contents: Vec<Vec<u8>>,
    /// Any of these may be right. Each is as long as the digest.
    signatures: Vec<Vec<u8>>,
}

/// A code, with the URL that the sender calls.
#[derive(Debug)]
pub struct Coded {
    code: Code,
    /// Scheme, host and path; the query is taken from the request.
    public_url: String,
}

impl Code {
    /// Whether the URL that the sender calls is part of what it signs.
    pub(super) fn signs_url(self) -> bool {
        matches!(self, Self::Mandrill | Self::Plivo | Self::PlivoV2 | Self::Twilio)
    }

    /// The headers that hold signatures.
    fn headers(self) -> &'static [HeaderName] {
        match self {
            Self::AdyenStandard | Self::Braintree | Self::DropboxSign => &[],
            Self::Contentful => from_ref(&contentful::SIGNATURE),
            Self::Mandrill => from_ref(&mandrill::SIGNATURE),
            Self::Plivo => &plivo::SIGNATURES,
            Self::PlivoV2 => &plivo::SIGNATURES_V2,
            Self::Twilio => from_ref(&twilio::SIGNATURE),
        }
    }

    fn digest(self) -> Digest {
        match self {
            Self::Braintree | Self::Mandrill | Self::Twilio => Digest::Sha1,
            _ => Digest::Sha256,
        }
    }

    fn tag(self, key: &[u8], content: &[u8]) -> Vec<u8> {
        match self {
            Self::Braintree => mac::tag(self.digest(), &Sha1::digest(key), content),
            _ => mac::tag(self.digest(), key, content),
        }
    }
}

impl Coded {
    pub(super) fn new(code: Code, public_url: Option<&str>) -> Result<Self, SpecError> {
        let public_url = match public_url {
            None if !code.signs_url() => "",
            url => public_url::needed(url)?,
        };
        Ok(Self { code, public_url: public_url.to_owned() })
    }

    pub(super) fn secret(&self, text: &str, window: Window) -> Result<Secret, SecretError> {
        let encoding = match self.code {
            Code::AdyenStandard => SecretEncoding::Hex,
            _ => SecretEncoding::Utf8,
        };
        Secret::new(text, &SecretForm { encoding, strip_prefix: Vec::new() }, window)
    }

    /// Refuses a request whose headers hold no signature in the right form.
    pub(super) fn precheck(&self, head: Head<'_>) -> Result<(), Refusal> {
        if self.code.headers().is_empty() { Ok(()) } else { self.code.offered(head).map(drop) }
    }

    /// Which of the secrets signed the request.
    pub(super) fn verify(
        &self,
        secrets: &[Secret],
        request: &Request,
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        let claims = self.claims(request, now_unix_ms);
        if let Err(refusal) = &claims {
            let unmade = || Step::new("signed text", self.code.name(), refusal.to_string(), false);
            trace::tell(unmade);
        }
        let mut verdict = Err(Refusal::MissingSignature);
        for claim in claims? {
            verdict = Ok(self.matching(secrets, &claim, now_unix_ms)?);
        }
        verdict
    }

    /// A text under the secret that verified a request, or else under the first in force.
    pub(super) fn prove(
        &self,
        secrets: &[Secret],
        text: &[u8],
        index: Option<usize>,
        now_unix_ms: i64,
    ) -> Option<Vec<u8>> {
        let secret = match index {
            Some(index) => secrets.get(index),
            None => secret::in_force(secrets, now_unix_ms, Secret::window).ok(),
        };
        secret.map(|secret| self.code.tag(secret.key(), text))
    }

    /// Whether what stands at that place of the body is signed. Of a form, names and values are
    /// signed behind each other, so that one may end anywhere, and the next begin there.
    pub(super) fn covers(&self, pointer: &Pointer) -> bool {
        match self.code {
            Code::Contentful => true,
            Code::AdyenStandard => adyen::covers(pointer),
            Code::Braintree => braintree::covers(pointer),
            Code::DropboxSign | Code::Mandrill | Code::Plivo | Code::PlivoV2 | Code::Twilio => {
                false
            }
        }
    }

    /// What is signed of the body; all of it where that would not tell an event from others.
    pub(super) fn body<'a>(&self, request: &'a Request) -> Result<Cow<'a, [u8]>, Refusal> {
        let text = match (self.code, form::fields(request)?) {
            (Code::Braintree, Some(fields)) => braintree::payload(&fields)?.to_owned(),
            (Code::Mandrill | Code::Plivo, Some(fields)) => form::sorted(fields),
            (Code::Twilio, Some(fields)) => twilio::unique(fields),
            _ => String::new(),
        };
        let is_part = !text.is_empty();
        Ok(if is_part { Cow::Owned(text.into_bytes()) } else { Cow::Borrowed(&request.body) })
    }

    /// The names of the headers that hold signatures.
    pub(super) fn signature_names(&self) -> impl Iterator<Item = &'static str> {
        self.code.headers().iter().map(HeaderName::as_str)
    }

    fn claims(&self, request: &Request, now_unix_ms: i64) -> Result<Vec<Claim>, Refusal> {
        let url = &self.public_url;
        let claim = match self.code {
            Code::AdyenStandard => return adyen::claims(request),
            Code::Braintree => braintree::claim(request),
            Code::Contentful => {
                contentful::claim(request, url::path(url, &request.target), now_unix_ms)
            }
            Code::DropboxSign => dropbox_sign::claim(request),
            Code::Mandrill => mandrill::claim(request, url),
            Code::Plivo => plivo::claim(request, url),
            Code::PlivoV2 => plivo::claim_v2(request, url),
            Code::Twilio => twilio::claim(request, url),
        };
        claim.map(|claim| vec![claim])
    }

    /// Each secret is tried with every content and signature.
    fn matching(
        &self,
        secrets: &[Secret],
        claim: &Claim,
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        for content in &claim.contents {
            trace::tell(|| {
                let hash = hex::encode(Sha256::digest(content));
                let found = format!("{} bytes, SHA-256 {hash}", content.len());
                Step::new("signed text", self.code.name(), found, true)
            });
        }
        secret::matching(secrets, now_unix_ms, Secret::window, |secret| {
            let tags = claim.contents.iter().map(|text| self.code.tag(secret.key(), text));
            let hit = |hit: Choice, tag: Vec<u8>| {
                claim.signatures.iter().fold(hit, |hit, offered| hit | offered.ct_eq(&tag))
            };
            tags.fold(Choice::from(0), hit).into()
        })
    }
}

impl Code {
    /// The signatures in these headers, which hold one each, or several behind commas.
    fn offered(self, head: Head<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
        let encoding = if self == Self::Contentful { Encoding::Hex } else { Encoding::Base64 };
        let several = matches!(self, Self::Plivo | Self::PlivoV2);
        let (mut found, mut decoded) = (false, Vec::new());
        for name in self.headers() {
            let Some(text) = head.header(name)? else { continue };
            found = true;
            let before = decoded.len();
            let items = text.split(|c| several && c == ',').take(SIGNATURES);
            let bytes = items.filter_map(|item| encoding.decode(item.trim_matches([' ', '\t'])));
            let length = self.digest().length();
            decoded.extend(bytes.filter(|bytes| bytes.len() == length));
            trace::tell(|| {
                let (form, seen) = (encoding.name(), trace::glimpse(text));
                let expected = format!("{length} bytes in {form}");
                Step::new(format!("header {name}"), expected, seen, decoded.len() > before)
            });
        }
        match (found, decoded.is_empty()) {
            (false, _) => Err(Refusal::MissingSignature),
            (true, true) => Err(Refusal::MalformedSignature),
            (true, false) => Ok(decoded),
        }
    }
}
