//! How a source's requests prove where they come from: described, and checked.

use super::signed::{Signed, SignedSpec};
use super::token::{Token, TokenSpec};
use super::{Secret, SecretError, SpecError, Window};

/// A scheme as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// `hmac`, `hash`, `ed25519`, `ecdsa-p256-sha256`, `rsa-sha256`: a text is signed.
    Signed(Box<SignedSpec>),
    /// `token`: the secret itself is shown.
    Token(TokenSpec),
    /// `basic`: user and password are shown.
    Basic,
    /// `none`: nothing is proven, and the operator said that this is wanted.
    Unsigned,
}

/// A scheme that holds together.
#[derive(Debug)]
pub enum Scheme {
    Signed(Box<Signed>),
    Token(Token),
    Unsigned,
}

impl Scheme {
    /// Checks a description. `public_url` is what `{url}` begins with: scheme, host and path as
    /// the sender knows them; the query is appended as received.
    ///
    /// # Errors
    /// The field that cannot hold what it holds.
    pub fn new(spec: &Spec, public_url: Option<&str>) -> Result<Self, SpecError> {
        match spec {
            Spec::Signed(spec) => {
                Signed::new(spec, public_url).map(|signed| Self::Signed(Box::new(signed)))
            }
            Spec::Token(spec) => Token::new(spec).map(Self::Token),
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
            Self::Unsigned => Err(SecretError::Unused),
        }
    }
}
