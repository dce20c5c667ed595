//! The last refused requests of each source, in memory alone, so that somebody can be told why.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};

use crate::verify::{Refusal, Request};

/// Requests that are kept of each source.
pub const KEPT: usize = 16;
/// Bytes that are kept of each source.
pub const KEPT_BYTES: usize = 256 * 1024;
/// Bytes of a body that is kept: of a larger one only its length is.
pub const KEPT_BODY: usize = 64 * 1024;

/// A request that is being refused.
pub struct Refusing {
    /// Why.
    pub refusal: Refusal,
    pub request: Request,
    /// When it had come in, in milliseconds since 1970.
    pub at: u64,
    /// Whether its body was read.
    pub has_body: bool,
}

/// A request that was refused.
pub struct Kept {
    pub request: Request,
    /// When it had come in, in milliseconds since 1970.
    pub at: u64,
    /// Why it was refused.
    pub refusal: Refusal,
    /// The length of the body, if it was read.
    pub body_bytes: Option<usize>,
    /// Whether the body is in the request.
    pub has_body: bool,
    size: usize,
}

/// The last refused requests by source. They outlive reloads, and no process.
#[derive(Default)]
pub struct Refused(Mutex<HashMap<Arc<str>, VecDeque<Arc<Kept>>>>);

impl Refused {
    /// Keeps a request, in place of older ones of its source.
    pub fn keep(&self, source: &Arc<str>, refusing: Refusing) {
        let kept = Kept::new(refusing);
        if kept.size > KEPT_BYTES {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = all.entry(source.clone()).or_default();
        list.push_back(Arc::new(kept));
        while list.len() > KEPT || list.iter().map(|kept| kept.size).sum::<usize>() > KEPT_BYTES {
            list.pop_front();
        }
    }

    /// The last refused requests of a source, the latest first.
    pub fn of(&self, source: &str) -> Vec<Arc<Kept>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(source).into_iter().flatten().rev().cloned().collect()
    }
}

impl Kept {
    fn new(Refusing { refusal, mut request, at, has_body }: Refusing) -> Self {
        let length = request.body.len();
        let is_kept = has_body && length <= KEPT_BODY;
        // A copy: the bytes may be a small part of a connection's buffer.
        request.body = if is_kept { Bytes::copy_from_slice(&request.body) } else { Bytes::new() };
        request.headers.remove(COOKIE);
        request.headers.remove(PROXY_AUTHORIZATION);
        if !matches!(refusal, Refusal::Mismatch | Refusal::MalformedSignature) {
            request.headers.remove(AUTHORIZATION);
        }
        let fields = request.headers.iter();
        let head: usize = fields.map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        let size = request.target.len() + head + request.body.len();
        Self {
            request,
            at,
            refusal,
            body_bytes: has_body.then_some(length),
            has_body: is_kept,
            size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, Method};
    use std::net::IpAddr;

    fn refusing(at: u64, body: usize) -> Refusing {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("hush"));
        let request = Request {
            method: Method::POST,
            target: "/".into(),
            headers,
            body: vec![b'x'; body].into(),
            peer: IpAddr::from([127, 0, 0, 1]),
        };
        Refusing { refusal: Refusal::Mismatch, request, at, has_body: true }
    }

    #[test]
    fn the_last_ones_are_kept_within_their_number_and_bytes() {
        let (refused, source) = (Refused::default(), Arc::from("s"));
        for at in 0..20 {
            refused.keep(&source, refusing(at, 10));
        }
        let times =
            |refused: &Refused| refused.of("s").iter().map(|kept| kept.at).collect::<Vec<_>>();
        assert_eq!(times(&refused), (4..20).rev().collect::<Vec<_>>());
        for at in 20..26 {
            refused.keep(&source, refusing(at, KEPT_BODY));
        }
        // Four bodies of a quarter of the bytes, and their heads, are too much.
        assert_eq!(times(&refused), [25, 24, 23]);
        assert!(refused.of("other").is_empty());
    }

    #[test]
    fn of_a_large_body_only_the_length_is_kept_and_no_cookie_ever() {
        let (refused, source) = (Refused::default(), Arc::from("s"));
        refused.keep(&source, refusing(0, KEPT_BODY + 1));
        refused.keep(&source, refusing(0, KEPT_BODY));
        let [whole, large] = &refused.of("s")[..] else { panic!() };
        assert_eq!((large.body_bytes, large.has_body), (Some(KEPT_BODY + 1), false));
        assert_eq!((large.request.body.len(), whole.request.body.len()), (0, KEPT_BODY));
        assert!(whole.has_body && whole.request.headers.is_empty());
    }
}
