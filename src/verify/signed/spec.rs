//! A scheme that signs a text, as plain data: what `[sources.x.scheme]` and a preset's row say.

use crate::verify::named::named;
use crate::verify::{Digest, Encoding, SecretForm};

named! {
    /// How a timestamp is written: fixed by the scheme, never guessed.
    TimeFormat {
        /// Whole seconds since 1970.
        Unix = "unix",
        /// Whole milliseconds since 1970.
        UnixMs = "unix_ms",
        Rfc3339 = "rfc3339",
        HttpDate = "http-date",
    }
}

named! {
    /// How an ECDSA signature is written.
    EcdsaForm {
        /// ASN.1, of varying length.
        Der = "der",
        /// The two numbers, 32 bytes each.
        Raw = "raw",
    }
}

named! {
    /// Which body is signed, where the request says `Content-Encoding: gzip`.
    SignedBody {
        /// The bytes as they came in.
        Received = "received",
        /// What they decompress to.
        Decoded = "decoded",
    }
}

named! {
    /// What `{body}` puts into the signed text.
    BodyTransform {
        /// The body itself.
        None = "none",
        /// Its SHA-256 in lower-case hex.
        Sha256Hex = "sha256-hex",
        /// Its CRC-32 as a decimal number.
        Crc32Dec = "crc32-dec",
    }
}

named! {
    /// What is done to `{url}` before it is signed.
    UrlTransform {
        None = "none",
        /// HubSpot's v3 signs the URL with some characters percent-decoded.
        Hubspot = "hubspot",
    }
}

/// How a signature comes from a text and a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Hmac(Digest),
    /// A plain digest; the secret is part of the text.
    Hash(Digest),
    Ed25519,
    EcdsaP256(EcdsaForm),
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaSha256,
}

/// A scheme that signs a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedSpec {
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    pub secret: SecretForm,
    pub layout: LayoutSpec,
    /// A second way to sign, which a secret chooses by its prefix.
    pub or: Option<OtherSpec>,
    /// The same under other header names: what header names begin with, and what else they may.
    pub header_alias: Option<(String, String)>,
    /// Headers that must be there with exactly this value.
    pub require_headers: Vec<(String, String)>,
    pub signed_body: SignedBody,
    pub body_transform: BodyTransform,
    pub url_transform: UrlTransform,
}

/// Another algorithm over the same text, told apart by the signature's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherSpec {
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    /// The prefix, or in a `kv` header the key, of its signatures.
    pub label: String,
    /// Its secrets have this form, prefix included: by that they are known.
    pub secret: SecretForm,
}

/// Where the signature and the timestamp are, and what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutSpec {
    pub signature: SignatureSpec,
    /// The signed text as a template: `{body}`, `{timestamp}`, `{url}`, `{method}`, `{secret}`,
    /// `{header:X}`, `{field:t}`, `{body:/pointer}`, `{query:k}`; `{{` and `}}` are braces.
    pub content: String,
    pub timestamp: Option<TimestampSpec>,
}

/// Where the signatures are and how they are picked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureSpec {
    /// `parse = "whole"`: a value is a signature, or several.
    Whole {
        at: SignatureAt,
        /// Required, with its case; empty for none.
        prefix: String,
        also_prefix: Vec<String>,
        /// Characters, each of which separates signatures; empty for a single one.
        separator: String,
    },
    /// `parse = "kv"`: fields in a header, as `t=1614265330,v1=5257a8…`.
    Fields {
        headers: Vec<String>,
        /// Characters, each of which separates fields.
        item_separator: String,
        kv_separator: String,
        /// The name of the fields that hold signatures; all others are ignored.
        key: String,
        /// Characters, each of which separates groups of fields that stand for themselves;
        /// empty for a single group.
        group_separator: String,
    },
    /// `parse = "list"`: values without names, as `1614265330,5257a8…`. Each that can be one is a
    /// signature, and each of the first is a field named by its place, from `0`.
    List { headers: Vec<String>, item_separator: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureAt {
    /// Any of these headers.
    Headers(Vec<String>),
    Query(String),
    /// A JSON pointer into the body.
    Body(String),
}

/// Where the timestamp is and how old it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampSpec {
    pub at: TimestampAt,
    pub format: TimeFormat,
    /// How far from now it may be, before or after, in seconds. Without it the age is not
    /// checked and the timestamp not parsed.
    pub tolerance: Option<u64>,
    /// `false` acknowledges that `content` leaves the timestamp out, so that its age proves
    /// nothing.
    pub signed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimestampAt {
    Header(String),
    /// A field of a `kv` signature header.
    Field(String),
    /// A JSON pointer into the body.
    Body(String),
}

impl LayoutSpec {
    /// The same with header names that begin with `to` instead of `from`.
    pub(super) fn renamed(&self, (from, to): &(String, String)) -> Self {
        let rename = |name: &String| match name.strip_prefix(from.as_str()) {
            Some(rest) => [to, rest].concat(),
            None => name.clone(),
        };
        let mut spec = self.clone();
        match &mut spec.signature {
            SignatureSpec::Whole { at: SignatureAt::Headers(headers), .. }
            | SignatureSpec::Fields { headers, .. }
            | SignatureSpec::List { headers, .. } => {
                *headers = headers.iter().map(rename).collect();
            }
            SignatureSpec::Whole { .. } => {}
        }
        if let Some(TimestampSpec { at: TimestampAt::Header(name), .. }) = &mut spec.timestamp {
            *name = rename(name);
        }
        spec.content = spec.content.replace(&format!("{{header:{from}"), &format!("{{header:{to}"));
        spec
    }
}
