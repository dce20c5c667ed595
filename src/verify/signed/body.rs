//! Which body is signed: as it came in, or what it decompresses to.

use super::spec::SignedBody;
use crate::verify::{Refusal, Request};
use flate2::read::MultiGzDecoder;
use http::header::CONTENT_ENCODING;
use std::borrow::Cow;
use std::io::Read as _;

/// A body may decompress to this many times its size, and to no more: gzip reaches a thousand.
const RATIO: u64 = 100;

/// The body that the scheme signs.
pub(super) fn signed(request: &Request, which: SignedBody) -> Result<Cow<'_, [u8]>, Refusal> {
    let is_gzip = || {
        let mut encodings = request.headers.get_all(CONTENT_ENCODING).iter();
        encodings.any(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"gzip"))
    };
    if which == SignedBody::Received || !is_gzip() {
        return Ok(Cow::Borrowed(&request.body));
    }
    let limit = (request.body.len() as u64).saturating_mul(RATIO);
    let mut decoded = Vec::new();
    let mut bounded = MultiGzDecoder::new(&*request.body).take(limit + 1);
    match bounded.read_to_end(&mut decoded) {
        Ok(length) if length as u64 <= limit => Ok(Cow::Owned(decoded)),
        _ => Err(Refusal::UnreadableBody),
    }
}
