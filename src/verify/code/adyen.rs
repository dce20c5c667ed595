//! Adyen's standard webhooks:
//! <https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures>. The
//! signature stands in the body, one for each item of the batch.

use super::Claim;
use crate::pointer::Pointer;
use crate::verify::{Encoding, Refusal, Request};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Items of one batch at the most; Adyen sends one, and six at the most.
const ITEMS: usize = 64;

/// Which of its two shapes a body has: one that says it is a batch is no item, whatever else it holds.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "notificationItems", default, deserialize_with = "present")]
    is_batch: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch<'a> {
    #[serde(borrow)]
    notification_items: Vec<Wrapped<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wrapped<'a> {
    #[serde(borrow)]
    notification_request_item: Item<'a>,
}

/// A field that repeats is an error: nobody could say which was signed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    psp_reference: Scalar<'a>,
    #[serde(borrow, default)]
    original_reference: Scalar<'a>,
    #[serde(borrow, default)]
    merchant_account_code: Scalar<'a>,
    #[serde(borrow, default)]
    merchant_reference: Scalar<'a>,
    #[serde(borrow)]
    amount: Amount<'a>,
    #[serde(borrow)]
    event_code: Scalar<'a>,
    #[serde(borrow, default)]
    success: Scalar<'a>,
    #[serde(borrow)]
    additional_data: Additional<'a>,
}

#[derive(Deserialize)]
struct Amount<'a> {
    #[serde(borrow, default)]
    value: Scalar<'a>,
    #[serde(borrow, default)]
    currency: Scalar<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Additional<'a> {
    #[serde(borrow)]
    hmac_signature: Scalar<'a>,
}

/// A string, or a number as it is written.
#[derive(Deserialize, Default)]
#[serde(transparent)]
struct Scalar<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl Scalar<'_> {
    fn text(&self) -> Result<String, Refusal> {
        let raw = self.0.map_or("null", RawValue::get);
        match raw.as_bytes() {
            [b'"', ..] => serde_json::from_str(raw).map_err(|_| Refusal::UnreadableBody),
            [b'{' | b'[', ..] => Err(Refusal::UnreadableBody),
            b"null" => Ok(String::new()),
            _ => Ok(raw.to_owned()),
        }
    }
}

/// A field that is there, whatever it holds.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(field).map(|_| true)
}

/// One claim for each item; an item may also come alone.
pub(super) fn claims(request: &Request) -> Result<Vec<Claim>, Refusal> {
    let items = items(&request.body).ok_or(Refusal::UnreadableBody)?;
    match items.len() {
        0 => Err(Refusal::MissingSignature),
        1..=ITEMS => items.iter().map(claim).collect(),
        _ => Err(Refusal::UnreadableBody),
    }
}

fn items(body: &[u8]) -> Option<Vec<Item<'_>>> {
    // `serde` would also take the values of an object without their names.
    let b'{' = body.trim_ascii_start().first()? else { return None };
    let Shape { is_batch } = serde_json::from_slice(body).ok()?;
    if !is_batch {
        return Some(vec![serde_json::from_slice(body).ok()?]);
    }
    let batch: Batch<'_> = serde_json::from_slice(body).ok()?;
    Some(batch.notification_items.into_iter().map(|item| item.notification_request_item).collect())
}

fn claim(item: &Item<'_>) -> Result<Claim, Refusal> {
    let signature = item.additional_data.hmac_signature.text()?;
    let signature = Encoding::Base64.decode(&signature).filter(|bytes| bytes.len() == 32);
    Ok(Claim {
        contents: vec![content(item)?.into_bytes()],
        signatures: vec![signature.ok_or(Refusal::MalformedSignature)?],
    })
}

/// Whether what stands there is signed. Of an item that comes alone nothing is said to be: a batch
/// may hold the same names beside its items.
pub(super) fn covers(pointer: &Pointer) -> bool {
    const SIGNED: [&str; 8] = [
        "pspReference",
        "originalReference",
        "merchantAccountCode",
        "merchantReference",
        "amount/value",
        "amount/currency",
        "eventCode",
        "success",
    ];
    let item = pointer.as_str().strip_prefix("/notificationItems/");
    let inside = item.and_then(|item| item.split_once("/NotificationRequestItem/"));
    inside.is_some_and(|(index, field)| !index.contains('/') && SIGNED.contains(&field))
}

fn content(item: &Item<'_>) -> Result<String, Refusal> {
    let fields = [
        &item.psp_reference,
        &item.original_reference,
        &item.merchant_account_code,
        &item.merchant_reference,
        &item.amount.value,
        &item.amount.currency,
        &item.event_code,
        &item.success,
    ];
    let texts: Vec<_> = fields.into_iter().map(Scalar::text).collect::<Result<_, _>>()?;
    Ok(texts.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_batch_says_what_a_body_is() {
        let signature = Encoding::Base64.encode(&[7; 32]);
        let item = format!(
            r#"{{"pspReference":"1","amount":{{"currency":"EUR","value":1}},"eventCode":"CAPTURE","additionalData":{{"hmacSignature":"{signature}"}}}}"#
        );
        let wrapped = format!(r#"{{"NotificationRequestItem":{item}}}"#);
        let beside = |batch: &str| item.replacen('{', &format!("{{{batch},"), 1);
        for (body, count) in [
            (item.clone(), Some(1)),
            (format!(" {item}"), Some(1)),
            (format!(r#"{{"notificationItems":[{wrapped}]}}"#), Some(1)),
            (format!(r#"{{"live":"true","notificationItems":[{wrapped},{wrapped}]}}"#), Some(2)),
            (beside(&format!(r#""notificationItems":[{wrapped}]"#)), Some(1)),
            (beside(r#""notificationItems":[]"#), Some(0)),
            // A captured item beside a batch that cannot be read vouches for nothing.
            (
                beside(r#""notificationItems":[{"NotificationRequestItem":{"eventCode":"X"}}]"#),
                None,
            ),
            (beside(r#""notificationItems":[{}]"#), None),
            (beside(r#""notificationItems":{}"#), None),
            (beside(r#""notificationItems":null"#), None),
            (beside(r#""notificationItems":"""#), None),
            (beside(r#""notification\u0049tems":null"#), None),
            (beside(r#""notificationItems":[],"notificationItems":[]"#), None),
            (beside(&format!(r#""notificationItems":[{wrapped}],"notificationItems":[]"#)), None),
            (format!("[[{wrapped}]]"), None),
            (format!("[{item}]"), None),
            (r#"["1",null,null,null,{},"CAPTURE",null,{"hmacSignature":""}]"#.to_owned(), None),
            ("{}".to_owned(), None),
            ("null".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(items(body.as_bytes()).map(|items| items.len()), count, "{body}");
        }
    }
}
