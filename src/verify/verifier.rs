//! A scheme bound to its secrets: the only maker of [`Verified`].

use super::head::Head;
use super::signed::{Keyring, Signed};
use super::token::{Token, Tokens};
use super::{Refusal, Request, Scheme, Secret, SecretError, Unsignable};
use http::{HeaderMap, HeaderName};
use thiserror::Error;

/// A request that a configured sender is known to have signed, or whose source is unsigned by
/// the operator's word.
#[derive(Debug)]
pub struct Verified {
    request: Request,
    secret_index: Option<usize>,
    is_proven: bool,
}

impl Verified {
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    #[must_use]
    pub fn into_request(self) -> Request {
        self.request
    }

    /// Whether anything proves it: nothing does for an unsigned source.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Which of the configured secrets matched; none for an unsigned source.
    #[must_use]
    pub fn secret_index(&self) -> Option<usize> {
        self.secret_index
    }
}

/// Why a scheme and these secrets do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerifierError {
    #[error("this scheme needs at least one secret")]
    NoSecret,
    #[error("an unsigned source takes no secret")]
    UnusedSecret,
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// A scheme with the secrets of one source.
#[derive(Debug)]
pub struct Verifier(Bound);

#[derive(Debug)]
enum Bound {
    Signed(Box<Signed>, Keyring),
    Token(Token, Tokens),
    Unsigned,
}

impl Verifier {
    /// Binds secrets, which are told apart by their order, to the scheme that they are for.
    pub fn new(scheme: Scheme, secrets: Vec<Secret>) -> Result<Self, VerifierError> {
        match scheme {
            Scheme::Unsigned if secrets.is_empty() => Ok(Self(Bound::Unsigned)),
            Scheme::Unsigned => Err(VerifierError::UnusedSecret),
            _ if secrets.is_empty() => Err(VerifierError::NoSecret),
            Scheme::Signed(mut signed) => {
                let keys = signed.bind(secrets)?;
                Ok(Self(Bound::Signed(signed, keys)))
            }
            Scheme::Token(token) => Ok(Self(Bound::Token(token, Tokens::new(secrets)))),
        }
    }

    /// Whether it proves anything: an unsigned source's does not.
    #[must_use]
    pub fn verifies(&self) -> bool {
        !matches!(self.0, Bound::Unsigned)
    }

    /// The secrets, in their order.
    pub(super) fn secrets(&self) -> Vec<&Secret> {
        match &self.0 {
            Bound::Signed(_, keys) => keys.secrets().collect(),
            Bound::Token(_, tokens) => tokens.secrets().collect(),
            Bound::Unsigned => Vec::new(),
        }
    }

    /// Refuses what can be refused before the body is read: a signature, timestamp or other
    /// signed value outside the body that is missing, ambiguous or malformed. `target` is path
    /// and query as received.
    pub fn precheck(&self, headers: &HeaderMap, target: &str) -> Result<(), Refusal> {
        let head = Head { headers, target };
        match &self.0 {
            Bound::Signed(signed, _) => signed.precheck(head),
            Bound::Token(token, _) => token.precheck(head),
            Bound::Unsigned => Ok(()),
        }
    }

    /// Checks a whole request. A precheck is not needed before it. A token that was shown outside
    /// the body is not in what comes of it.
    pub fn verify(&self, request: Request, now_unix_ms: i64) -> Result<Verified, Refusal> {
        self.prove(request, now_unix_ms).map_err(|(refusal, _)| refusal)
    }

    /// The same; a request that is refused is given back.
    #[expect(clippy::result_large_err, reason = "the request was as large before")]
    pub fn prove(
        &self,
        mut request: Request,
        now_unix_ms: i64,
    ) -> Result<Verified, (Refusal, Request)> {
        match self.matching(&request, now_unix_ms) {
            Ok(secret_index) => {
                if let Bound::Token(token, _) = &self.0 {
                    token.forget(&mut request);
                }
                Ok(Verified { request, secret_index, is_proven: self.verifies() })
            }
            Err(refusal) => Err((refusal, request)),
        }
    }

    /// Which secret matches.
    fn matching(&self, request: &Request, now_unix_ms: i64) -> Result<Option<usize>, Refusal> {
        match &self.0 {
            Bound::Signed(signed, keys) => signed.verify(keys, request, now_unix_ms).map(Some),
            Bound::Token(token, tokens) => token.verify(tokens, request, now_unix_ms).map(Some),
            Bound::Unsigned => Ok(None),
        }
    }

    /// Signs a request as the source's sender does, with the first secret in force: adds the
    /// signature and whatever headers it covers. A signed header that only the sender could fill,
    /// such as a message id, gets `id`. What this signs, [`Self::verify`] accepts.
    ///
    /// # Errors
    /// The signature does not stand in a header, what is signed is not there, or no secret counts
    /// at this time.
    pub fn sign(
        &self,
        request: &mut Request,
        id: &str,
        now_unix_ms: i64,
    ) -> Result<(), Unsignable> {
        match &self.0 {
            Bound::Signed(signed, keys) => signed.sign(keys, request, id, now_unix_ms),
            Bound::Token(token, tokens) => token.sign(tokens, request, now_unix_ms),
            Bound::Unsigned => Ok(()),
        }
    }

    /// The names of the headers and query parameters that carry signatures or tokens: not for
    /// people's eyes.
    pub fn signature_names(&self) -> impl Iterator<Item = &str> {
        let token = match &self.0 {
            Bound::Token(token, _) => Some(token.names()),
            _ => None,
        };
        let signed = self.signed().into_iter().flat_map(Signed::signature_names);
        signed.chain(token.into_iter().flatten())
    }

    /// Whether a verified request's header of that name is what the sender signed.
    #[must_use]
    pub fn covers_header(&self, name: &HeaderName) -> bool {
        self.signed().is_some_and(|signed| signed.covers_header(name))
    }

    /// Whether a verified request's body is what the sender signed.
    #[must_use]
    pub fn covers_body(&self) -> bool {
        self.signed().is_some_and(Signed::covers_body)
    }

    fn signed(&self) -> Option<&Signed> {
        match &self.0 {
            Bound::Signed(signed, _) => Some(signed),
            _ => None,
        }
    }
}
