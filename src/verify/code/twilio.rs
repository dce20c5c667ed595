//! Twilio: <https://www.twilio.com/docs/usage/webhooks/webhooks-security>, and the request validators
//! of its libraries.

use super::form::{self, Field};
use super::{Claim, Code, url};
use crate::verify::head::Head;
use crate::verify::{Encoding, Refusal, Request};
use http::HeaderName;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub(super) static SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");

/// The parameter of the URL that holds the hash of a body which is no form.
const BODY_HASH: &str = "bodySHA256";

/// A form is signed with the URL, anything else through its hash in the URL. `public_url` has no
/// query.
pub(super) fn claim(request: &Request, public_url: &str) -> Result<Claim, Refusal> {
    let head = Head { headers: &request.headers, target: &request.target };
    let signed = unique(form::fields(request)?.unwrap_or_default());
    // What adds nothing to what is signed, the hash must vouch for: also a form that is `=`.
    if signed.is_empty() {
        check_hash(head, &request.body)?;
    }
    let contents = urls(public_url, head.query_suffix());
    Ok(Claim {
        contents: contents.into_iter().map(|url| (url + &signed).into_bytes()).collect(),
        signatures: Code::Twilio.offered(head)?,
    })
}

/// What a sender writes into the URL for a body that is no form.
pub(super) fn hash_parameter(body: &[u8]) -> String {
    format!("{BODY_HASH}={}", hex::encode(Sha256::digest(body)))
}

fn check_hash(head: Head<'_>, body: &[u8]) -> Result<(), Refusal> {
    let Some(claimed) = head.query(BODY_HASH)? else {
        let missing = Refusal::Missing(format!("query parameter {BODY_HASH}"));
        return if body.is_empty() { Ok(()) } else { Err(missing) };
    };
    let claimed = Encoding::Hex.decode(&claimed).ok_or(Refusal::MalformedSignature)?;
    let matches = claimed.ct_eq(&Sha256::digest(body)[..]);
    if bool::from(matches) { Ok(()) } else { Err(Refusal::Mismatch) }
}

/// What of a form is signed: a name with the same value twice counts once.
pub(super) fn unique(mut fields: Vec<Field<'_>>) -> String {
    fields.sort();
    fields.dedup();
    form::sorted(fields)
}

/// The URL as Twilio may have signed it: with and without the port, which depends on the product,
/// and with a query in which more or less is escaped than in the one that was sent.
fn urls(public_url: &str, query: &str) -> Vec<String> {
    let mut queries = vec![query.to_owned(), query.replace('\'', "%27"), url::reencoded(query)];
    queries.dedup();
    let with_query = |base: String| queries.iter().map(move |query| [&*base, query].concat());
    [url::without_port(public_url), url::with_port(public_url)]
        .into_iter()
        .flat_map(with_query)
        .collect()
}
