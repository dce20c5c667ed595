//! A described scheme of `kind = "jws"`.

use serde_json::Value;
use toml::de::DeValue;

use crate::verify::jws::{Alg, BodyHash, JwsSpec, KeysAt};
use crate::verify::{Encoding, SecretForm};

use super::item::Item;
use super::notes::Shape;
use super::section::Section;

const ALG: &str = r#"add alg = "RS256", or whatever the sender signs with"#;
const HEADER: &str = r#"add signature = { header = "Authorization", prefix = "Bearer " }"#;

pub(super) fn read(scheme: &mut Section<'_>, secret: SecretForm) -> Option<JwsSpec> {
    let alg = scheme.required("alg", ALG, |item| item.choice("alg", Alg::NAMES, Alg::from_name));
    let signature =
        scheme.required("signature", HEADER, |item| item.section("scheme.signature", place));
    let issuers = scheme.optional("iss", Item::owned_texts).unwrap_or_default();
    let audience = scheme.optional("aud", Item::owned);
    let claims = scheme.optional("claims", claims).unwrap_or_default();
    let body = scheme.optional("body_claim", body);
    let expires = scheme.optional("require_exp", Item::boolean).unwrap_or(false);
    let max_age = scheme.optional("max_age", max_age);
    let keys = scheme.item("jwks_url").map(keys);
    let (header, prefixes) = signature?;
    Some(JwsSpec {
        alg: alg?,
        header,
        prefixes,
        secret,
        issuers,
        audience,
        claims,
        body,
        expires,
        max_age,
        keys: match keys {
            Some(keys) => Some(keys?),
            None => None,
        },
    })
}

/// In seconds.
fn max_age(item: Item<'_>) -> Option<u64> {
    let seconds = item.duration()?.as_secs();
    if seconds == 0 {
        item.wrong("no token would be young enough", "write at least 1s");
    }
    (seconds > 0).then_some(seconds)
}

/// The header, and what may stand before the token.
fn place(signature: &mut Section<'_>) -> Option<(String, Vec<String>)> {
    let header = signature.required("header", HEADER, Item::owned);
    let prefix = signature.optional("prefix", Item::owned).unwrap_or_default();
    let also = signature.optional("also_prefix", Item::owned_texts).unwrap_or_default();
    Some((header?, [prefix].into_iter().chain(also).collect()))
}

fn claims(item: Item<'_>) -> Option<Vec<(String, Value)>> {
    let entries = item.entries()?.into_iter();
    let claims = entries.filter_map(|entry| {
        entry.item.may_be(Shape::Boolean);
        entry.item.may_be(Shape::Text);
        let value = match entry.item.value() {
            DeValue::Boolean(value) => Value::from(*value),
            _ => Value::from(entry.item.text()?),
        };
        Some((entry.name.to_owned(), value))
    });
    Some(claims.collect())
}

/// The claim's name, for hex; or a table that says more.
fn body(item: Item<'_>) -> Option<BodyHash> {
    item.may_be(Shape::Table);
    item.may_be(Shape::Text);
    if let Some(name) = item.value().as_str() {
        let claim = name.to_owned();
        return Some(BodyHash { claim, encoding: Encoding::Hex, optional_without_body: false });
    }
    item.section("scheme.body_claim", |body| {
        let claim = body.required("name", r#"add name = "sha256""#, Item::owned);
        let encoding = body.optional("encoding", |item| {
            item.choice("encoding", Encoding::NAMES, Encoding::from_name)
        });
        let optional = body.optional("optional_without_body", Item::boolean);
        Some(BodyHash {
            claim: claim?,
            encoding: encoding.unwrap_or(Encoding::Hex),
            optional_without_body: optional.unwrap_or(false),
        })
    })
}

/// The URL of a key set; or of single keys, and what is posted there for one.
fn keys(item: Item<'_>) -> Option<KeysAt> {
    item.may_be(Shape::Table);
    if !item.value().is_table() {
        return Some(KeysAt { url: https(item)?, post: None });
    }
    item.section("scheme.jwks_url", |keys| {
        let url = keys.required("url", r#"add url = "https://…""#, https);
        let post = keys.optional("post", Item::owned);
        Some(KeysAt { url: url?, post })
    })
}

fn https(item: Item<'_>) -> Option<String> {
    item.parsed(r#"an https URL ("https://example.com/jwks.json")"#, |text| {
        text.starts_with("https://").then(|| text.to_owned())
    })
}
