//! The table `[sources.*.scheme]`: a scheme described in the file.

use std::time::Duration;

use http::StatusCode;

use crate::source::Reply;
use crate::verify::certified::Certifier;
use crate::verify::code::Code;
use crate::verify::handshake::Handshake;
use crate::verify::signed::{
    Algorithm, BodyTransform, EcdsaForm, LayoutSpec, OtherSpec, SignedBody, SignedSpec, TimeFormat,
    TimestampAt, TimestampSpec, UrlTransform,
};
use crate::verify::{
    Digest, Encoding, SecretEncoding, SecretForm, Spec, SpecError, TokenAt, TokenSpec,
};

use super::item::Item;
use super::section::Section;
use super::setting::Setting;
use super::{handshake, jws, reply, signature};

const DIGEST: &str = r#"add digest = "sha256""#;
const ENCODING: &str = r#"add encoding = "hex""#;
const CONTENT: &str = r#"add content = "{body}", or what else the sender signs"#;
const SIGNATURE: &str = r#"add signature = { header = "X-Signature" }"#;
const NAME: &str = r#"add name = "twilio", or whoever else signs that way"#;
const TOKEN: &str = r#"add token = { header = "X-Token" }"#;
const KEYED: &str = r#"kind = "hmac" has one, and kind = "code" with a secret"#;
const LABEL: &str = r#"add prefix = "v1a,", or whatever tells these signatures from the others"#;

/// How far from now a timestamp may be.
const TOLERANCE: Setting<Duration> = Setting::new(
    "tolerance",
    Duration::from_secs(300),
    Duration::from_secs(1),
    Duration::from_secs(7 * 86_400),
);

/// What a request that is not believed is answered.
const FAILURE_STATUS: Setting<u32> = Setting::new("failure_status", 401, 400, 499);

/// The kinds of scheme that sign a text.
const SIGNED: [&str; 5] = ["hmac", "hash", "ed25519", "ecdsa-p256-sha256", "rsa-sha256"];
/// All kinds.
const KINDS: [&str; 10] = [
    "hmac",
    "hash",
    "token",
    "basic",
    "ed25519",
    "ecdsa-p256-sha256",
    "rsa-sha256",
    "jws",
    "code",
    "none",
];

/// A scheme as it is described, and what its sender insists on being answered.
#[derive(Debug, Clone)]
pub struct Described {
    pub spec: Spec,
    pub handshakes: Vec<Handshake>,
    pub reply: Option<Reply>,
    pub failure_status: StatusCode,
}

/// Reads a described scheme.
pub(super) fn read(item: Item<'_>) -> Option<Described> {
    item.section("scheme", |scheme| {
        let Some(kind) = scheme.required("kind", r#"add kind = "hmac""#, kind) else {
            scheme.ignore_other_keys();
            return None;
        };
        let spec = match kind {
            "token" => token(scheme).map(Spec::Token),
            "basic" => Some(Spec::Basic),
            "jws" => {
                let secret = scheme.table("secret", secret);
                jws::read(scheme, secret).map(|spec| Spec::Jws(Box::new(spec)))
            }
            "code" => scheme.required("name", NAME, name),
            "none" => Some(Spec::Unsigned),
            kind => signed(scheme, kind).map(|spec| Spec::Signed(Box::new(spec))),
        };
        let reply = scheme.optional_table("success_response", reply::read);
        let handshakes = scheme.optional("handshake", |item| handshakes(item, spec.as_ref()));
        let failure_status = u16::try_from(scheme.count(&FAILURE_STATUS)).ok()?;
        Some(Described {
            spec: spec?,
            handshakes: handshakes.unwrap_or_default(),
            reply,
            failure_status: StatusCode::from_u16(failure_status).ok()?,
        })
    })
}

/// The handshakes of a scheme, which must have a key for those that ask for a signature.
fn handshakes(item: Item<'_>, spec: Option<&Spec>) -> Option<Vec<Handshake>> {
    let handshakes = handshake::read(item)?;
    if handshakes.iter().any(Handshake::proves) && spec.is_some_and(|spec| !spec.has_shared_key()) {
        item.wrong("`hmac` in an answer: a scheme of this kind has no key to sign with", KEYED);
        return None;
    }
    Some(handshakes)
}

/// Reports what is wrong with a description at the key that is to blame.
pub(super) fn report(error: &SpecError, scheme: Item<'_>) {
    scheme.find(error.field).wrong(&error.to_string(), "");
}

fn kind(item: Item<'_>) -> Option<&'static str> {
    item.choice("kind", &KINDS, |name| KINDS.into_iter().find(|kind| *kind == name))
}

/// The name of a scheme that is code.
fn name(item: Item<'_>) -> Option<Spec> {
    let names = [Code::NAMES, Certifier::NAMES].concat();
    item.choice("name", &names, |name| {
        let certified = || Certifier::from_name(name).map(Spec::Certified);
        Code::from_name(name).map(Spec::Code).or_else(certified)
    })
}

fn signed(scheme: &mut Section<'_>, kind: &str) -> Option<SignedSpec> {
    let algorithm = algorithm(scheme, kind);
    let encoding = scheme.required("encoding", ENCODING, encoding);
    let content = scheme.required("content", CONTENT, Item::owned);
    let signature = scheme
        .required("signature", SIGNATURE, |item| item.section("scheme.signature", signature::read));
    let timestamp = scheme.item("timestamp");
    let timestamp = timestamp.map(|item| item.section("scheme.timestamp", self::timestamp));
    let secret = scheme.table("secret", secret);
    let or = scheme.optional_table("or", |or| other(or, encoding?));
    let header_alias = scheme.optional_table("header_alias", header_alias);
    let require_headers = scheme.optional("require_headers", pairs).unwrap_or_default();
    let signed_body = scheme.optional("signed_body", |item| {
        item.choice("signed_body", SignedBody::NAMES, SignedBody::from_name)
    });
    let body_transform = scheme.optional("body_transform", |item| {
        item.choice("body_transform", BodyTransform::NAMES, BodyTransform::from_name)
    });
    let url_transform = scheme.optional("url_transform", |item| {
        item.choice("url_transform", UrlTransform::NAMES, UrlTransform::from_name)
    });
    let timestamp = match timestamp {
        Some(timestamp) => Some(timestamp?),
        None => None,
    };
    Some(SignedSpec {
        algorithm: algorithm?,
        encoding: encoding?,
        secret,
        layout: LayoutSpec { signature: signature?, content: content?, timestamp },
        or,
        header_alias,
        require_headers,
        signed_body: signed_body.unwrap_or(SignedBody::Received),
        body_transform: body_transform.unwrap_or(BodyTransform::None),
        url_transform: url_transform.unwrap_or(UrlTransform::None),
    })
}

fn encoding(item: Item<'_>) -> Option<Encoding> {
    item.choice("encoding", Encoding::NAMES, Encoding::from_name)
}

/// The algorithm of a kind, with what else says how it is done.
fn algorithm(scheme: &mut Section<'_>, kind: &str) -> Option<Algorithm> {
    let mut digest = || {
        scheme.required("digest", DIGEST, |item| {
            item.choice("digest", Digest::NAMES, Digest::from_name)
        })
    };
    match kind {
        "hmac" => digest().map(Algorithm::Hmac),
        "hash" => digest().map(Algorithm::Hash),
        "ed25519" => Some(Algorithm::Ed25519),
        "rsa-sha256" => Some(Algorithm::RsaSha256),
        _ => {
            let form = scheme.optional("form", |item| {
                item.choice("form", EcdsaForm::NAMES, EcdsaForm::from_name)
            });
            Some(Algorithm::EcdsaP256(form.unwrap_or(EcdsaForm::Der)))
        }
    }
}

/// The second way to sign.
fn other(or: &mut Section<'_>, main: Encoding) -> Option<OtherSpec> {
    let kind = or.required("kind", r#"add kind = "ed25519""#, |item| {
        item.choice("kind", &SIGNED, |name| SIGNED.into_iter().find(|kind| *kind == name))
    });
    let algorithm = kind.and_then(|kind| algorithm(or, kind));
    let encoding = or.optional("encoding", encoding).unwrap_or(main);
    let label = or.required("prefix", LABEL, Item::owned);
    let secret = or.table("secret", secret);
    Some(OtherSpec { algorithm: algorithm?, encoding, label: label?, secret })
}

fn header_alias(alias: &mut Section<'_>) -> Option<(String, String)> {
    let from = alias.required("from", r#"add from = "svix-""#, Item::owned);
    let to = alias.required("to", r#"add to = "webhook-""#, Item::owned);
    Some((from?, to?))
}

fn timestamp(timestamp: &mut Section<'_>) -> Option<TimestampSpec> {
    let at = match timestamp.one_of(&["header", "field", "body"], "") {
        Some(("header", item)) => item.owned().map(TimestampAt::Header),
        Some(("field", item)) => item.owned().map(TimestampAt::Field),
        Some((_, item)) => item.owned().map(TimestampAt::Body),
        None => None,
    };
    let format = timestamp.required("format", r#"add format = "unix""#, |item| {
        item.choice("format", TimeFormat::NAMES, TimeFormat::from_name)
    });
    let tolerance = timestamp.duration(&TOLERANCE).as_secs();
    let signed = timestamp.optional("signed", Item::boolean).unwrap_or(true);
    Some(TimestampSpec { at: at?, format: format?, tolerance: Some(tolerance), signed })
}

fn secret(secret: &mut Section<'_>) -> SecretForm {
    let encoding = secret.optional("encoding", |item| {
        item.choice("encoding", SecretEncoding::NAMES, SecretEncoding::from_name)
    });
    SecretForm {
        encoding: encoding.unwrap_or(SecretEncoding::Utf8),
        strip_prefix: secret.optional("strip_prefix", Item::owned_texts).unwrap_or_default(),
    }
}

fn token(scheme: &mut Section<'_>) -> Option<TokenSpec> {
    scheme.required("token", TOKEN, |item| {
        item.section("scheme.token", |token| {
            let at = match token.one_of(&["header", "query", "body"], "") {
                Some(("header", item)) => item.owned_texts().map(TokenAt::Headers),
                Some(("query", item)) => item.owned().map(TokenAt::Query),
                Some((_, item)) => item.owned().map(TokenAt::Body),
                None => None,
            };
            let prefix = token.optional("prefix", Item::owned).unwrap_or_default();
            Some(TokenSpec { at: at?, prefix })
        })
    })
}

fn pairs(item: Item<'_>) -> Option<Vec<(String, String)>> {
    let entries = item.entries()?.into_iter();
    let pairs = entries.filter_map(|entry| Some((entry.name.to_owned(), entry.item.owned()?)));
    Some(pairs.collect())
}
