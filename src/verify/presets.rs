//! Providers that need nothing but a secret: a row of data each.

use super::hmac::{
    Digest, Hmac, HmacSpec, LayoutSpec, SignatureAt, SignatureSpec, TimeFormat, TimestampAt,
    TimestampSpec,
};
use super::{Encoding, EventId, Location, Scheme, SecretEncoding, SecretForm, SpecError};
use crate::pointer::Pointer;
use http::HeaderName;
use std::sync::LazyLock;

/// What a preset's correctness rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The provider's documentation; it publishes no example to check against.
    Docs,
    /// Examples that the provider or its libraries publish.
    Vectors,
    /// Examples of others who receive from it.
    ThirdParty,
}

/// How one provider signs and names its events.
#[derive(Debug)]
pub struct Preset {
    pub name: &'static str,
    pub title: &'static str,
    signing: HmacSpec<'static>,
    /// The first of these that a request has is its event type.
    pub event_type: Vec<Location>,
    pub event_id: EventId,
    pub proof: Proof,
}

/// By name. Sources: docs.hotglue.com (webhooks), docs.github.com (validating deliveries), the
/// Standard Webhooks specification, docs.svix.com, supaglue-labs/supaglue (notification webhooks).
static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    vec![
        Preset {
            name: "github",
            title: "GitHub",
            signing: body_hmac(Digest::Sha256, Encoding::Hex, &["x-hub-signature-256"], "sha256="),
            event_type: vec![header("x-github-event")],
            event_id: EventId::At(vec![header("x-github-delivery")]),
            proof: Proof::Vectors,
        },
        Preset {
            name: "hotglue",
            title: "hotglue",
            signing: body_hmac(Digest::Sha1, Encoding::Hex, &["x-hub-signature"], ""),
            event_type: vec![pointer("/status"), pointer("/event")],
            event_id: EventId::Body,
            proof: Proof::Docs,
        },
        Preset {
            name: "standard-webhooks",
            title: "Standard Webhooks",
            signing: STANDARD_WEBHOOKS,
            event_type: vec![pointer("/type")],
            event_id: EventId::At(vec![header("webhook-id")]),
            proof: Proof::Vectors,
        },
        Preset {
            name: "supaglue",
            title: "Supaglue",
            signing: SVIX,
            event_type: vec![pointer("/webhook_event_type")],
            event_id: svix_id(),
            proof: Proof::Docs,
        },
        Preset {
            name: "svix",
            title: "Svix",
            signing: SVIX,
            event_type: vec![pointer("/type")],
            event_id: svix_id(),
            proof: Proof::Vectors,
        },
    ]
});

/// The HMAC of the body alone.
const fn body_hmac(
    digest: Digest,
    encoding: Encoding,
    headers: &'static [&'static str],
    prefix: &'static str,
) -> HmacSpec<'static> {
    let at = SignatureAt::Headers(headers);
    HmacSpec {
        digest,
        encoding,
        layout: LayoutSpec {
            signature: SignatureSpec::Whole { at, prefix, also_prefix: &[], separator: "" },
            content: "{body}",
            timestamp: None,
        },
        alias: None,
        require_headers: &[],
        secret: SecretForm::VERBATIM,
        public_url: None,
    }
}

/// Symmetric signatures (`v1`) only.
const STANDARD_WEBHOOKS: HmacSpec<'static> = HmacSpec {
    digest: Digest::Sha256,
    encoding: Encoding::Base64,
    layout: standard(
        "{header:webhook-id}.{timestamp}.{body}",
        "webhook-timestamp",
        &["webhook-signature"],
    ),
    alias: None,
    require_headers: &[],
    secret: SecretForm { encoding: SecretEncoding::Base64, strip_prefix: Some("whsec_") },
    public_url: None,
};

/// Svix lets its customers send under the standard's header names instead of its own.
const SVIX: HmacSpec<'static> = HmacSpec {
    layout: standard("{header:svix-id}.{timestamp}.{body}", "svix-timestamp", &["svix-signature"]),
    alias: Some(STANDARD_WEBHOOKS.layout),
    ..STANDARD_WEBHOOKS
};

fn svix_id() -> EventId {
    EventId::At(vec![header("svix-id"), header("webhook-id")])
}

fn header(name: &'static str) -> Location {
    Location::Header(HeaderName::from_static(name))
}

fn pointer(text: &'static str) -> Location {
    Location::Pointer(Pointer::from_static(text))
}

const fn standard(
    content: &'static str,
    timestamp: &'static str,
    signature: &'static [&'static str],
) -> LayoutSpec<'static> {
    let at = SignatureAt::Headers(signature);
    LayoutSpec {
        signature: SignatureSpec::Whole { at, prefix: "v1,", also_prefix: &[], separator: " \t" },
        content,
        timestamp: Some(TimestampSpec {
            at: TimestampAt::Header(timestamp),
            format: TimeFormat::Unix,
            tolerance: Some(300),
            signed: true,
        }),
    }
}

impl Preset {
    /// The scheme. `public_url` is needed by providers that sign the URL, and unused by others.
    pub fn scheme(&self, public_url: Option<&str>) -> Result<Scheme, SpecError> {
        Hmac::new(&HmacSpec { public_url, ..self.signing }).map(|hmac| Scheme::Hmac(Box::new(hmac)))
    }
}

#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// All of them, sorted by name.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    PRESETS.iter()
}

/// All names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|preset| preset.name)
}
