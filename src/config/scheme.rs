//! The table `[sources.*.scheme]`: a scheme described in the file.

use std::time::Duration;

use crate::verify::hmac::{
    Digest, Hmac, HmacSpec, LayoutSpec, TimeFormat, TimestampAt, TimestampSpec,
};
use crate::verify::{Encoding, Scheme, SecretEncoding, SecretForm, SpecError};

use super::item::Item;
use super::later;
use super::section::Section;
use super::setting::Setting;
use super::signature::Signature;

const DIGEST: &str = r#"add digest = "sha256""#;
const ENCODING: &str = r#"add encoding = "hex""#;
const CONTENT: &str = r#"add content = "{body}", or what else the sender signs"#;
const SIGNATURE: &str = r#"add signature = { header = "X-Signature" }"#;

/// How far from now a timestamp may be.
const TOLERANCE: Setting<Duration> = Setting::new(
    "tolerance",
    Duration::from_secs(300),
    Duration::from_secs(1),
    Duration::from_secs(7 * 86_400),
);

/// Reads a described scheme; `public_url` is what `{url}` in it begins with.
pub(super) fn read(item: Item<'_>, public_url: Option<&str>) -> Option<Scheme> {
    item.section("scheme", later::SCHEME, |scheme| {
        match scheme.required("kind", r#"add kind = "hmac""#, kind) {
            Some(Kind::Unsigned) => Some(Scheme::Unsigned),
            Some(Kind::Hmac) => hmac(scheme, item, public_url),
            None => {
                scheme.ignore_other_keys();
                None
            }
        }
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Hmac,
    Unsigned,
}

fn kind(item: Item<'_>) -> Option<Kind> {
    let text = item.text()?;
    if later::KINDS.contains(&text) {
        let message = format!("the kind `{text}` is not supported by this version yet");
        item.wrong(&message, "allowed: `hmac`, `none`");
        return None;
    }
    item.choice("kind", &["hmac", "none"], |name| match name {
        "hmac" => Some(Kind::Hmac),
        "none" => Some(Kind::Unsigned),
        _ => None,
    })
}

fn hmac(scheme: &mut Section<'_>, item: Item<'_>, public_url: Option<&str>) -> Option<Scheme> {
    let digest = scheme
        .required("digest", DIGEST, |item| item.choice("digest", Digest::NAMES, Digest::from_name));
    let encoding = scheme.required("encoding", ENCODING, |item| {
        item.choice("encoding", Encoding::NAMES, Encoding::from_name)
    });
    let content = scheme.required("content", CONTENT, Item::text);
    let signature = scheme.required("signature", SIGNATURE, |item| {
        item.section("scheme.signature", &[], Signature::read)
    });
    let timestamp = scheme.item("timestamp");
    let timestamp = timestamp.map(|item| item.section("scheme.timestamp", &[], self::timestamp));
    let secret = scheme.table("secret", &[], secret);
    let require_headers = scheme.optional("require_headers", pairs).unwrap_or_default();
    let signature = signature?;
    let spec = HmacSpec {
        digest: digest?,
        encoding: encoding?,
        layout: LayoutSpec {
            signature: signature.spec(),
            content: content?,
            timestamp: match timestamp {
                Some(timestamp) => Some(timestamp?),
                None => None,
            },
        },
        alias: None,
        require_headers: &require_headers,
        secret,
        public_url,
    };
    let hmac = Hmac::new(&spec).map(|hmac| Scheme::Hmac(Box::new(hmac)));
    hmac.inspect_err(|error| report(error, item)).ok()
}

/// Reports what is wrong with a description at the key that is to blame.
pub(super) fn report(error: &SpecError, scheme: Item<'_>) {
    scheme.find(error.field).wrong(&error.to_string(), "");
}

fn timestamp<'a>(timestamp: &mut Section<'a>) -> Option<TimestampSpec<'a>> {
    let at = match timestamp.one_of(&["header", "field", "body"]) {
        Some(("header", item)) => item.text().map(TimestampAt::Header),
        Some(("field", item)) => item.text().map(TimestampAt::Field),
        Some((_, item)) => item.text().map(TimestampAt::Body),
        None => None,
    };
    let format = timestamp.required("format", r#"add format = "unix""#, |item| {
        item.choice("format", TimeFormat::NAMES, TimeFormat::from_name)
    });
    let tolerance = timestamp.duration(&TOLERANCE).as_secs();
    let signed = timestamp.optional("signed", Item::boolean).unwrap_or(true);
    Some(TimestampSpec { at: at?, format: format?, tolerance: Some(tolerance), signed })
}

fn secret<'a>(secret: &mut Section<'a>) -> SecretForm<'a> {
    let encoding = secret.optional("encoding", |item| {
        item.choice("encoding", SecretEncoding::NAMES, SecretEncoding::from_name)
    });
    SecretForm {
        encoding: encoding.unwrap_or(SecretEncoding::Utf8),
        strip_prefix: secret.optional("strip_prefix", Item::text),
    }
}

fn pairs<'a>(item: Item<'a>) -> Option<Vec<(&'a str, &'a str)>> {
    let entries = item.entries()?.into_iter();
    let pairs = entries.filter_map(|entry| Some((entry.name, entry.item.text()?)));
    Some(pairs.collect())
}
