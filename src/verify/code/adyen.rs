//! Adyen's standard webhooks:
//! <https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures>. The signature
//! stands in the body, one for each item of the batch.

use super::Claim;
use crate::verify::{Encoding, Refusal, Request};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Items of one batch at the most; Adyen sends one, and six at the most.
const ITEMS: usize = 64;

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

/// One claim for each item; an item may also come alone.
pub(super) fn claims(request: &Request) -> Result<Vec<Claim>, Refusal> {
    let items: Vec<Item<'_>> = match serde_json::from_slice::<Batch<'_>>(&request.body) {
        Ok(batch) => batch
            .notification_items
            .into_iter()
            .map(|item| item.notification_request_item)
            .collect(),
        Err(_) => {
            let item = serde_json::from_slice(&request.body);
            vec![item.map_err(|_| Refusal::UnreadableBody)?]
        }
    };
    match items.len() {
        0 => Err(Refusal::MissingSignature),
        1..=ITEMS => items.iter().map(claim).collect(),
        _ => Err(Refusal::UnreadableBody),
    }
}

fn claim(item: &Item<'_>) -> Result<Claim, Refusal> {
    let signature = item.additional_data.hmac_signature.text()?;
    let signature = Encoding::Base64.decode(&signature).filter(|bytes| bytes.len() == 32);
    Ok(Claim {
        contents: vec![content(item)?.into_bytes()],
        signatures: vec![signature.ok_or(Refusal::MalformedSignature)?],
    })
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
