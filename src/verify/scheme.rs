//! How a source's requests prove where they come from: described, and checked.

use super::certified::{Certified, Certifier};
use super::code::{Code, Coded};
use super::jws::{Jws, JwsSpec};
use super::signed::{Algorithm, Signed, SignedSpec};
use super::token::{Token, TokenSpec};
use super::{Secret, SecretError, SpecError, Window, With, gaps};

/// A scheme as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// `hmac`, `hash`, `ed25519`, `ecdsa-p256-sha256`, `rsa-sha256`: a text is signed.
    Signed(Box<SignedSpec>),
    /// `token`: the secret itself is shown.
    Token(TokenSpec),
    /// `jws`: a token is signed.
    Jws(Box<JwsSpec>),
    /// `code`: what is signed is a matter of its own.
    Code(Code),
    /// `code`: likewise, with a certificate of the provider.
    Certified(Certifier),
    /// `basic`: user and password are shown.
    Basic,
    /// `none`: nothing is proven, and the operator said that this is wanted.
    Unsigned,
}

impl Spec {
    /// The names that a source may give values to in `with`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (texts, fixed) = match self {
            Self::Jws(spec) => (spec.texts(), &[][..]),
            Self::Certified(certifier) => (Vec::new(), certifier.names()),
            _ => (Vec::new(), &[][..]),
        };
        let gaps = texts.into_iter().flat_map(gaps).map(|gap| gap.name);
        gaps.filter(|name| *name != "kid").chain(fixed.iter().copied())
    }

    /// Whether a source may have secrets.
    pub fn has_secrets(&self) -> bool {
        !matches!(self, Self::Certified(_) | Self::Unsigned)
    }

    /// Whether it has a key with which both sides sign. That of a plain digest is part of a text, and
    /// signs no other.
    pub fn has_shared_key(&self) -> bool {
        match self {
            Self::Signed(spec) => matches!(spec.algorithm, Algorithm::Hmac(_)),
            Self::Code(_) => true,
            _ => false,
        }
    }

    /// Whether the URL that the sender calls is part of what it signs.
    pub fn signs_url(&self) -> bool {
        match self {
            Self::Signed(spec) => spec.layout.content.contains("{url}"),
            Self::Code(code) => code.signs_url(),
            _ => false,
        }
    }

    /// Whether keys may have to be fetched.
    pub fn fetches(&self) -> bool {
        match self {
            Self::Jws(spec) => spec.keys.is_some(),
            Self::Certified(_) => true,
            _ => false,
        }
    }
}

/// A scheme that holds together.
#[derive(Debug)]
pub enum Scheme {
    Signed(Box<Signed>),
    Token(Token),
    Jws(Box<Jws>),
    Coded(Coded),
    Certified(Box<Certified>),
    Unsigned,
}

/// What a source adds to the description of its scheme.
#[derive(Debug, Clone, Copy, Default)]
pub struct Givens<'a> {
    /// What `{url}` begins with: scheme, host and path as the sender knows them; the query is
    /// appended as received.
    pub public_url: Option<&'a str>,
    pub with: Option<&'a With>,
    /// Hosts that certificates are fetched from in place of the provider's own.
    pub hosts: &'a [String],
    /// Whether it has secrets; then no keys are fetched.
    pub has_secrets: bool,
}

impl Scheme {
    /// Checks a description.
    ///
    /// # Errors
    /// The field that cannot hold what it holds.
    pub fn new(spec: &Spec, givens: &Givens<'_>) -> Result<Self, SpecError> {
        let none = With::default();
        let (public_url, with) = (givens.public_url, givens.with.unwrap_or(&none));
        match spec {
            Spec::Signed(spec) => {
                Signed::new(spec, public_url).map(|signed| Self::Signed(Box::new(signed)))
            }
            Spec::Token(spec) => Token::new(spec).map(Self::Token),
            Spec::Jws(spec) => {
                Jws::new(spec, with, givens.has_secrets).map(|jws| Self::Jws(Box::new(jws)))
            }
            Spec::Code(code) => Coded::new(*code, public_url).map(Self::Coded),
            Spec::Certified(certifier) => Certified::new(*certifier, with, givens.hosts)
                .map(|certified| Self::Certified(Box::new(certified))),
            Spec::Basic => Ok(Self::Token(Token::basic())),
            Spec::Unsigned => Ok(Self::Unsigned),
        }
    }

    /// Reads a secret in the form that this scheme's secrets have.
    ///
    /// # Errors
    /// It has another form, or could be anyone's.
    pub fn secret(&self, text: &str, window: Window) -> Result<Secret, SecretError> {
        match self {
            Self::Signed(signed) => signed.secret(text, window),
            Self::Token(token) => token.secret(text, window),
            Self::Jws(jws) => jws.secret(text, window),
            Self::Coded(coded) => coded.secret(text, window),
            Self::Certified(_) => Err(SecretError::Certificate),
            Self::Unsigned => Err(SecretError::Unused),
        }
    }
}
