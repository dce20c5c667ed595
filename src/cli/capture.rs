//! A captured HTTP request, as raw bytes: from a proxy, a packet dump, or typed by hand.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use thiserror::Error;

use crate::server::HEADER_FIELDS;
use crate::verify::{Request, Step};

/// A request, and what reading it showed.
#[derive(Debug)]
pub struct Capture {
    pub request: Request,
    pub steps: Vec<Step>,
}

/// Why the bytes are no request.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CaptureError {
    #[error("it does not begin with a request line, such as `POST /hooks/acme HTTP/1.1`")]
    RequestLine,
    #[error("its headers cannot be read: {0}")]
    Headers(httparse::Error),
    #[error("its header {0} cannot be read")]
    Header(String),
}

/// Reads a request. Lines may end with LF alone, and the version may be one of HTTP/2 or 3.
pub fn read(bytes: &[u8]) -> Result<Capture, CaptureError> {
    let (head, body) = split(bytes.trim_ascii_start());
    let (line, fields) =
        head.split_at(head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len()));
    let (method, target) = request_line(line).ok_or(CaptureError::RequestLine)?;
    let headers = headers(&[fields.trim_ascii(), b"\r\n\r\n"].concat())?;
    let mut steps = Vec::new();
    let body = Bytes::copy_from_slice(&framed(&headers, body, &mut steps));
    let peer = Ipv4Addr::LOCALHOST.into();
    Ok(Capture { request: Request { method, target, headers, body, peer }, steps })
}

/// The head, and what follows its empty line.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut from = 0;
    while let Some(at) =
        bytes.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
    {
        let after = from + at + 1;
        let rest = bytes.get(after..).unwrap_or_default();
        for end in [&b"\n"[..], b"\r\n"] {
            if let Some(body) = rest.strip_prefix(end) {
                return (bytes.get(..after).unwrap_or_default(), body);
            }
        }
        from = after;
    }
    (bytes, &[])
}

fn request_line(line: &[u8]) -> Option<(Method, String)> {
    let line = str::from_utf8(line).ok()?.trim_ascii_end();
    let (method, rest) = line.split_once(' ')?;
    let (target, version) = rest.rsplit_once(' ').unwrap_or((rest, "HTTP/1.1"));
    let uri: Uri = target.parse().ok().filter(|_| version.starts_with("HTTP/"))?;
    let target = uri.path_and_query().map(|target| target.as_str())?;
    Some((method.parse().ok()?, target.to_owned()))
}

fn headers(fields: &[u8]) -> Result<HeaderMap, CaptureError> {
    let mut parsed = vec![httparse::EMPTY_HEADER; HEADER_FIELDS];
    let fields = match httparse::parse_headers(fields, &mut parsed) {
        Ok(httparse::Status::Complete((_, fields))) => fields,
        Ok(httparse::Status::Partial) => &[],
        Err(error) => return Err(CaptureError::Headers(error)),
    };
    let mut headers = HeaderMap::new();
    for field in fields {
        let (name, value) =
            (field.name.parse::<HeaderName>(), HeaderValue::from_bytes(field.value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(CaptureError::Header(field.name.to_owned()));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// The body as its headers frame it; a capture may have it framed or not.
fn framed(headers: &HeaderMap, rest: &[u8], steps: &mut Vec<Step>) -> Vec<u8> {
    let is_chunked = headers
        .get(TRANSFER_ENCODING)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if is_chunked && let Some(body) = dechunked(rest) {
        return body;
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(length) = length.filter(|_| !is_chunked) else { return rest.to_vec() };
    let found = match rest.len() {
        found if found > length => format!("{found} bytes: what follows is left out"),
        found if found < length => format!("{found} bytes: the capture is not whole"),
        found => format!("{found} bytes"),
    };
    let expected = format!("{length} bytes, by Content-Length");
    steps.push(Step::new("body", expected, found, rest.len() >= length));
    rest.get(..length).unwrap_or(rest).to_vec()
}

fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        let (size, after) = rest.split_at(line + 1);
        let size = str::from_utf8(size).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|_| !size.starts_with('+'))?;
        if size == 0 {
            return Some(body);
        }
        let (chunk, after) = after.split_at_checked(size)?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n"))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> (String, Vec<(String, bool)>) {
        let capture = read(text.as_bytes()).unwrap();
        let steps = capture.steps.into_iter().map(|step| (step.found, step.passed)).collect();
        (String::from_utf8(capture.request.body.to_vec()).unwrap(), steps)
    }

    #[test]
    fn a_request_is_read_however_its_lines_end() {
        for line in ["\r\n", "\n"] {
            for start in [
                "POST /in/a?b=c HTTP/1.1",
                "POST /in/a?b=c HTTP/2",
                "POST http://h/in/a?b=c HTTP/1.1",
                "POST /in/a?b=c",
            ] {
                let text = ["", start, "X-A: 1", "x-a:  2 ", "", "one\r\n\r\ntwo\n"].join(line);
                let Capture { request, steps } = read(text.as_bytes()).unwrap();
                assert_eq!(
                    (request.method, &*request.target),
                    (Method::POST, "/in/a?b=c"),
                    "{text:?}"
                );
                assert_eq!(request.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
                assert_eq!(
                    (&request.body[..], steps.len()),
                    (&b"one\r\n\r\ntwo\n"[..], 0),
                    "{text:?}"
                );
            }
        }
        assert_eq!(read(b"GET / HTTP/1.1").unwrap().request.method, Method::GET);
    }

    #[test]
    fn the_body_is_what_the_headers_frame() {
        let (long, short) =
            ("9 bytes: what follows is left out", "3 bytes: the capture is not whole");
        for (text, expected, steps) in [
            ("content-length: 8\n\nthe body\n", "the body", vec![(long, true)]),
            ("content-length: 8\n\nthe", "the", vec![(short, false)]),
            ("content-length: 3\n\nthe", "the", vec![("3 bytes", true)]),
            (
                "transfer-encoding: chunked\r\n\r\n3;x=y\r\nthe\r\n5\r\n body\r\n0\r\n\r\n",
                "the body",
                vec![],
            ),
            ("transfer-encoding: Chunked\n\n3\r\nthe\r\n0\r\n\r\n", "the", vec![]),
            ("transfer-encoding: chunked\n\nthe body", "the body", vec![]),
            ("\nthe body", "the body", vec![]),
        ] {
            let steps: Vec<_> =
                steps.into_iter().map(|(found, passed)| (found.to_owned(), passed)).collect();
            assert_eq!(
                body(&format!("POST / HTTP/1.1\n{text}")),
                (expected.to_owned(), steps),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_request_is_told() {
        for bytes in
            [&b""[..], b"{}", b"\n\n", b"\xff / HTTP/1.1\n\n", b"POST\n\n", b"POST / FTP/1.1\n\n"]
        {
            assert_eq!(read(bytes).unwrap_err(), CaptureError::RequestLine, "{bytes:?}");
        }
        for bytes in [
            &b"POST / HTTP/1.1\nno colon\n\n"[..],
            b"POST / HTTP/1.1\nx y: 1\n\n",
            b"POST / HTTP/1.1\n a: 1\nb: 2\n c\n\n",
        ] {
            assert!(matches!(read(bytes), Err(CaptureError::Headers(_))), "{bytes:?}");
        }
    }

    #[test]
    fn fuzzed_captures_are_requests_or_told_why_not() {
        crate::fuzz::fuzz("capture", |input| match read(input) {
            Ok(Capture { request, .. }) => {
                assert!(request.body.len() <= input.len());
                assert!(request.target.starts_with(['/', '*', '?']), "{}", request.target);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        });
    }
}
