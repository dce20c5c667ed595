//! Plivo: <https://www.plivo.com/docs/voice/concepts/signature-validation>, and the libraries'
//! `validate_v3_signature` and `validate_signature`.

use super::form::{self, Field};
use super::{Claim, Code};
use crate::verify::head::Head;
use crate::verify::{Refusal, Request};
use http::HeaderName;

/// The signature under the token of the account or subaccount, and the one under the main account's.
pub(super) static SIGNATURES: [HeaderName; 2] = [
    HeaderName::from_static("x-plivo-signature-v3"),
    HeaderName::from_static("x-plivo-signature-ma-v3"),
];
pub(super) static NONCE: HeaderName = HeaderName::from_static("x-plivo-signature-v3-nonce");

pub(super) static SIGNATURES_V2: [HeaderName; 2] = [
    HeaderName::from_static("x-plivo-signature-v2"),
    HeaderName::from_static("x-plivo-signature-ma-v2"),
];
pub(super) static NONCE_V2: HeaderName = HeaderName::from_static("x-plivo-signature-v2-nonce");

/// URL, sorted query, sorted form, nonce.
pub(super) fn claim(request: &Request, public_url: &str) -> Result<Claim, Refusal> {
    let head = Head { headers: &request.headers, target: &request.target };
    let form = match form::fields(request)? {
        Some(fields) => fields,
        None if request.body.is_empty() => Vec::new(),
        // Nothing of it would be signed.
        None => return Err(Refusal::UnreadableBody),
    };
    let query = head.query_suffix().trim_start_matches('?');
    let query = sorted_query(form_urlencoded::parse(query.as_bytes()).collect());
    let mut content = public_url.to_owned();
    if !query.is_empty() || !form.is_empty() {
        content = content + "?" + &query;
    }
    if !query.is_empty() && !form.is_empty() {
        content.push('.');
    }
    content += &form::sorted(form);
    let nonce = head.header(&NONCE)?.ok_or(Refusal::Missing(format!("header {NONCE}")))?;
    content = content + "." + nonce;
    let signatures = Code::Plivo.offered(head)?;
    Ok(Claim { contents: vec![content.into_bytes()], signatures })
}

/// URL and nonce: nothing of the event.
pub(super) fn claim_v2(request: &Request, public_url: &str) -> Result<Claim, Refusal> {
    let head = Head { headers: &request.headers, target: &request.target };
    let nonce = head.header(&NONCE_V2)?.ok_or(Refusal::Missing(format!("header {NONCE_V2}")))?;
    let signatures = Code::PlivoV2.offered(head)?;
    Ok(Claim { contents: vec![[public_url, nonce].concat().into_bytes()], signatures })
}

fn sorted_query(mut pairs: Vec<Field<'_>>) -> String {
    pairs.sort();
    let items: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    items.join("&")
}
