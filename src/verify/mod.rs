//! Bytes in, proof out: that a configured sender signed a request.
//!
//! A [`Verified`] is made by [`Verifier::verify`] and by nothing else, so whoever holds one
//! knows that the check was done. Everything is checked on the bytes as received.

mod asymmetric;
pub mod certified;
pub mod code;
mod digest;
mod encoding;
pub mod explain;
mod fetched;
pub mod handshake;
mod head;
pub mod jws;
mod location;
mod mac;
mod named;
mod place;
mod public_key;
mod public_url;
mod refusal;
mod scheme;
mod secret;
pub mod signed;
mod spec_error;
mod token;
mod trace;
mod unsignable;
mod verifier;
mod with;

#[cfg(test)]
mod tests;

pub use digest::Digest;
pub use encoding::Encoding;
pub use fetched::Want;
pub use location::{EventId, Location};
pub use mac::Mac;
pub use refusal::Refusal;
pub use scheme::{Givens, Scheme, Spec};
pub use secret::{Secret, SecretEncoding, SecretError, SecretForm, Window};
pub use spec_error::SpecError;
pub use token::{TokenAt, TokenSpec};
pub use trace::Step;
pub use unsignable::Unsignable;
pub use verifier::{Verified, Verifier, VerifierError};
pub use with::{Gap, With, gaps};

use bytes::Bytes;
use http::{HeaderMap, Method};
use std::net::IpAddr;

/// A request as it came in, believed by nobody yet.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// Path and query as received.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Who sent it, as far as the connection or a trusted proxy says.
    pub peer: IpAddr,
}
