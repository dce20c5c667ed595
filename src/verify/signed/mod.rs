//! Schemes that sign a text: most of the world's webhooks, as data.

mod body;
mod content;
mod keyring;
mod layout;
mod signature;
mod spec;
mod timestamp;
mod url;

pub(super) use keyring::Keyring;
pub use spec::{
    Algorithm, BodyTransform, EcdsaForm, LayoutSpec, OtherSpec, SignatureAt, SignatureSpec,
    SignedBody, SignedSpec, TimeFormat, TimestampAt, TimestampSpec, UrlTransform,
};

use self::layout::Layout;
use super::head::Head;
use super::place::{header_name, set_header};
use super::secret::Family;
use super::trace::{self, Step};
use super::{
    Refusal, Request, Secret, SecretEncoding, SecretError, SecretForm, SpecError, Unsignable,
    Window,
};
use crate::text::printable;
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// A checked scheme that signs a text.
#[derive(Debug)]
pub struct Signed {
    layout: Layout,
    alias: Option<Layout>,
    require_headers: Vec<(HeaderName, String)>,
    signed_body: SignedBody,
    main: (Algorithm, SecretForm),
    other: Option<(Algorithm, SecretForm)>,
}

impl Signed {
    /// `public_url` is needed where the URL is signed, and unused elsewhere.
    pub fn new(spec: &SignedSpec, public_url: Option<&str>) -> Result<Self, SpecError> {
        let required = |(name, value): &(String, String)| {
            Ok((header_name("require_headers", name)?, value.clone()))
        };
        let layout = |layout: &LayoutSpec| Layout::new(layout, spec, public_url);
        let alias = spec.header_alias.as_ref().map(|names| spec.layout.renamed(names));
        check_form("secret", spec.algorithm, &spec.secret)?;
        if let Some(other) = &spec.or {
            check_form("or.secret", other.algorithm, &other.secret)?;
            let prefixes = &other.secret.strip_prefix;
            if prefixes.is_empty() || prefixes.iter().any(String::is_empty) {
                let problem = "needs a `strip_prefix`, by which its secrets are known";
                return Err(SpecError::new("or.secret", problem));
            }
        }
        Ok(Self {
            layout: layout(&spec.layout)?,
            alias: alias.map(|alias| layout(&alias)).transpose()?,
            require_headers: spec.require_headers.iter().map(required).collect::<Result<_, _>>()?,
            signed_body: spec.signed_body,
            main: (spec.algorithm, spec.secret.clone()),
            other: spec.or.as_ref().map(|other| (other.algorithm, other.secret.clone())),
        })
    }

    /// Reads a secret. One with the prefix of the other way to sign is for that.
    pub(super) fn secret(&self, text: &str, window: Window) -> Result<Secret, SecretError> {
        let is_other = |(_, form): &&(Algorithm, SecretForm)| form.strip(text).is_some();
        let (family, (algorithm, form)) = match self.other.as_ref().filter(is_other) {
            Some(other) => (Family::Other, other),
            None => (Family::Main, &self.main),
        };
        let secret = Secret::new(text, form, window)?.of(family);
        keyring::check_key(*algorithm, secret.key())?;
        Ok(secret)
    }

    /// The keys that these secrets are. What no secret is for is from now on no signature.
    pub(super) fn bind(&mut self, secrets: Vec<Secret>) -> Result<Keyring, SecretError> {
        let algorithm = |family| match (family, &self.other) {
            (Family::Other, Some((algorithm, _))) => *algorithm,
            _ => self.main.0,
        };
        let keys = Keyring::new(secrets, algorithm)?;
        for layout in std::iter::once(&mut self.layout).chain(&mut self.alias) {
            layout.keep(|family| keys.has(family));
        }
        Ok(keys)
    }

    /// The timestamp as the request has it.
    pub(super) fn timestamp(&self, request: &Request) -> Option<String> {
        self.present(&request.headers).find_map(|layout| layout.timestamp_text(request))
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

    /// The body that is signed.
    pub(super) fn body<'a>(&self, request: &'a Request) -> Result<Cow<'a, [u8]>, Refusal> {
        body::signed(request, self.signed_body)
    }

    /// Which of `keys` signed the request.
    pub(super) fn verify(
        &self,
        keys: &Keyring,
        request: &Request,
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        self.check_required(Head { headers: &request.headers, target: &request.target })?;
        let body = self.body(request)?;
        let mut verdict = Err(Refusal::MissingSignature);
        for layout in self.present(&request.headers) {
            verdict = Ok(layout.verify(keys, request, &body, now_unix_ms)?);
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
            let found = head.header(name)?;
            trace::tell(|| {
                let shown = found.map_or("nothing".into(), printable);
                Step::new(format!("header {name}"), value, shown, found == Some(value))
            });
            match found {
                Some(found) if found == value => {}
                Some(_) => return Err(Refusal::WrongValue(format!("header {name}"))),
                None => return Err(Refusal::Missing(format!("header {name}"))),
            }
        }
        Ok(())
    }
}

/// A public key is never text of its own.
fn check_form(
    field: &'static str,
    algorithm: Algorithm,
    form: &SecretForm,
) -> Result<(), SpecError> {
    let is_shared = matches!(algorithm, Algorithm::Hmac(_) | Algorithm::Hash(_));
    if is_shared || form.encoding != SecretEncoding::Utf8 {
        return Ok(());
    }
    let problem = "say how the public key is written: \"pem\", \"spki-der-base64\", \"hex\", \"base64\" or \"base64url\"";
    Err(SpecError::new(field, problem))
}
