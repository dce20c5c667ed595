//! Contentful's request verification:
//! <https://www.contentful.com/developers/docs/webhooks/request-verification/>, and `@contentful/node-apps-toolkit`.

use super::{Claim, Code, url};
use crate::verify::head::Head;
use crate::verify::{Refusal, Request};
use http::HeaderName;
use std::collections::BTreeSet;

pub(super) static SIGNATURE: HeaderName = HeaderName::from_static("x-contentful-signature");
pub(super) static SIGNED_HEADERS: HeaderName =
    HeaderName::from_static("x-contentful-signed-headers");
pub(super) static TIMESTAMP: HeaderName = HeaderName::from_static("x-contentful-timestamp");

/// Signed headers at the most; Contentful lists a handful.
const HEADERS: usize = 64;

/// How far from now a request may have been signed, in milliseconds.
const TOLERANCE_MS: u64 = 30_000;

/// Method, path, the listed headers and body, a line each.
pub(super) fn claim(request: &Request, path: &str, now_unix_ms: i64) -> Result<Claim, Refusal> {
    let head = Head { headers: &request.headers, target: &request.target };
    check_time(need(head, &TIMESTAMP)?, now_unix_ms)?;
    let path = signed_path(path, head.query_suffix());
    let start = [request.method.as_str(), &*path, &signed_headers(head)?, ""].join("\n");
    Ok(Claim {
        contents: vec![[start.as_bytes(), &request.body].concat()],
        signatures: Code::Contentful.offered(head)?,
    })
}

fn need<'a>(head: Head<'a>, name: &HeaderName) -> Result<&'a str, Refusal> {
    head.header(name)?.ok_or_else(|| Refusal::Missing(format!("header {name}")))
}

fn check_time(text: &str, now_unix_ms: i64) -> Result<(), Refusal> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let at: i64 = text.parse().ok().filter(|_| is_digits).ok_or(Refusal::MalformedTimestamp)?;
    if now_unix_ms.abs_diff(at) > TOLERANCE_MS { Err(Refusal::Stale) } else { Ok(()) }
}

/// The library escapes the query once by itself and once more with the path.
fn signed_path(path: &str, query: &str) -> String {
    // What follows a second question mark is left out.
    match query.split('?').nth(1).filter(|query| !query.is_empty()) {
        Some(query) => url::escaped(&[path, "?", &url::escaped(query, false)].concat(), true),
        None => url::escaped(path, true),
    }
}

/// `name:value;…`, sorted; the list itself and the time are always among them.
fn signed_headers(head: Head<'_>) -> Result<String, Refusal> {
    let listed = need(head, &SIGNED_HEADERS)?.split(',').map(str::trim);
    let listed: BTreeSet<&str> =
        listed.chain([SIGNED_HEADERS.as_str(), TIMESTAMP.as_str()]).collect();
    if listed.len() > HEADERS {
        return Err(Refusal::MalformedSignature);
    }
    let names: Vec<&str> = listed.iter().copied().collect();
    let pair = |name: &str| {
        if name == SIGNED_HEADERS.as_str() {
            return Ok(format!("{name}:{}", names.join(",")));
        }
        let header: HeaderName = name.parse().map_err(|_| Refusal::MalformedSignature)?;
        Ok(format!("{name}:{}", need(head, &header)?))
    };
    let pairs: Vec<_> = names.iter().map(|name| pair(name)).collect::<Result<_, _>>()?;
    Ok(pairs.join(";"))
}
