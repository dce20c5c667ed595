//! The URL that a sender calls, in the spellings that senders sign.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The parts of a URL around its port: what stands before it, the port with its colon, the rest.
fn split(url: &str) -> (&str, &str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    // A colon within brackets belongs to an IPv6 address.
    let from = url[host..end].rfind([']', '@']).map_or(host, |at| host + at);
    let port = url[from..end].find(':').map_or(end, |at| from + at);
    (&url[..port], &url[port..end], &url[end..])
}

/// The path of a URL; without one, that of the request.
pub(super) fn path<'a>(url: &'a str, target: &'a str) -> &'a str {
    let (_, _, path) = split(url);
    match path {
        "" => target.split('?').next().unwrap_or(target),
        path => path,
    }
}

pub(super) fn without_port(url: &str) -> String {
    let (before, _, after) = split(url);
    [before, after].concat()
}

/// With the port that its scheme stands for, unless it names one.
pub(super) fn with_port(url: &str) -> String {
    let (before, port, after) = split(url);
    let default = if url.starts_with("https:") { ":443" } else { ":80" };
    [before, if port.is_empty() { default } else { port }, after].concat()
}

/// A query, with its question mark, decoded and encoded anew as JavaScript does; the values of a
/// name that repeats stand where the first one stood.
pub(super) fn reencoded(query: &str) -> String {
    let Some(query) = query.strip_prefix('?').filter(|query| !query.is_empty()) else {
        return query.to_owned();
    };
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let first = |name: &Cow<'_, str>| pairs.iter().position(|(known, _)| known == name);
    let mut ordered: Vec<_> = pairs.iter().collect();
    ordered.sort_by_key(|(name, _)| first(name));
    let items: Vec<_> = ordered
        .into_iter()
        .map(|(name, value)| format!("{}={}", escaped(name, false), escaped(value, false)))
        .collect();
    format!("?{}", items.join("&"))
}

/// Percent-encoded as by `encodeURIComponent`, or with `whole`, as by `encodeURI`.
pub(super) fn escaped(text: &str, whole: bool) -> String {
    let keeps = |byte: u8| {
        let marks: &[u8] = if whole { b"-_.!~*'();/?:@&=+$,#" } else { b"-_.!~*'()" };
        byte.is_ascii_alphanumeric() || marks.contains(&byte)
    };
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keeps(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _written = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_put_in_and_taken_out() {
        for (url, without, with) in [
            ("https://h/p", "https://h/p", "https://h:443/p"),
            ("http://h", "http://h", "http://h:80"),
            ("https://h:8443/p:1", "https://h/p:1", "https://h:8443/p:1"),
            ("https://[::1]/p", "https://[::1]/p", "https://[::1]:443/p"),
            ("https://[::1]:1/p", "https://[::1]/p", "https://[::1]:1/p"),
            ("https://u:p@h/", "https://u:p@h/", "https://u:p@h:443/"),
        ] {
            assert_eq!((&*without_port(url), &*with_port(url)), (without, with), "{url}");
        }
    }

    #[test]
    fn a_query_is_encoded_as_javascript_does() {
        assert_eq!(reencoded(""), "");
        assert_eq!(reencoded("?"), "?");
        assert_eq!(reencoded("?a=%27&b=x+y&a=/é"), "?a='&a=%2F%C3%A9&b=x%20y");
        assert_eq!(escaped("/a b?c=%", true), "/a%20b?c=%25");
    }
}
