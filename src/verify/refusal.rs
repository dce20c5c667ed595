//! Why a request was not believed. For the log and the metrics: the sender learns nothing of it.

use thiserror::Error;

/// Names what was wrong, never a value from the request and never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("the caller's address is not among those that the source allows")]
    NotAllowed,
    #[error("the request carries no signature")]
    MissingSignature,
    #[error("no signature in the request has the expected form")]
    MalformedSignature,
    #[error("{0} is missing")]
    Missing(String),
    #[error("{0} is there more than once, with different values")]
    Ambiguous(String),
    #[error("{0} is not readable as text")]
    NotText(String),
    #[error("{0} does not have the value that the scheme requires")]
    WrongValue(String),
    #[error("the timestamp is not in the format of the scheme")]
    MalformedTimestamp,
    #[error("the timestamp is further from now than the tolerance")]
    Stale,
    #[error("what the scheme reads from the body could not be read")]
    UnreadableBody,
    #[error("no secret is in force at this time")]
    NoSecretInForce,
    #[error("the signature does not match")]
    Mismatch,
    #[error("a secret is handed over, and nobody waits for one")]
    NotArmed,
    #[error("the key that the request names does not exist")]
    UnknownKey,
    /// No word on the request: it may be believed later.
    #[error("the key that the request names cannot be fetched now")]
    KeyUnavailable,
}

impl Refusal {
    /// A short label, from a small fixed set, for metrics.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::MissingSignature => "missing_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::Missing(_) => "missing_value",
            Self::Ambiguous(_) => "ambiguous_value",
            Self::NotText(_) => "malformed_value",
            Self::WrongValue(_) => "wrong_value",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::Stale => "stale",
            Self::UnreadableBody => "unreadable_body",
            Self::NoSecretInForce => "no_secret_in_force",
            Self::Mismatch => "mismatch",
            Self::NotArmed => "not_armed",
            Self::UnknownKey => "unknown_key",
            Self::KeyUnavailable => "key_unavailable",
        }
    }
}
