//! HMAC schemes: most of the world's webhooks, as data.

mod content;
mod keyring;
mod layout;
mod place;
mod signature;
mod spec;
mod timestamp;

pub(super) use keyring::Keyring;
pub use spec::{
    Digest, HmacSpec, LayoutSpec, SignatureAt, SignatureSpec, TimeFormat, TimestampAt,
    TimestampSpec,
};

use self::layout::Layout;
use self::place::{header_name, set_header};
use super::head::Head;
use super::{Refusal, Request, Secret, SecretEncoding, SecretForm, SpecError, Unsignable};
use http::{HeaderMap, HeaderName};

/// A checked HMAC scheme.
#[derive(Debug)]
pub struct Hmac {
    digest: Digest,
    layout: Layout,
    alias: Option<Layout>,
    require_headers: Vec<(HeaderName, String)>,
    secret_encoding: SecretEncoding,
    strip_prefix: Option<String>,
}

impl Hmac {
    pub fn new(spec: &HmacSpec<'_>) -> Result<Self, SpecError> {
        let required = |(name, value): &(&str, &str)| {
            Ok((header_name("require_headers", name)?, (*value).to_owned()))
        };
        Ok(Self {
            digest: spec.digest,
            layout: Layout::new(&spec.layout, spec)?,
            alias: spec.alias.map(|alias| Layout::new(&alias, spec)).transpose()?,
            require_headers: spec.require_headers.iter().map(required).collect::<Result<_, _>>()?,
            secret_encoding: spec.secret.encoding,
            strip_prefix: spec.secret.strip_prefix.map(str::to_owned),
        })
    }

    pub(super) fn keyring(&self, secrets: Vec<Secret>) -> Keyring {
        Keyring::new(self.digest, secrets)
    }

    pub(super) fn secret_form(&self) -> SecretForm<'_> {
        SecretForm { encoding: self.secret_encoding, strip_prefix: self.strip_prefix.as_deref() }
    }

    pub(super) fn signature_names(&self) -> impl Iterator<Item = &str> {
        self.layouts().flat_map(Layout::signature_names)
    }

    /// A header of either layout is signed in every request that has it: see [`Self::present`].
    pub(super) fn covers_header(&self, name: &HeaderName) -> bool {
        self.layouts().any(|layout| layout.covers_header(name))
    }

    pub(super) fn covers_body(&self) -> bool {
        self.layouts().all(Layout::covers_body)
    }

    pub(super) fn precheck(&self, head: Head<'_>) -> Result<(), Refusal> {
        self.check_required(head)?;
        self.present(head.headers).try_for_each(|layout| layout.precheck(head))
    }

    /// Which of `keys` signed the request.
    pub(super) fn verify(
        &self,
        keys: &Keyring,
        request: &Request,
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        self.check_required(Head { headers: &request.headers, target: &request.target })?;
        let mut verdict = Err(Refusal::MissingSignature);
        for layout in self.present(&request.headers) {
            let claim = layout.claim(request, now_unix_ms)?;
            verdict = Ok(keys.matching(&claim.content, &claim.signatures, now_unix_ms)?);
        }
        verdict
    }

    /// Signs in the main layout with the first of `keys` in force.
    pub(super) fn sign(
        &self,
        keys: &Keyring,
        request: &mut Request,
        id: &str,
        now_unix_ms: i64,
    ) -> Result<(), Unsignable> {
        for (name, value) in &self.require_headers {
            set_header(request, name, value)?;
        }
        self.layout.sign(keys, request, id, now_unix_ms)
    }

    fn layouts(&self) -> impl Iterator<Item = &Layout> {
        std::iter::once(&self.layout).chain(&self.alias)
    }

    /// The layouts that the request uses, the main one if it uses none. One header makes a
    /// layout used, and each used one must verify whole: so no header of an unused layout can be
    /// slipped into a captured request.
    fn present(&self, headers: &HeaderMap) -> impl Iterator<Item = &Layout> {
        let alias = self.alias.as_ref().filter(|alias| alias.is_touched(headers));
        let main = Some(&self.layout).filter(|main| alias.is_none() || main.is_touched(headers));
        main.into_iter().chain(alias)
    }

    fn check_required(&self, head: Head<'_>) -> Result<(), Refusal> {
        for (name, value) in &self.require_headers {
            match head.header(name)? {
                Some(found) if found == value => {}
                Some(_) => return Err(Refusal::WrongValue(format!("header {name}"))),
                None => return Err(Refusal::Missing(format!("header {name}"))),
            }
        }
        Ok(())
    }
}
