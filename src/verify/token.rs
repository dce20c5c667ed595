//! Schemes in which the sender shows the secret itself.

use super::encoding::Encoding;
use super::head::Head;
use super::place::{Facts, Place, put};
use super::secret;
use super::trace::{self, Step};
use super::{Refusal, Request, Secret, SecretError, SecretForm, SpecError, Unsignable, Window};
use http::Method;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// A token, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    pub at: TokenAt,
    /// Required, with its case; empty for none.
    pub prefix: String,
}

/// Where the token stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenAt {
    /// Any of these headers.
    Headers(Vec<String>),
    Query(String),
    /// A JSON pointer into the body.
    Body(String),
}

/// A checked scheme of that kind.
#[derive(Debug)]
pub struct Token {
    places: Vec<Place>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// The secret behind a prefix.
    Token { prefix: String },
    /// RFC 7617: the secret is `user:password`.
    Basic,
}

/// The SHA-256 of each secret, with which tokens of any length compare in constant time.
#[derive(Debug)]
pub(super) struct Tokens(Vec<(Secret, Digest)>);

/// Its `Debug` shows nothing: a digest of a weak token would give it away.
struct Digest([u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(…)")
    }
}

impl Tokens {
    pub fn new(secrets: Vec<Secret>) -> Self {
        let digested = secrets.into_iter().map(|secret| {
            let digest = Digest(Sha256::digest(secret.key()).into());
            (secret, digest)
        });
        Self(digested.collect())
    }

    /// The secrets, in their order.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter().map(|(secret, _)| secret)
    }

    /// Which secret one of `tokens` is. All are compared with all.
    fn matching(&self, tokens: &[Vec<u8>], now_unix_ms: i64) -> Result<usize, Refusal> {
        let offered: Vec<[u8; 32]> =
            tokens.iter().map(|token| Sha256::digest(token).into()).collect();
        secret::matching(&self.0, now_unix_ms, Self::window, |(_, digest)| {
            let same = |hit, offered: &[u8; 32]| hit | offered.ct_eq(&digest.0);
            offered.iter().fold(Choice::from(0), same).into()
        })
    }

    fn window((secret, _): &(Secret, Digest)) -> Window {
        secret.window()
    }
}

impl Token {
    pub fn new(spec: &TokenSpec) -> Result<Self, SpecError> {
        let places = match &spec.at {
            TokenAt::Headers(names) if names.is_empty() => {
                return Err(SpecError::new("token.header", "must name at least one header"));
            }
            TokenAt::Headers(names) => {
                names.iter().map(|name| Place::header("token.header", name)).collect()
            }
            TokenAt::Query(key) => Place::query("token.query", key).map(|place| vec![place]),
            TokenAt::Body(pointer) => Place::body("token.body", pointer).map(|place| vec![place]),
        };
        Ok(Self { places: places?, form: Form::Token { prefix: spec.prefix.clone() } })
    }

    pub fn basic() -> Self {
        Self { places: vec![Place::Header(AUTHORIZATION)], form: Form::Basic }
    }

    pub(super) fn secret(&self, text: &str, window: Window) -> Result<Secret, SecretError> {
        match &self.form {
            Form::Basic if !text.contains(':') && !text.trim().is_empty() => {
                Err(SecretError::NoColon)
            }
            _ => Secret::new(text, &SecretForm::VERBATIM, window),
        }
    }

    pub(super) fn precheck(&self, head: Head<'_>) -> Result<(), Refusal> {
        if self.places.iter().any(Place::is_in_body) {
            return Ok(());
        }
        self.shown(&Facts { method: &Method::POST, head, fields: Vec::new(), body: &[] }).map(drop)
    }

    pub(super) fn verify(
        &self,
        tokens: &Tokens,
        request: &Request,
        now_unix_ms: i64,
    ) -> Result<usize, Refusal> {
        let head = Head { headers: &request.headers, target: &request.target };
        let facts =
            Facts { method: &request.method, head, fields: Vec::new(), body: &request.body };
        tokens.matching(&self.shown(&facts)?, now_unix_ms)
    }

    /// Shows the first secret in force, as the sender does.
    pub(super) fn sign(
        &self,
        tokens: &Tokens,
        request: &mut Request,
        now_unix_ms: i64,
    ) -> Result<(), Unsignable> {
        let (secret, _) = secret::in_force(&tokens.0, now_unix_ms, Tokens::window)?;
        let Some(place) = self.places.first() else { return Err(Unsignable::Place("headers")) };
        let key = std::str::from_utf8(secret.key()).map_err(|_| Refusal::MalformedSignature)?;
        match &self.form {
            Form::Token { prefix } => put(request, place, &[prefix, key].concat()),
            Form::Basic => {
                put(request, place, &["Basic ", &Encoding::Base64.encode(key.as_bytes())].concat())
            }
        }
    }

    /// Takes the token out of a request that was verified: it is the secret itself.
    pub(super) fn forget(&self, request: &mut Request) {
        for place in &self.places {
            match place {
                Place::Header(name) => drop(request.headers.remove(name)),
                Place::Query(key) => request.target = without(&request.target, key),
                Place::Field(_) | Place::Body(_) => {}
            }
        }
    }

    /// The headers and query parameters that hold it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(|place| match place {
            Place::Header(name) => Some(name.as_str()),
            Place::Query(key) => Some(key),
            Place::Field(_) | Place::Body(_) => None,
        })
    }

    /// What the request shows: at least one.
    fn shown(&self, facts: &Facts<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
        let shown = self.read(facts);
        trace::tell(|| self.step(&shown));
        shown
    }

    /// Says nothing of a token but how many bytes it has: one that is nearly right is nearly a secret.
    fn step(&self, shown: &Result<Vec<Vec<u8>>, Refusal>) -> Step {
        let places: Vec<String> = self.places.iter().map(Place::to_string).collect();
        let expected = match &self.form {
            Form::Token { prefix } if prefix.is_empty() => "a token".to_owned(),
            Form::Token { prefix } => format!("`{prefix}`, then a token"),
            Form::Basic => "`Basic `, then user:password in base64".to_owned(),
        };
        let found = match shown {
            Ok(tokens) => {
                let lengths: Vec<_> =
                    tokens.iter().map(|token| format!("{} bytes", token.len())).collect();
                lengths.join(", ")
            }
            Err(refusal) => refusal.to_string(),
        };
        Step::new(places.join(" or "), expected, found, shown.is_ok())
    }

    fn read(&self, facts: &Facts<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut texts = Vec::new();
        for place in &self.places {
            texts.extend(facts.find(place)?);
        }
        if texts.is_empty() {
            return Err(Refusal::MissingSignature);
        }
        let tokens: Vec<_> = texts.iter().filter_map(|text| self.form.read(text)).collect();
        if tokens.is_empty() { Err(Refusal::MalformedSignature) } else { Ok(tokens) }
    }
}

impl Form {
    fn read(&self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Token { prefix } => {
                let token = text.strip_prefix(prefix.as_str()).filter(|token| !token.is_empty());
                token.map(|token| token.as_bytes().to_vec())
            }
            Self::Basic => {
                let (scheme, credentials) = text.split_once(' ')?;
                let is_basic = scheme.eq_ignore_ascii_case("basic");
                is_basic.then(|| Encoding::Base64.decode(credentials.trim_start_matches(' ')))?
            }
        }
    }
}

/// The target without that query parameter.
fn without(target: &str, key: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let is_other = |pair: &&str| pair.split_once('=').is_none_or(|(name, _)| name != key);
    let rest: Vec<_> = query.split('&').filter(is_other).collect();
    if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) }
}
