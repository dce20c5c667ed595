//! Where a route forwards its events to.

use http::Uri;

use crate::destination::{Destination, SigningKey};
use crate::handler::can_be_reached;

use super::egress;
use super::item::Item;
use super::secrets;
use super::section::Section;

/// What a `forward` says; its table says more about it.
pub(super) fn destination(item: Option<Item<'_>>, table: &mut Section<'_>) -> Option<Destination> {
    let url = item.and_then(|item| item.parsed(r#"a URL as in "https://app.internal/hooks""#, url));
    let private = table.optional("egress_private", egress::ranges).unwrap_or_default();
    let key = match table.item("secret") {
        Some(item) => Some(key(item)?),
        None => None,
    };
    Some(Destination { url: url?, key, private })
}

fn url(text: &str) -> Option<Uri> {
    let is_whole = |url: &Uri| can_be_reached(url) && !text.contains('#');
    text.parse().ok().filter(is_whole)
}

fn key(item: Item<'_>) -> Option<SigningKey> {
    let text = item.section("secret", secrets::text)?;
    let key = SigningKey::parse(&text);
    if key.is_none() {
        let help = "it is `whsec_` and 24 to 64 random bytes in base64: \
                    echo whsec_$(openssl rand -base64 32)";
        item.wrong("the secret is no key of Standard Webhooks", help);
    }
    key
}
