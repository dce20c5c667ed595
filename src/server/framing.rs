//! Which requests are refused because two readers could disagree on where they end.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{Request, StatusCode, Version};

/// More header fields than this get 431. It is what hyper's HTTP/1 parser has room for.
pub const HEADER_FIELDS: usize = 100;

/// Judges a request that hyper has parsed. What hyper repairs in silence is refused
/// before hyper sees it, by [`super::framer`].
///
/// # Errors
/// The status to answer with.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), StatusCode> {
    let headers = request.headers();
    if headers.len() > HEADER_FIELDS {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let several = |name| headers.get_all(name).iter().nth(1).is_some();
    let hostless = request.version() == Version::HTTP_11 && !headers.contains_key(HOST);
    let coded = headers
        .get(TRANSFER_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    // RFC 9112 §3.2: no Host, or several, is 400.
    if hostless || coded || several(HOST) || several(CONTENT_LENGTH) {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().version(version);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    fn status(version: Version, headers: &[(&str, &str)]) -> u16 {
        check(&request(version, headers)).map_or_else(|status| status.as_u16(), |()| 200)
    }

    #[test]
    fn one_host_is_needed_by_http_1_1_only() {
        assert_eq!(status(Version::HTTP_11, &[("host", "a")]), 200);
        assert_eq!(status(Version::HTTP_11, &[]), 400);
        assert_eq!(status(Version::HTTP_11, &[("host", "a"), ("host", "a")]), 400);
        assert_eq!(status(Version::HTTP_10, &[]), 200);
        assert_eq!(status(Version::HTTP_2, &[]), 200);
    }

    #[test]
    fn chunked_is_the_only_coding() {
        let coded =
            |coding| status(Version::HTTP_11, &[("host", "a"), ("transfer-encoding", coding)]);
        assert_eq!(coded("Chunked"), 200);
        assert_eq!(coded("gzip, chunked"), 400);
        assert_eq!(coded("chunked, chunked"), 400);
    }

    #[test]
    fn one_length_at_most() {
        assert_eq!(status(Version::HTTP_2, &[("content-length", "1")]), 200);
        let twice = [("content-length", "1"), ("content-length", "1")];
        assert_eq!(status(Version::HTTP_2, &twice), 400);
    }

    #[test]
    fn fields_are_counted() {
        let fields = vec![("x", "y"); HEADER_FIELDS];
        assert_eq!(status(Version::HTTP_2, &fields), 200);
        let fields = vec![("x", "y"); HEADER_FIELDS + 1];
        assert_eq!(status(Version::HTTP_2, &fields), 431);
    }
}
