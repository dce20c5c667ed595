//! A scheme of JSON Web Signatures as plain data.

use crate::verify::Digest;
use crate::verify::named::named;
use crate::verify::public_key::Signing;
use crate::verify::{Encoding, SecretForm};
use serde_json::Value;
use std::fmt;

named! {
    /// The algorithm (RFC 7518, RFC 8037): fixed by the scheme, never taken from the token.
    Alg {
        Hs256 = "HS256",
        Hs384 = "HS384",
        Hs512 = "HS512",
        Rs256 = "RS256",
        Rs384 = "RS384",
        Rs512 = "RS512",
        Es256 = "ES256",
        Es384 = "ES384",
        EdDsa = "EdDSA",
    }
}

/// A token in a header, signed by the sender. `{name}` in a text stands for what the source's `with`
/// says under that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwsSpec {
    pub alg: Alg,
    pub header: String,
    /// Any of these stands before the token, as `Bearer `; an empty one for nothing.
    pub prefixes: Vec<String>,
    /// How shared secrets are written; keys of other algorithms are PEM or JSON Web Keys.
    pub secret: SecretForm,
    /// Who may have made the token; empty for anyone who has the key.
    pub issuers: Vec<String>,
    pub audience: Option<String>,
    /// Claims with the value that they must have.
    pub claims: Vec<(String, Value)>,
    pub body: Option<BodyHash>,
    /// Whether a token must say when it expires. If it does, that counts anyway.
    pub expires: bool,
    /// How long ago a token may have been made, in seconds.
    pub max_age: Option<u64>,
    /// Where the sender's keys are; without, they are the source's secrets.
    pub keys: Option<KeysAt>,
}

impl JwsSpec {
    /// The texts that may have gaps.
    pub(in crate::verify) fn texts(&self) -> Vec<&str> {
        let claims = self.claims.iter().filter_map(|(_, value)| value.as_str());
        let keys = self.keys.iter().flat_map(|at| [Some(&*at.url), at.post.as_deref()]).flatten();
        let issuers = self.issuers.iter().map(String::as_str);
        issuers.chain(self.audience.as_deref()).chain(claims).chain(keys).collect()
    }
}

/// A claim that holds the SHA-256 of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyHash {
    pub claim: String,
    pub encoding: Encoding,
    /// Whether a request without a body may lack it.
    pub optional_without_body: bool,
}

/// Where keys are fetched. Its `Debug` shows nothing: a filled gap may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KeysAt {
    /// An https URL.
    pub url: String,
    /// What is posted to it, for a key of its own for each name, which `{kid}` stands for; without,
    /// all keys are at the URL.
    pub post: Option<String>,
}

impl fmt::Debug for KeysAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeysAt").finish_non_exhaustive()
    }
}

/// What a token is signed with.
pub(in crate::verify) enum Kind {
    /// A shared key.
    Shared(Digest),
    /// One of a pair of keys.
    Pair(Signing),
}

impl Alg {
    pub(in crate::verify) fn kind(self) -> Kind {
        match self {
            Self::Hs256 => Kind::Shared(Digest::Sha256),
            Self::Hs384 => Kind::Shared(Digest::Sha384),
            Self::Hs512 => Kind::Shared(Digest::Sha512),
            Self::Rs256 => Kind::Pair(Signing::RsaSha256),
            Self::Rs384 => Kind::Pair(Signing::RsaSha384),
            Self::Rs512 => Kind::Pair(Signing::RsaSha512),
            Self::Es256 => Kind::Pair(Signing::EcdsaP256),
            Self::Es384 => Kind::Pair(Signing::EcdsaP384),
            Self::EdDsa => Kind::Pair(Signing::Ed25519),
        }
    }
}
