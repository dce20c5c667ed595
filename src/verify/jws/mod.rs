//! JSON Web Signatures: a token in a header, with the hash of the body or without.

mod claims;
mod sign;
mod spec;
mod token;

pub use spec::{Alg, BodyHash, JwsSpec, KeysAt};

use self::claims::Rules;
use self::token::Token;
use super::asymmetric::{self, NamedKey};
use super::fetched::{Look, Store, Want};
use super::head::Head;
use super::with::With;
use super::{Refusal, Request, Secret, SecretError, SecretForm, SpecError, Window};
use ::hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderName;
use serde_json::Value;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

/// Bytes of a key's name at the most.
const KEY_ID_BYTES: usize = 256;

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
    Shared(Vec<Secret>),
    /// The keys that each secret holds.
    Public(Vec<(Window, Vec<NamedKey>)>),
    Fetched(Store),
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
        if spec.keys.is_some() && spec.alg.signing().is_none() {
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
        if self.alg.signing().is_none() {
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
        match self.alg.signing() {
            None => Keys::Shared(secrets),
            Some(_) if secrets.is_empty() => Keys::Fetched(Store::default()),
            Some(_) => Keys::Public(
                secrets.iter().map(|s| (s.window(), asymmetric::read(s.key()))).collect(),
            ),
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
        let (Keys::Fetched(store), Some(at)) = (keys, &self.keys) else { return Ok(None) };
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
        let index = match (keys, &self.keys) {
            (Keys::Shared(secrets), _) => Some(self.shared(secrets, &token, now_ms)?),
            (Keys::Public(sets), _) => Some(self.public(sets, &token, now_ms)?),
            (Keys::Fetched(store), Some(at)) => {
                self.fetched(store, at, &token, now_ms)?;
                None
            }
            (Keys::Fetched(_), None) => return Err(Refusal::NoSecretInForce),
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
        let text = head.header(&self.header)?.ok_or(Refusal::MissingSignature)?;
        let mut bare = self.prefixes.iter().filter_map(|prefix| text.strip_prefix(prefix.as_str()));
        let token = bare.find_map(Token::parse).ok_or(Refusal::MalformedSignature)?;
        let is_pinned = token.alg == self.alg.name();
        let fits = token.key_id.as_ref().is_none_or(|id| id.len() <= KEY_ID_BYTES);
        if is_pinned && fits {
            Ok(token)
        } else {
            Err(Refusal::WrongValue("alg of the token".into()))
        }
    }

    fn shared(&self, secrets: &[Secret], token: &Token<'_>, now_ms: i64) -> Result<usize, Refusal> {
        first(secrets, now_ms, Secret::window, |secret| {
            bool::from(self.alg.tag(secret.key(), token.signed).ct_eq(&token.tag))
        })
    }

    fn public(
        &self,
        sets: &[(Window, Vec<NamedKey>)],
        token: &Token<'_>,
        now_ms: i64,
    ) -> Result<usize, Refusal> {
        first(sets, now_ms, |(window, _)| *window, |(_, keys)| self.any_signed(keys, token))
    }

    fn fetched(
        &self,
        store: &Store,
        at: &KeysAt,
        token: &Token<'_>,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let want = at.want(token.key_id.as_deref())?;
        match store.look(&want, |key| token.may_be_of(key), now_ms)? {
            Look::Have(keys) if self.any_signed(&keys, token) => Ok(()),
            Look::Have(_) => Err(Refusal::Mismatch),
            Look::Fetch => Err(Refusal::KeyUnavailable),
        }
    }

    fn any_signed(&self, keys: &[NamedKey], token: &Token<'_>) -> bool {
        let Some(signing) = self.alg.signing() else { return false };
        let mut keys = keys.iter().filter(|key| token.may_be_of(key));
        keys.any(|key| key.key.has_signed(signing, token.signed, &token.tag))
    }
}

impl KeysAt {
    fn want(&self, key_id: Option<&str>) -> Result<Want, Refusal> {
        let Some(post) = &self.post else {
            return Ok(Want { url: self.url.clone(), post: None });
        };
        let id = key_id.ok_or_else(|| Refusal::Missing("kid of the token".to_owned()))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !id.bytes().all(is_plain) {
            return Err(Refusal::WrongValue("kid of the token".to_owned()));
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
}

/// The first of those in force that has signed; all are tried.
fn first<T>(
    all: &[T],
    now_ms: i64,
    window: impl Fn(&T) -> Window,
    has_signed: impl Fn(&T) -> bool,
) -> Result<usize, Refusal> {
    let in_force = |(_, one): &(usize, &T)| window(one).contains(now_ms);
    let mut verdict = Err(Refusal::NoSecretInForce);
    for (index, one) in all.iter().enumerate().filter(in_force) {
        verdict = match (verdict, has_signed(one)) {
            (Ok(earlier), _) => Ok(earlier),
            (Err(_), true) => Ok(index),
            (Err(_), false) => Err(Refusal::Mismatch),
        };
    }
    verdict
}

impl Alg {
    /// The tag of a text under a shared key; empty where there is none.
    fn tag(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match self {
            Self::Hs256 => {
                let mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY_LENGTH);
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }
            Self::Hs384 => {
                let mac = Hmac::<Sha384>::new_from_slice(key).expect(ANY_LENGTH);
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }
            Self::Hs512 => {
                let mac = Hmac::<Sha512>::new_from_slice(key).expect(ANY_LENGTH);
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }
            _ => Vec::new(),
        }
    }
}
