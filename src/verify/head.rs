//! Single values out of a request's headers and query: there, absent, or refused.

use super::refusal::Refusal;
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// What of a request is known before its body.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub headers: &'a HeaderMap,
    /// Path and query as received.
    pub target: &'a str,
}

impl<'a> Head<'a> {
    /// A header's value without spaces and tabs around it. Repeated with the same value it
    /// counts once; with different ones nobody can say which was signed.
    pub fn header(&self, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.headers.get_all(name).iter().map(|value| trim(value.as_bytes()));
        let Some(value) = values.next() else { return Ok(None) };
        if values.any(|other| other != value) {
            return Err(Refusal::Ambiguous(format!("header {name}")));
        }
        match std::str::from_utf8(value) {
            Ok(text) if text.is_ascii() => Ok(Some(text)),
            _ => Err(Refusal::NotText(format!("header {name}"))),
        }
    }

    /// A query parameter's value, percent-decoded; `+` stands for itself.
    pub fn query(&self, key: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == key).map(|(_, value)| value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.any(|other| other != value) {
            return Err(Refusal::Ambiguous(format!("query parameter {key}")));
        }
        match percent_decode(value) {
            Some(text) => Ok(Some(text)),
            None => Err(Refusal::NotText(format!("query parameter {key}"))),
        }
    }

    /// The query with its question mark, as received; empty without one.
    pub fn query_suffix(&self) -> &'a str {
        // `find` gives an index inside the text.
        self.target.find('?').map_or("", |at| &self.target[at..])
    }
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = tail;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NAME: HeaderName = HeaderName::from_static("x-sig");

    fn header(values: &[&[u8]]) -> Result<Option<String>, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_bytes(value).unwrap());
        }
        let head = Head { headers: &headers, target: "/" };
        head.header(&NAME).map(|value| value.map(str::to_owned))
    }

    fn query(target: &str) -> Result<Option<String>, Refusal> {
        let head = Head { headers: &HeaderMap::new(), target };
        head.query("k").map(|value| value.map(Cow::into_owned))
    }

    #[test]
    fn equal_headers_count_once_and_different_ones_are_refused() {
        assert_eq!(header(&[]), Ok(None));
        assert_eq!(header(&[b"a", b" a\t"]), Ok(Some("a".into())));
        assert_eq!(header(&[b"a", b"b"]), Err(Refusal::Ambiguous("header x-sig".into())));
        assert_eq!(header(&[b"a", b"\xff"]), Err(Refusal::Ambiguous("header x-sig".into())));
    }

    #[test]
    fn only_spaces_and_tabs_are_trimmed() {
        assert_eq!(header(&[b" \t a b \t"]), Ok(Some("a b".into())));
        assert_eq!(header(&[b"\t "]), Ok(Some(String::new())));
    }

    #[test]
    fn a_header_that_is_not_ascii_is_refused() {
        for value in ["é".as_bytes(), b"\xff", "\u{a0}a".as_bytes()] {
            assert_eq!(header(&[value]), Err(Refusal::NotText("header x-sig".into())));
        }
    }

    #[test]
    fn a_query_parameter_is_decoded() {
        assert_eq!(query("/p?a=1&k=x%2By%3d+"), Ok(Some("x+y=+".into())));
        assert_eq!(query("/p?k=a=b"), Ok(Some("a=b".into())));
        assert_eq!(query("/k=1"), Ok(None));
        assert_eq!(query("/p?kk=1&K=2"), Ok(None));
        assert_eq!(query("/p?k=1&k=1"), Ok(Some("1".into())));
        assert!(matches!(query("/p?k=1&k=2"), Err(Refusal::Ambiguous(_))));
        for bad in ["/p?k=%", "/p?k=%2", "/p?k=%zz", "/p?k=%+1", "/p?k=%ff"] {
            assert!(matches!(query(bad), Err(Refusal::NotText(_))), "{bad}");
        }
    }

    #[test]
    fn the_query_suffix_is_as_received() {
        let headers = HeaderMap::new();
        for (target, suffix) in [("/p", ""), ("/p?", "?"), ("/p?a=%2f?", "?a=%2f?")] {
            assert_eq!(Head { headers: &headers, target }.query_suffix(), suffix);
        }
    }
}
