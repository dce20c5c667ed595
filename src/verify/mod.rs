//! Bytes in, proof out: that a configured sender signed a request.
//!
//! A [`Verified`] is made by [`Verifier::verify`] and by nothing else, so whoever holds one
//! knows that the check was done. Everything is checked on the bytes as received.

mod encoding;
mod head;
pub mod hmac;
mod location;
mod named;
pub mod presets;
mod refusal;
mod secret;
mod spec_error;
mod unsignable;
mod verifier;

#[cfg(test)]
mod tests;

pub use encoding::Encoding;
pub use location::{EventId, Location};
pub use refusal::Refusal;
pub use secret::{Secret, SecretEncoding, SecretError, SecretForm, Window};
pub use spec_error::SpecError;
pub use unsignable::Unsignable;
pub use verifier::{Verified, Verifier, VerifierError};

use self::hmac::Hmac;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::net::IpAddr;

/// A request as it came in, believed by nobody yet.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// Path and query as received.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Who sent it, as far as the connection or a trusted proxy says.
    pub peer: IpAddr,
}

/// How a source's requests prove where they come from.
#[derive(Debug)]
pub enum Scheme {
    Hmac(Box<Hmac>),
    /// They do not, and the operator said that this is wanted.
    Unsigned,
}

impl Scheme {
    /// Reads a secret in the form that this scheme's secrets have.
    pub fn secret(&self, text: &str, window: Window) -> Result<Secret, SecretError> {
        match self {
            Self::Hmac(hmac) => Secret::new(text, hmac.secret_form(), window),
            Self::Unsigned => Err(SecretError::Unused),
        }
    }
}
