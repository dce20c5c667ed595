//! The table `signature` of a described scheme.

use crate::verify::signed::{SignatureAt, SignatureSpec};

use super::item::Item;
use super::section::Section;

/// What is between fields, and within one, unless the file says otherwise.
const ITEM_SEPARATOR: &str = ",";
const KV_SEPARATOR: &str = "=";

const HEADER: &str = r#"add header = "X-Signature""#;
const KEY: &str = r#"add key = "v1", or whatever the field of the signature is called"#;

/// Where the signature is and how it is written.
pub(super) fn read(signature: &mut Section<'_>) -> Option<SignatureSpec> {
    let names = ["whole", "kv", "list"];
    let parse = signature.optional("parse", |item| {
        item.choice("way of parsing", &names, |name| names.into_iter().find(|known| *known == name))
    });
    match parse {
        Some("kv") => fields(signature),
        Some("list") => list(signature),
        _ => whole(signature),
    }
}

fn whole(signature: &mut Section<'_>) -> Option<SignatureSpec> {
    let at = match signature.one_of(&["header", "query", "body"], "") {
        Some(("header", item)) => item.owned_texts().map(SignatureAt::Headers),
        Some(("query", item)) => item.owned().map(SignatureAt::Query),
        Some((_, item)) => item.owned().map(SignatureAt::Body),
        None => None,
    };
    let prefix = signature.optional("prefix", Item::owned).unwrap_or_default();
    let also_prefix = signature.optional("also_prefix", Item::owned_texts).unwrap_or_default();
    let separator = signature.optional("separator", Item::owned).unwrap_or_default();
    for key in ["group_separator", "item_separator", "kv_separator", "key"] {
        if let Some(item) = signature.item(key) {
            item.wrong(&format!("`{key}` has no effect without `parse = \"kv\"`"), "");
        }
    }
    Some(SignatureSpec::Whole { at: at?, prefix, also_prefix, separator })
}

fn fields(signature: &mut Section<'_>) -> Option<SignatureSpec> {
    let headers = signature.required("header", HEADER, Item::owned_texts);
    let group_separator = signature.optional("group_separator", Item::owned);
    let item_separator = signature.optional("item_separator", Item::owned);
    let kv_separator = signature.optional("kv_separator", Item::owned);
    let key = signature.required("key", KEY, Item::owned);
    Some(SignatureSpec::Fields {
        headers: headers?,
        group_separator: group_separator.unwrap_or_default(),
        item_separator: item_separator.unwrap_or_else(|| ITEM_SEPARATOR.to_owned()),
        kv_separator: kv_separator.unwrap_or_else(|| KV_SEPARATOR.to_owned()),
        key: key?,
    })
}

fn list(signature: &mut Section<'_>) -> Option<SignatureSpec> {
    let headers = signature.required("header", HEADER, Item::owned_texts);
    let item_separator = signature.optional("item_separator", Item::owned);
    Some(SignatureSpec::List {
        headers: headers?,
        item_separator: item_separator.unwrap_or_else(|| ITEM_SEPARATOR.to_owned()),
    })
}
