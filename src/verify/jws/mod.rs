//! JSON Web Signatures: a token in a header, with the hash of the body or without.

mod claims;
mod sign;
mod spec;
mod token;

pub use spec::{Alg, BodyHash, JwsSpec, KeysAt};

use self::claims::Rules;
use self::spec::Kind;
use self::token::Token;
use super::asymmetric::{self, NamedKey};
use super::fetched::{self, Look, Store, Want};
use super::head::Head;
use super::mac;
use super::public_key::Signing;
use super::secret;
use super::trace::{self, Step};
use super::with::With;
use super::{Refusal, Request, Secret, SecretError, SecretForm, SpecError, Window};
use crate::text::printable;
use crate::verify::Digest;
use http::HeaderName;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

/// Bytes of a key's name at the most.
const KEY_ID_BYTES: usize = 256;
const KEY_ID: &str = "kid of the token";

/// A checked scheme of that kind.
#[derive(Debug)]
pub struct Jws {
    header: HeaderName,
    prefixes: Vec<String>,
    alg: Alg,
    secret: SecretForm,
    rules: Rules,
    keys: Option<KeysAt>,
}

/// What verifies tokens.
#[derive(Debug)]
pub(super) enum Keys {
    Shared(Digest, Vec<Secret>),
    /// The keys that each secret holds.
    Public(Signing, Vec<(Window, Vec<NamedKey>)>),
    Fetched(Signing, KeysAt, Store),
}

impl Jws {
    /// `with` is what stands for the names in braces. Who has secrets fetches no keys.
    pub(super) fn new(spec: &JwsSpec, with: &With, has_secrets: bool) -> Result<Self, SpecError> {
        let issuers = spec.issuers.iter().map(|text| with.fill_open(text));
        let issuers: Vec<_> = issuers.collect::<Result<_, _>>()?;
        let audience = spec.audience.as_deref().map(|text| with.fill_open(text)).transpose()?;
        let claim = |(name, value): &(String, Value)| {
            let value = match value {
                Value::String(text) => Value::from(with.fill(text)?),
                other => other.clone(),
            };
            Ok((name.clone(), value))
        };
        let keys = |at: &KeysAt| {
            let url = with.fill(&at.url)?;
            let post = at.post.as_deref().map(|text| with.fill_json(text)).transpose()?;
            Ok(KeysAt { url, post })
        };
        if spec.keys.is_some() && matches!(spec.alg.kind(), Kind::Shared(_)) {
            let problem =
                "a shared secret cannot be fetched: leave it out, or choose another `alg`";
            return Err(SpecError::new("jwks_url", problem));
        }
        Ok(Self {
            header: spec.header.parse().map_err(|_| {
                SpecError::new(
                    "signature.header",
                    format!("`{}` is not the name of a header", spec.header),
                )
            })?,
            prefixes: spec.prefixes.clone(),
            alg: spec.alg,
            secret: spec.secret.clone(),
            rules: Rules {
                issuers: issuers.into_iter().flatten().collect(),
                audience: audience.flatten(),
                equal: spec.claims.iter().map(claim).collect::<Result<_, _>>()?,
                body: spec.body.clone(),
                expires: spec.expires,
                max_age: spec.max_age,
            },
            keys: spec.keys.as_ref().filter(|_| !has_secrets).map(keys).transpose()?,
        })
    }

    /// A shared secret, or the text of public keys.
    pub(super) fn secret(&self, text: &str, window: Window) -> Result<Secret, SecretError> {
        if matches!(self.alg.kind(), Kind::Shared(_)) {
            return Secret::new(text, &self.secret, window);
        }
        if asymmetric::read(text.as_bytes()).is_empty() {
            return Err(SecretError::Undecodable("a public key in PEM, or a JSON Web Key"));
        }
        Secret::new(text, &SecretForm::VERBATIM, window)
    }

    /// Whether the source's secrets are what verifies.
    pub(super) fn needs_secrets(&self) -> bool {
        self.keys.is_none()
    }

    pub(super) fn bind(&self, secrets: Vec<Secret>) -> Keys {
        match (self.alg.kind(), &self.keys) {
            (Kind::Shared(digest), _) => Keys::Shared(digest, secrets),
            (Kind::Pair(signing), Some(at)) => Keys::Fetched(signing, at.clone(), Store::default()),
            (Kind::Pair(signing), None) => {
                let keys = |secret: &Secret| (secret.window(), asymmetric::read(secret.key()));
                Keys::Public(signing, secrets.iter().map(keys).collect())
            }
        }
    }

    pub(super) fn precheck(&self, head: Head<'_>) -> Result<(), Refusal> {
        self.token(head).map(drop)
    }

    /// What must be fetched before the request can be verified.
    pub(super) fn want(
        &self,
        keys: &Keys,
        head: Head<'_>,
        now_ms: i64,
    ) -> Result<Option<Want>, Refusal> {
        let Keys::Fetched(_, at, store) = keys else { return Ok(None) };
        let token = self.token(head)?;
        let want = at.want(token.key_id.as_deref())?;
        match store.look(&want, |key| token.may_be_of(key), now_ms)? {
            Look::Have(_) => Ok(None),
            Look::Fetch => Ok(Some(want)),
        }
    }

    /// Which secret signed the token; `None`: a key that was fetched.
    pub(super) fn verify(
        &self,
        keys: &Keys,
        request: &Request,
        now_ms: i64,
    ) -> Result<Option<usize>, Refusal> {
        let token = self.token(Head { headers: &request.headers, target: &request.target })?;
        let index = match keys {
            Keys::Shared(digest, secrets) => {
                Some(secret::matching(secrets, now_ms, Secret::window, |secret| {
                    mac::tag(*digest, secret.key(), token.signed).ct_eq(&token.tag).into()
                })?)
            }
            Keys::Public(signing, sets) => Some(secret::matching(
                sets,
                now_ms,
                |(window, _)| *window,
                |(_, keys)| token.is_signed(*signing, keys),
            )?),
            Keys::Fetched(signing, at, store) => {
                let want = at.want(token.key_id.as_deref())?;
                let found = store.look(&want, |key| token.may_be_of(key), now_ms);
                let verdict = fetched::verdict(found, |keys| token.is_signed(*signing, keys));
                verdict.map(|()| None)?
            }
        };
        self.rules.check(&token.payload, &request.body, now_ms)?;
        Ok(index)
    }

    /// Where the token stands.
    pub(super) fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Whether all keys are fetched as one set.
    pub(super) fn has_key_set(&self) -> bool {
        self.keys.as_ref().is_some_and(|at| at.post.is_none())
    }

    pub(super) fn covers_body(&self) -> bool {
        self.rules.body.is_some()
    }

    /// The token, which says that it is signed as it must be.
    fn token<'a>(&self, head: Head<'a>) -> Result<Token<'a>, Refusal> {
        let token = self.read(head);
        trace::tell(|| self.step(&token));
        token
    }

    fn step(&self, token: &Result<Token<'_>, Refusal>) -> Step {
        let prefixes = self.prefixes.iter().filter(|prefix| !prefix.is_empty());
        let prefixes: Vec<_> = prefixes.map(|prefix| format!("`{prefix}`, then ")).collect();
        let expected = format!("{}a token, signed with {}", prefixes.join("or "), self.alg.name());
        let found = match token.as_ref().map(|token| token.key_id.as_deref()) {
            Ok(Some(id)) => format!("such a token, of the key `{}`", printable(id)),
            Ok(None) => "such a token, of a key without a name".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        Step::new(format!("header {}", self.header), expected, found, token.is_ok())
    }

    fn read<'a>(&self, head: Head<'a>) -> Result<Token<'a>, Refusal> {
        let text = head.header(&self.header)?.ok_or(Refusal::MissingSignature)?;
        let mut bare = self.prefixes.iter().filter_map(|prefix| text.strip_prefix(prefix.as_str()));
        let token = bare.find_map(Token::parse).ok_or(Refusal::MalformedSignature)?;
        if token.alg != self.alg.name() {
            return Err(Refusal::WrongValue("alg of the token".to_owned()));
        }
        match &token.key_id {
            Some(id) if id.len() > KEY_ID_BYTES => Err(Refusal::WrongValue(KEY_ID.to_owned())),
            _ => Ok(token),
        }
    }
}

impl KeysAt {
    fn want(&self, key_id: Option<&str>) -> Result<Want, Refusal> {
        let Some(post) = &self.post else {
            return Ok(Want { url: self.url.clone(), post: None });
        };
        let id = key_id.ok_or_else(|| Refusal::Missing(KEY_ID.to_owned()))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !id.bytes().all(is_plain) {
            return Err(Refusal::WrongValue(KEY_ID.to_owned()));
        }
        Ok(Want { url: self.url.clone(), post: Some(post.replace("{kid}", id)) })
    }
}

impl Token<'_> {
    /// Whether the key may have signed it, by their names.
    fn may_be_of(&self, key: &NamedKey) -> bool {
        match (&self.key_id, &key.id) {
            (Some(named), Some(id)) => named == id,
            _ => true,
        }
    }

    /// Whether one of these keys has signed it.
    fn is_signed(&self, signing: Signing, keys: &[NamedKey]) -> bool {
        let mut keys = keys.iter().filter(|key| self.may_be_of(key));
        keys.any(|key| key.key.has_signed(signing, self.signed, &self.tag))
    }
}
