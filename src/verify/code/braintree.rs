//! Braintree: <https://developer.paypal.com/braintree/docs/guides/webhooks/parse>, and the webhook gateways of its
//! libraries. The event is base64 of XML in a form's field.

use super::Claim;
use super::form::{self, Field};
use crate::pointer::Pointer;
use crate::verify::{Encoding, Refusal, Request};

const PAYLOAD: &str = "bt_payload";

/// Signatures that are looked at.
const SIGNATURES: usize = 32;

/// Whether what stands there is signed: of the form, one field is.
pub(super) fn covers(pointer: &Pointer) -> bool {
    pointer.leads_to_member(PAYLOAD)
}

/// What of the form is signed, without the line break that may be behind it.
pub(super) fn payload<'f>(fields: &'f [Field<'_>]) -> Result<&'f str, Refusal> {
    form::need(fields, PAYLOAD).map(|payload| payload.trim_end_matches('\n'))
}

/// Any of the signatures, each behind the public key that it goes with, fits the payload as it
/// stands in the form, or with a line break behind it.
pub(super) fn claim(request: &Request) -> Result<Claim, Refusal> {
    let fields = form::fields(request)?.ok_or(Refusal::UnreadableBody)?;
    let payload = form::need(&fields, PAYLOAD)?;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+=/\n".contains(&byte);
    if payload.is_empty() || !payload.bytes().all(is_base64) {
        return Err(Refusal::UnreadableBody);
    }
    let pairs = form::need(&fields, "bt_signature")?.split('&').take(SIGNATURES);
    let signatures = pairs.filter_map(|pair| {
        let (_public_key, signature) = pair.split_once('|')?;
        Encoding::Hex.decode(signature).filter(|bytes| bytes.len() == 20)
    });
    let signatures: Vec<_> = signatures.collect();
    if signatures.is_empty() {
        return Err(Refusal::MalformedSignature);
    }
    let with_break = [payload, "\n"].concat().into_bytes();
    Ok(Claim { contents: vec![payload.into(), with_break], signatures })
}
