//! Mandrill (Mailchimp Transactional):
//! <https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/#authenticating-webhook-requests>.

use super::{Claim, Code, form};
use crate::verify::head::Head;
use crate::verify::{Refusal, Request};
use http::HeaderName;

pub(super) static SIGNATURE: HeaderName = HeaderName::from_static("x-mandrill-signature");

/// The URL as it was given to Mandrill, then the sorted names and values of the form.
pub(super) fn claim(request: &Request, public_url: &str) -> Result<Claim, Refusal> {
    let head = Head { headers: &request.headers, target: &request.target };
    let fields = form::fields(request)?.ok_or(Refusal::UnreadableBody)?;
    let content = [public_url, head.query_suffix(), &form::sorted(fields)].concat();
    Ok(Claim { contents: vec![content.into_bytes()], signatures: Code::Mandrill.offered(head)? })
}
