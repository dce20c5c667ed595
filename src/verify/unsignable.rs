//! Why a request cannot be signed as its sender would.

use super::Refusal;
use http::HeaderName;
use thiserror::Error;

/// Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unsignable {
    /// The signature would have to be written into what it signs.
    #[error("the signature stands in the {0}, which it signs itself")]
    Place(&'static str),
    /// Only the sender has what signs.
    #[error("this sender signs with a private key, and only the public one is known here")]
    PublicKey,
    /// The request lacks what is signed, or no secret counts now.
    #[error("the request cannot be signed: {0}")]
    Refused(Refusal),
    /// The scheme puts something there that no header can hold.
    #[error("what the scheme writes into header {0} cannot stand in a header")]
    Header(HeaderName),
}

/// The message has the refusal's words in it: as its source they would be said twice.
impl From<Refusal> for Unsignable {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
