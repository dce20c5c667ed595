//! Where a request goes.

use std::fmt;
use std::net::Ipv6Addr;

use http::header::{HOST, USER_AGENT};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// A host's name has at most this many bytes (RFC 1035).
const HOST_BYTES: usize = 253;

/// By which another system knows a request again that comes with another attempt.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Who sends, unless the request says so itself.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("hookyard/", env!("CARGO_PKG_VERSION")));

/// The schemes that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The scheme of that name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// Its port where a URL says none.
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A scheme, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The scheme.
    pub scheme: Scheme,
    /// A name in lower case, or an address; IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Target {
    /// Where a URL leads; `None` when it is none of http, names no host, or names a user too.
    pub fn of(url: &Uri) -> Option<Self> {
        let scheme = Scheme::of(url.scheme_str()?)?;
        let authority = url.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = normal(authority.host())?;
        Some(Self { scheme, host, port: port(authority, scheme)? })
    }

    /// As the Host header has it: without the port that goes without saying.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Whether a URL leads anywhere.
pub fn can_be_reached(url: &Uri) -> bool {
    Target::of(url).is_some()
}

/// Adds what every request has that leaves here: the host that it is for, the key by which another
/// attempt's is known again, and who sends. The last two may be the handler's own.
pub fn address(headers: &mut HeaderMap, target: &Target, key: &str) {
    // Names of hosts and routes are ASCII.
    if let Ok(host) = HeaderValue::try_from(target.authority()) {
        headers.insert(HOST, host);
    }
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.entry(IDEMPOTENCY_KEY).or_insert(key);
    }
    headers.entry(USER_AGENT).or_insert(AGENT);
}

/// What a request line says of a URL.
pub fn path(url: &Uri) -> Uri {
    let text = url.path_and_query().map_or("", PathAndQuery::as_str);
    let path = match text.starts_with('/') {
        true => text.parse::<PathAndQuery>(),
        // Only a query, or nothing.
        false => format!("/{text}").parse(),
    };
    path.map(Uri::from).unwrap_or_default()
}

fn port(authority: &Authority, scheme: Scheme) -> Option<u16> {
    match authority.as_str().get(authority.host().len()..)? {
        "" => Some(scheme.port()),
        _ => authority.port_u16().filter(|port| *port > 0),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

/// A host as it is compared: a name in lower case, or an address; IPv6 in brackets. `None` when it
/// is neither.
pub fn normal(host: &str) -> Option<String> {
    if let Some(inside) = host.strip_prefix('[') {
        let address: Ipv6Addr = inside.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let is_label = |label: &str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !label.is_empty() && label.bytes().all(is_plain)
    };
    let is_host = host.len() <= HOST_BYTES && host.split('.').all(is_label);
    is_host.then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_port_and_nobody() {
        for (url, expected) in [
            ("https://api.example.com/v1", Some("https://api.example.com")),
            ("https://API.example.com:443", Some("https://api.example.com")),
            ("http://api.example.com:443", Some("http://api.example.com:443")),
            ("http://[::FFFF:169.254.169.254]/", Some("http://[::ffff:169.254.169.254]")),
            ("http://user@api.example.com/", None),
            ("http://user:word@api.example.com/", None),
            ("http://api.example.com./", None),
            ("http://a%00.example.com/", None),
            ("http://api.example.com:0/", None),
            ("http://api.example.com:65536/", None),
            ("http://api.example.com:/", None),
            ("ftp://api.example.com/", None),
            ("/v1", None),
        ] {
            let target = url.parse().ok().and_then(|url| Target::of(&url));
            assert_eq!(target.map(|target| target.to_string()).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_request_line_has_a_path() {
        for (url, expected) in [
            ("https://a.dev", "/"),
            ("https://a.dev/", "/"),
            ("https://a.dev?b=c", "/?b=c"),
            ("https://a.dev/v1?b=c", "/v1?b=c"),
            ("https://a.dev//b.dev", "//b.dev"),
        ] {
            assert_eq!(path(&url.parse().unwrap()).to_string(), expected, "{url}");
        }
        let built = |path: &'static str| {
            let url = Uri::builder().scheme("https").authority("a.dev").path_and_query(path);
            super::path(&url.build().unwrap()).to_string()
        };
        assert_eq!([built(""), built("?b=c")], ["/", "/?b=c"]);
    }
}
