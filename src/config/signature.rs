//! The table `signature` of a described scheme.

use crate::verify::hmac::{SignatureAt, SignatureSpec};

use super::item::Item;
use super::section::Section;

/// What is between fields, and within one, unless the file says otherwise.
const ITEM_SEPARATOR: &str = ",";
const KV_SEPARATOR: &str = "=";

const KEY: &str = r#"add key = "v1", or whatever the field of the signature is called"#;

/// Where the signature is and how it is written: a [`SignatureSpec`] that owns its lists.
pub(super) enum Signature<'a> {
    Whole { at: At<'a>, prefix: &'a str, also_prefix: Vec<&'a str>, separator: &'a str },
    Fields { headers: Vec<&'a str>, item_separator: &'a str, kv_separator: &'a str, key: &'a str },
}

pub(super) enum At<'a> {
    Headers(Vec<&'a str>),
    Query(&'a str),
    Body(&'a str),
}

impl<'a> Signature<'a> {
    pub fn read(signature: &mut Section<'a>) -> Option<Self> {
        let names = ["whole", "kv"];
        let parse = signature.optional("parse", |item| {
            item.choice("way of parsing", &names, |name| {
                names.iter().position(|known| *known == name)
            })
        });
        match parse {
            Some(1) => Self::fields(signature),
            _ => Self::whole(signature),
        }
    }

    fn whole(signature: &mut Section<'a>) -> Option<Self> {
        let at = match signature.one_of(&["header", "query", "body"]) {
            Some(("header", item)) => item.texts().map(At::Headers),
            Some(("query", item)) => item.text().map(At::Query),
            Some((_, item)) => item.text().map(At::Body),
            None => None,
        };
        let prefix = signature.optional("prefix", Item::text).unwrap_or_default();
        let also_prefix = signature.optional("also_prefix", Item::texts).unwrap_or_default();
        let separator = signature.optional("separator", Item::text).unwrap_or_default();
        for key in ["item_separator", "kv_separator", "key"] {
            if let Some(item) = signature.item(key) {
                item.wrong(&format!("`{key}` has no effect without `parse = \"kv\"`"), "");
            }
        }
        Some(Self::Whole { at: at?, prefix, also_prefix, separator })
    }

    fn fields(signature: &mut Section<'a>) -> Option<Self> {
        let example = r#"add header = "X-Signature""#;
        let headers = signature.required("header", example, Item::texts);
        let item_separator = signature.optional("item_separator", Item::text);
        let kv_separator = signature.optional("kv_separator", Item::text);
        let key = signature.required("key", KEY, Item::text);
        Some(Self::Fields {
            headers: headers?,
            item_separator: item_separator.unwrap_or(ITEM_SEPARATOR),
            kv_separator: kv_separator.unwrap_or(KV_SEPARATOR),
            key: key?,
        })
    }

    pub fn spec(&self) -> SignatureSpec<'_> {
        match self {
            Self::Whole { at, prefix, also_prefix, separator } => SignatureSpec::Whole {
                at: match at {
                    At::Headers(headers) => SignatureAt::Headers(headers),
                    At::Query(key) => SignatureAt::Query(key),
                    At::Body(pointer) => SignatureAt::Body(pointer),
                },
                prefix,
                also_prefix,
                separator,
            },
            Self::Fields { headers, item_separator, kv_separator, key } => {
                SignatureSpec::Fields { headers, item_separator, kv_separator, key }
            }
        }
    }
}
