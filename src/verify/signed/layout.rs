//! One family of header names: where it has the signature, and what that signs.

use super::content::{self, Content, Piece, Terms};
use super::keyring::Keyring;
use super::signature::Signature;
use super::spec::{Algorithm, LayoutSpec, SignedSpec};
use super::timestamp::Timestamp;
use crate::verify::head::Head;
use crate::verify::place::{Facts, Place, put};
use crate::verify::secret::Family;
use crate::verify::trace::{self, Step};
use crate::verify::{Refusal, Request, SpecError, Unsignable};
use http::{HeaderMap, HeaderName, Method};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

#[derive(Debug)]
pub(super) struct Layout {
    signature: Signature,
    timestamp: Option<Timestamp>,
    content: Content,
    template: String,
}

/// How many groups of fields of one request are looked at.
const MAX_GROUPS: usize = 4;

impl Layout {
    pub fn new(
        spec: &LayoutSpec,
        scheme: &SignedSpec,
        public_url: Option<&str>,
    ) -> Result<Self, SpecError> {
        let signature = Signature::new(&spec.signature, scheme)?;
        let has_fields = signature.has_fields();
        let timestamp = spec.timestamp.as_ref();
        let timestamp = timestamp.map(|spec| Timestamp::new(spec, has_fields)).transpose()?;
        let place = timestamp.as_ref().map(|timestamp| &timestamp.place);
        let (body, url) = (scheme.body_transform, scheme.url_transform);
        let terms = Terms { timestamp: place, has_fields, public_url, body, url };
        let content = Content::parse(&spec.content, &terms)?;
        if let (Some(spec), Some(place)) = (&spec.timestamp, place)
            && spec.signed
            && spec.tolerance.is_some()
            && !content.covers(place)
        {
            return Err(SpecError::new(
                "timestamp.signed",
                "`content` leaves the timestamp out, so anyone could renew it; `signed = false` acknowledges that",
            ));
        }
        check_secret(&content, scheme.algorithm)?;
        check_apart(&content, &signature)?;
        Ok(Self { signature, timestamp, content, template: spec.content.clone() })
    }

    /// Forgets the families that no secret is for.
    pub fn keep(&mut self, has_keys: impl Fn(Family) -> bool) {
        self.signature.keep(has_keys);
    }

    pub fn signature_names(&self) -> impl Iterator<Item = &str> {
        self.signature.names()
    }

    pub fn covers_header(&self, name: &HeaderName) -> bool {
        self.content.covers_header(name)
    }

    pub fn covers_body(&self) -> bool {
        self.content.covers_body()
    }

    /// Whether any of its headers is in the request.
    pub fn is_touched(&self, headers: &HeaderMap) -> bool {
        let timestamp = self.timestamp.iter().map(|timestamp| &timestamp.place);
        let mut named = self.content.places().chain(timestamp).filter_map(|place| match place {
            Place::Header(name) => Some(name),
            _ => None,
        });
        named.any(|name| headers.contains_key(name))
            || self.signature.headers().any(|name| headers.contains_key(name))
    }

    /// Checks all that is outside the body, but for age and match.
    pub fn precheck(&self, head: Head<'_>) -> Result<(), Refusal> {
        self.any_group(head, |fields| {
            let facts = Facts { method: &Method::POST, head, fields, body: &[] };
            if !self.signature.is_in_body() {
                self.signature.offered(&facts)?;
            }
            if let Some(timestamp) = &self.timestamp
                && !timestamp.place.is_in_body()
            {
                timestamp.read(&facts)?;
            }
            let mut outside = self.content.places().filter(|place| !place.is_in_body());
            outside.try_for_each(|place| facts.need(place).map(drop))
        })
    }

    /// Which of `keys` signed the request, if it is of now. `body` is the one that is signed.
    pub fn verify(
        &self,
        keys: &Keyring,
        request: &Request,
        body: &[u8],
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        let head = Head { headers: &request.headers, target: &request.target };
        self.any_group(head, |fields| {
            let facts = Facts { method: &request.method, head, fields, body };
            let signatures = self.signature.offered(&facts)?;
            if let Some(timestamp) = &self.timestamp {
                timestamp.check(&facts, now_unix_ms)?;
            }
            let content = self.content.fill(&facts);
            trace::tell(|| self.step(&content));
            keys.matching(&content?, &signatures, now_unix_ms)
        })
    }

    /// What `read` makes of the first group of fields that it accepts, else of the last.
    fn any_group<'a, T>(
        &'a self,
        head: Head<'a>,
        read: impl Fn(Vec<(&'a str, &'a str)>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut verdict = Err(Refusal::MissingSignature);
        for fields in self.signature.groups(head)?.into_iter().take(MAX_GROUPS) {
            verdict = read(fields);
            if verdict.is_ok() {
                break;
            }
        }
        verdict
    }

    /// The timestamp as the request has it.
    pub fn timestamp_text(&self, request: &Request) -> Option<String> {
        let head = Head { headers: &request.headers, target: &request.target };
        let fields = self.signature.groups(head).ok()?.into_iter().next()?;
        let facts = Facts { method: &request.method, head, fields, body: &request.body };
        let place = &self.timestamp.as_ref()?.place;
        facts.find(place).ok().flatten().map(Cow::into_owned)
    }

    /// Where the secret is in the signed text, the text's digest may be the signature itself.
    fn step(&self, content: &Result<Vec<Piece<'_>>, Refusal>) -> Step {
        let found = match content {
            Ok(pieces) => {
                let text = content::bare(pieces);
                let but = if self.content.has_secret() { " beside the secret" } else { "" };
                format!("{} bytes{but}, SHA-256 {}", text.len(), hex::encode(Sha256::digest(&text)))
            }
            Err(refusal) => refusal.to_string(),
        };
        Step::new("signed text", &self.template, found, content.is_ok())
    }

    /// Adds what the sender adds: the time, an id wherever one is signed and missing, and the
    /// signature of it all.
    pub fn sign(
        &self,
        keys: &Keyring,
        request: &mut Request,
        id: &str,
        now_unix_ms: i64,
    ) -> Result<(), Unsignable> {
        let signature_at = self.signature_place()?;
        let now = self.timestamp.as_ref().map(|timestamp| timestamp.write(now_unix_ms));
        let timed = self.timestamp.iter().map(|timestamp| &timestamp.place).zip(now.as_deref());
        let signed = self.content.places().map(|place| (place, id));
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for (place, text) in timed.chain(signed) {
            match place {
                Place::Field(key) if fields.iter().any(|(known, _)| known == key) => {}
                Place::Field(key) => fields.push((key, text)),
                place if facts(request, Vec::new()).find(place)?.is_some() => {}
                place => put(request, place, text)?,
            }
        }
        let content = self.content.fill(&facts(request, fields.clone()))?;
        let tag = keys.sign(&content, now_unix_ms)?;
        put(request, &signature_at, &self.signature.write(&tag, &fields))
    }

    /// Where a sender writes the signature: not into what it signs.
    fn signature_place(&self) -> Result<Place, Unsignable> {
        match self.signature.place() {
            Some(Place::Body(_)) if self.content.reads_body() => Err(Unsignable::Place("body")),
            Some(Place::Query(_)) if self.content.covers_url() => Err(Unsignable::Place("query")),
            Some(place) => Ok(place),
            None => Err(Unsignable::Place("headers")),
        }
    }
}

fn facts<'a>(request: &'a Request, fields: Vec<(&'a str, &'a str)>) -> Facts<'a> {
    let head = Head { headers: &request.headers, target: &request.target };
    Facts { method: &request.method, head, fields, body: &request.body }
}

/// Refuses a content that would have to hold its own signature.
fn check_apart(content: &Content, signature: &Signature) -> Result<(), SpecError> {
    let mut own = signature.headers().cloned().map(Place::Header).chain(signature.place());
    if own.any(|own| content.places().any(|place| *place == own)) {
        let problem = "the place of the signature cannot be part of what is signed";
        return Err(SpecError::new("content", problem));
    }
    Ok(())
}

/// A plain digest proves nothing without the secret in it, and a public key is no secret.
fn check_secret(content: &Content, algorithm: Algorithm) -> Result<(), SpecError> {
    let problem = match algorithm {
        Algorithm::Hash(_) if !content.has_secret() => {
            "a plain digest without `{secret}` in its content is one that anyone can make"
        }
        Algorithm::Ed25519 | Algorithm::EcdsaP256(_) | Algorithm::RsaSha256
            if content.has_secret() =>
        {
            "`{secret}` has no place in it: a public key is no secret"
        }
        _ => return Ok(()),
    };
    Err(SpecError::new("content", problem))
}
