//! An HMAC scheme as plain data: what a preset's row and a `[sources.x.scheme]` table fill in.

use crate::verify::named::named;
use crate::verify::{Encoding, SecretForm};

named! {
    /// The hash under the HMAC: fixed by the scheme, never read from the request.
    Digest {
        Sha1 = "sha1",
        Sha256 = "sha256",
        Sha384 = "sha384",
        Sha512 = "sha512",
    }
}

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

/// An HMAC scheme.
#[derive(Debug, Clone, Copy)]
pub struct HmacSpec<'a> {
    pub digest: Digest,
    pub encoding: Encoding,
    pub layout: LayoutSpec<'a>,
    /// The same under other header names, as `webhook-*` for `svix-*`.
    pub alias: Option<LayoutSpec<'a>>,
    /// Headers that must be there with exactly this value.
    pub require_headers: &'a [(&'a str, &'a str)],
    pub secret: SecretForm<'a>,
    /// What `{url}` begins with: scheme, host and path as the sender knows them. The query is
    /// appended as received.
    pub public_url: Option<&'a str>,
}

/// Where the signature and the timestamp are, and what is signed.
#[derive(Debug, Clone, Copy)]
pub struct LayoutSpec<'a> {
    pub signature: SignatureSpec<'a>,
    /// The signed text as a template: `{body}`, `{timestamp}`, `{url}`, `{method}`, `{secret}`,
    /// `{header:X}`, `{field:t}`, `{body:/pointer}`, `{query:k}`; `{{` and `}}` are braces.
    pub content: &'a str,
    pub timestamp: Option<TimestampSpec<'a>>,
}

/// Where the signatures are and how they are picked out.
#[derive(Debug, Clone, Copy)]
pub enum SignatureSpec<'a> {
    /// `parse = "whole"`: a value is a signature, or several.
    Whole {
        at: SignatureAt<'a>,
        /// Required, with its case; empty for none.
        prefix: &'a str,
        also_prefix: &'a [&'a str],
        /// Characters, each of which separates signatures; empty for a single one.
        separator: &'a str,
    },
    /// `parse = "kv"`: fields in a header, as `t=1614265330,v1=5257a8…`.
    Fields {
        headers: &'a [&'a str],
        /// Characters, each of which separates fields.
        item_separator: &'a str,
        kv_separator: &'a str,
        /// The name of the fields that hold signatures; all others are ignored.
        key: &'a str,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum SignatureAt<'a> {
    /// Any of these headers.
    Headers(&'a [&'a str]),
    Query(&'a str),
    /// A JSON pointer into the body.
    Body(&'a str),
}

/// Where the timestamp is and how old it may be.
#[derive(Debug, Clone, Copy)]
pub struct TimestampSpec<'a> {
    pub at: TimestampAt<'a>,
    pub format: TimeFormat,
    /// How far from now it may be, before or after, in seconds. Without it the age is not
    /// checked and the timestamp not parsed.
    pub tolerance: Option<u64>,
    /// `false` acknowledges that `content` leaves the timestamp out, so that its age proves
    /// nothing.
    pub signed: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum TimestampAt<'a> {
    Header(&'a str),
    /// A field of a `kv` signature header.
    Field(&'a str),
    /// A JSON pointer into the body.
    Body(&'a str),
}
