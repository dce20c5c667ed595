//! A scheme bound to its secrets: the only maker of [`Verified`].

use super::asymmetric;
use super::certified::Certified;
use super::code::Coded;
use super::fetched::{Store, Want};
use super::head::Head;
use super::jws::{self, Jws};
use super::signed::{Keyring, Signed};
use super::token::{Token, Tokens};
use super::{Location, Refusal, Request, Scheme, Secret, SecretError, Unsignable};
use crate::pointer::Pointer;
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;
use thiserror::Error;
use tokio_rustls::rustls::pki_types::TrustAnchor;

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
    Jws(Box<Jws>, jws::Keys),
    Coded(Coded, Vec<Secret>),
    Certified(Box<Certified>),
    Unsigned,
}

impl Verifier {
    /// Binds secrets, which are told apart by their order, to the scheme that they are for.
    pub fn new(scheme: Scheme, secrets: Vec<Secret>) -> Result<Self, VerifierError> {
        match scheme {
            Scheme::Unsigned if secrets.is_empty() => Ok(Self(Bound::Unsigned)),
            Scheme::Unsigned => Err(VerifierError::UnusedSecret),
            Scheme::Certified(certified) if secrets.is_empty() => {
                Ok(Self(Bound::Certified(certified)))
            }
            Scheme::Certified(_) => Err(SecretError::Certificate.into()),
            Scheme::Jws(jws) if secrets.is_empty() && !jws.needs_secrets() => {
                let keys = jws.bind(secrets);
                Ok(Self(Bound::Jws(jws, keys)))
            }
            _ if secrets.is_empty() => Err(VerifierError::NoSecret),
            scheme => Self::bind(scheme, secrets),
        }
    }

    /// Waits for a secret that the provider hands over: until then, nothing is believed.
    pub fn waiting(scheme: Scheme) -> Result<Self, VerifierError> {
        Self::bind(scheme, Vec::new())
    }

    fn bind(scheme: Scheme, secrets: Vec<Secret>) -> Result<Self, VerifierError> {
        Ok(Self(match scheme {
            Scheme::Signed(mut signed) => {
                let keys = signed.bind(secrets)?;
                Bound::Signed(signed, keys)
            }
            Scheme::Token(token) => Bound::Token(token, Tokens::new(secrets)),
            Scheme::Jws(jws) => {
                let keys = jws.bind(secrets);
                Bound::Jws(jws, keys)
            }
            Scheme::Coded(coded) => Bound::Coded(coded, secrets),
            Scheme::Certified(certified) => Bound::Certified(certified),
            Scheme::Unsigned => Bound::Unsigned,
        }))
    }

    /// Whether it waits for a secret: see [`Self::waiting`].
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        match &self.0 {
            Bound::Signed(_, keys) => keys.is_empty(),
            Bound::Coded(_, secrets) => secrets.is_empty(),
            _ => false,
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
            Bound::Coded(_, secrets) => secrets.iter().collect(),
            Bound::Jws(_, jws::Keys::Shared(_, secrets)) => secrets.iter().collect(),
            Bound::Jws(..) | Bound::Certified(_) | Bound::Unsigned => Vec::new(),
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
            Bound::Jws(jws, _) => jws.precheck(head),
            Bound::Coded(coded, _) => coded.precheck(head),
            Bound::Certified(certified) => certified.precheck(head),
            Bound::Unsigned => Ok(()),
        }
    }

    /// What must be fetched before the request can be verified; `None`: all is at hand.
    ///
    /// # Errors
    /// The request is refused whatever may be fetched, or the key that it needs does not exist or
    /// cannot be fetched now.
    pub fn want(&self, request: &Request, now_unix_ms: i64) -> Result<Option<Want>, Refusal> {
        match &self.0 {
            Bound::Jws(jws, keys) => {
                let head = Head { headers: &request.headers, target: &request.target };
                jws.want(keys, head, now_unix_ms)
            }
            Bound::Certified(certified) => certified.want(request, now_unix_ms),
            _ => Ok(None),
        }
    }

    /// Notes that something is about to be fetched.
    pub fn fetching(&self, now_unix_ms: i64) {
        if let Some(store) = self.store() {
            store.begin(now_unix_ms);
        }
    }

    /// Takes in what was fetched; `None`: there is nothing at that place. `roots` are the
    /// authorities whose certificates count.
    pub fn keep(
        &self,
        want: &Want,
        document: Option<&[u8]>,
        roots: &[TrustAnchor<'_>],
        now_unix_ms: i64,
    ) {
        let document = document.unwrap_or_default();
        let keys = match &self.0 {
            Bound::Certified(certified) => certified.keys(document, roots, now_unix_ms),
            _ => asymmetric::read(document),
        };
        match self.store() {
            // A set of keys is always somewhere; that it is empty is a failure.
            Some(store) if keys.is_empty() && self.has_one_place() => store.fail(want, now_unix_ms),
            Some(store) => store.keep(want, keys, now_unix_ms),
            None => {}
        }
    }

    /// Notes that something cannot be fetched.
    pub fn lacks(&self, want: &Want, now_unix_ms: i64) {
        if let Some(store) = self.store() {
            store.fail(want, now_unix_ms);
        }
    }

    /// Where a verified request asks to be confirmed, if it does.
    pub fn confirmation(&self, verified: &Verified) -> Option<Want> {
        match &self.0 {
            Bound::Certified(certified) => certified.confirmation(&verified.request),
            _ => None,
        }
    }

    /// A text signed with the scheme's shared secret: the one that verified a request, or else the
    /// first in force. For handshakes, in which a provider asks for that.
    pub fn prove(&self, text: &[u8], index: Option<usize>, now_unix_ms: i64) -> Option<Vec<u8>> {
        match &self.0 {
            Bound::Signed(_, keys) => keys.prove(text, index, now_unix_ms),
            Bound::Coded(coded, secrets) => coded.prove(secrets, text, index, now_unix_ms),
            _ => None,
        }
    }

    fn store(&self) -> Option<&Store> {
        match &self.0 {
            Bound::Jws(_, jws::Keys::Fetched(_, _, store)) => Some(store),
            Bound::Certified(certified) => Some(certified.store()),
            _ => None,
        }
    }

    /// Whether all keys are at the same place, whatever a request says.
    fn has_one_place(&self) -> bool {
        matches!(&self.0, Bound::Jws(jws, _) if jws.has_key_set())
    }

    /// Checks a whole request. A precheck is not needed before it. A token that was shown outside
    /// the body is not in what comes of it.
    pub fn verify(&self, request: Request, now_unix_ms: i64) -> Result<Verified, Refusal> {
        self.examine(request, now_unix_ms).map_err(|(refusal, _)| refusal)
    }

    /// The same; a request that is refused is given back.
    #[expect(clippy::result_large_err, reason = "the request was as large before")]
    pub fn examine(
        &self,
        mut request: Request,
        now_unix_ms: i64,
    ) -> Result<Verified, (Refusal, Request)> {
        match self.matching(&request, now_unix_ms) {
            Ok(secret_index) => {
                self.forget(&mut request);
                Ok(Verified { request, secret_index, is_proven: self.verifies() })
            }
            Err(refusal) => Err((refusal, request)),
        }
    }

    /// Which secret matches, where one does.
    fn matching(&self, request: &Request, now_unix_ms: i64) -> Result<Option<usize>, Refusal> {
        match &self.0 {
            Bound::Signed(signed, keys) => signed.verify(keys, request, now_unix_ms).map(Some),
            Bound::Token(token, tokens) => token.verify(tokens, request, now_unix_ms).map(Some),
            Bound::Jws(jws, keys) => jws.verify(keys, request, now_unix_ms),
            Bound::Coded(coded, secrets) => coded.verify(secrets, request, now_unix_ms).map(Some),
            Bound::Certified(certified) => certified.verify(request, now_unix_ms).map(|()| None),
            Bound::Unsigned => Ok(None),
        }
    }

    /// Takes out of a request what counts for a while longer: whoever has it could use it.
    fn forget(&self, request: &mut Request) {
        match &self.0 {
            Bound::Token(token, _) => token.forget(request),
            Bound::Jws(jws, _) => drop(request.headers.remove(jws.header())),
            _ => {}
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
            Bound::Jws(jws, keys) => jws.sign(keys, request, now_unix_ms),
            Bound::Coded(coded, secrets) => coded.sign(secrets, request, id, now_unix_ms),
            Bound::Certified(_) => Err(Unsignable::PublicKey),
            Bound::Unsigned => Ok(()),
        }
    }

    /// The names of the headers and query parameters that carry signatures or tokens: not for
    /// people's eyes.
    pub fn signature_names(&self) -> impl Iterator<Item = &str> {
        let names: Vec<&str> = match &self.0 {
            Bound::Signed(signed, _) => signed.signature_names().collect(),
            Bound::Token(token, _) => token.names().collect(),
            Bound::Jws(jws, _) => vec![jws.header().as_str()],
            Bound::Coded(coded, _) => coded.signature_names().collect(),
            Bound::Certified(certified) => certified.signature_name().into_iter().collect(),
            Bound::Unsigned => Vec::new(),
        };
        names.into_iter()
    }

    /// What tells a verified request's body from others: where a signature fits one body in many
    /// spellings (compressed anew, a form with its fields in another order), what is signed of it.
    #[must_use]
    pub fn signed_body<'a>(&self, request: &'a Request) -> Cow<'a, [u8]> {
        let signed = match &self.0 {
            Bound::Signed(signed, _) => signed.body(request),
            Bound::Coded(coded, _) => coded.body(request),
            _ => Ok(Cow::Borrowed(&*request.body)),
        };
        // What was verified can be read.
        signed.unwrap_or(Cow::Borrowed(&request.body))
    }

    /// Whether what stands at that place of a verified request is what the sender signed.
    #[must_use]
    pub fn covers(&self, place: &Location) -> bool {
        match place {
            Location::Header(name) => self.covers_header(name),
            Location::Pointer(pointer) => self.covers_pointer(pointer),
            Location::Joined(parts) => parts.iter().all(|part| self.covers(part)),
        }
    }

    fn covers_header(&self, name: &HeaderName) -> bool {
        match &self.0 {
            Bound::Signed(signed, _) => signed.covers_header(name),
            _ => false,
        }
    }

    fn covers_pointer(&self, pointer: &Pointer) -> bool {
        match &self.0 {
            Bound::Signed(signed, _) => signed.covers_body(),
            Bound::Jws(jws, _) => jws.covers_body(),
            Bound::Coded(coded, _) => coded.covers(pointer),
            Bound::Certified(certified) => certified.covers(pointer),
            Bound::Token(..) | Bound::Unsigned => false,
        }
    }
}
