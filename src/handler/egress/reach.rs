//! What a handler may send requests to.

use std::fmt;

use ipnet::IpNet;
use thiserror::Error;

use super::target::{Scheme, Target, normal};

/// What `router.toml` lets a handler reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Where requests may go; nowhere without one.
    pub egress: Vec<Pattern>,
    /// The addresses that they may go to although they are not public.
    pub private: Vec<IpNet>,
    /// Requests an attempt.
    pub calls: u32,
}

impl Reach {
    /// Whether a request may go there, as far as its URL says.
    pub fn allow(&self, target: &Target) -> bool {
        self.egress.iter().any(|pattern| pattern.matches(target))
    }

    /// Whether a request may go to any of these hosts.
    pub fn meets(&self, hosts: &Hosts) -> bool {
        self.egress.iter().any(|pattern| pattern.hosts.meet(hosts))
    }
}

/// A scheme, a host or all hosts below one, and a port: `https://*.example.com:8443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    scheme: Scheme,
    hosts: Hosts,
    port: u16,
}

/// A host, or all hosts below one: `*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// This one.
    One(String),
    /// Those whose name ends like this, which begins with a dot.
    Below(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadPattern {
    /// Neither http nor https.
    #[error("it does not begin with `https://` or `http://`")]
    Scheme,
    /// More than a host and a port.
    #[error("it has more than a host and a port")]
    More,
    /// No host, or a `*` in another place than the first label of several.
    #[error("its host is no name, no address, and no `*.` before a name")]
    Host,
    /// No port.
    #[error("its port is not in 1 to 65535")]
    Port,
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let (scheme, rest) = text.split_once("://").ok_or(BadPattern::Scheme)?;
        let scheme = Scheme::of(scheme).ok_or(BadPattern::Scheme)?;
        if rest.contains(['/', '?', '#', '@']) {
            return Err(BadPattern::More);
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let port = match port {
            Some(port) => port_of(port).ok_or(BadPattern::Port)?,
            None => scheme.port(),
        };
        Ok(Self { scheme, hosts: Hosts::parse(host).ok_or(BadPattern::Host)?, port })
    }

    fn matches(&self, target: &Target) -> bool {
        self.scheme == target.scheme && self.port == target.port && self.hosts.contain(&target.host)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.hosts.to_string();
        Target { scheme: self.scheme, host, port: self.port }.fmt(f)
    }
}

/// The port that a text says. A sign or a zero before it says none.
fn port_of(text: &str) -> Option<u16> {
    let is_plain = text.starts_with(|first: char| ('1'..='9').contains(&first));
    text.parse().ok().filter(|_| is_plain)
}

impl Hosts {
    /// Reads one; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(name) => {
                let name = normal(name).filter(|name| !name.starts_with('['))?;
                Some(Self::Below(format!(".{name}")))
            }
            None => normal(text).map(Self::One),
        }
    }

    fn meet(&self, others: &Self) -> bool {
        match (self, others) {
            (hosts, Self::One(one)) | (Self::One(one), hosts) => hosts.contain(one),
            (Self::Below(a), Self::Below(b)) => a.ends_with(b.as_str()) || b.ends_with(a.as_str()),
        }
    }

    /// Whether a host, written as a [`Target`] writes it, is among them.
    pub fn contain(&self, host: &str) -> bool {
        match self {
            Self::One(one) => one == host,
            Self::Below(end) => host.len() > end.len() && host.ends_with(end),
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(host) => f.write_str(host),
            Self::Below(end) => write!(f, "*{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(pattern: &str, url: &str) -> bool {
        let egress = vec![Pattern::parse(pattern).unwrap()];
        let target = Target::of(&url.parse().unwrap()).unwrap();
        Reach { egress, ..Reach::default() }.allow(&target)
    }

    #[test]
    fn a_pattern_allows_what_it_names() {
        for (pattern, url, expected) in [
            ("https://api.example.com", "https://api.example.com", true),
            ("https://api.example.com", "https://api.example.com/v1?a=b", true),
            ("https://api.example.com", "https://API.example.COM:443/", true),
            ("https://API.example.com", "https://api.example.com/", true),
            ("https://api.example.com:443", "https://api.example.com/", true),
            ("https://api.example.com", "http://api.example.com/", false),
            ("https://api.example.com", "http://api.example.com:443/", false),
            ("https://api.example.com", "https://api.example.com:8443/", false),
            ("https://api.example.com", "https://example.com/", false),
            ("https://api.example.com", "https://api.example.com.evil.dev/", false),
            ("https://example.com", "https://api.example.com/", false),
            ("http://localhost:8000", "http://localhost:8000/", true),
            ("http://localhost:8000", "http://localhost/", false),
            ("https://*.acme.dev:8443", "https://a.acme.dev:8443/", true),
            ("https://*.acme.dev:8443", "https://a.b.acme.dev:8443/", true),
            ("https://*.acme.dev:8443", "https://a.acme.dev/", false),
            ("https://*.acme.dev", "https://acme.dev/", false),
            ("https://*.acme.dev", "https://evilacme.dev/", false),
            ("http://127.0.0.1:81", "http://127.0.0.1:81/", true),
            ("http://127.0.0.1:81", "http://127.1:81/", false),
            ("http://[::1]:81", "http://[0:0::1]:81/", true),
            ("http://[::1]", "http://[::2]/", false),
        ] {
            assert_eq!(allowed(pattern, url), expected, "{pattern} {url}");
        }
    }

    #[test]
    fn hosts_meet_where_one_is_among_both() {
        for (a, b, expected) in [
            ("a.dev", "a.dev", true),
            ("a.dev", "b.dev", false),
            ("a.b.dev", "*.b.dev", true),
            ("b.dev", "*.b.dev", false),
            ("*.b.dev", "*.b.dev", true),
            ("*.a.b.dev", "*.b.dev", true),
            ("*.a.dev", "*.b.dev", false),
        ] {
            let [a, b] = [a, b].map(|hosts| Hosts::parse(hosts).unwrap());
            assert_eq!((a.meet(&b), b.meet(&a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_why() {
        for (text, expected) in [
            ("", BadPattern::Scheme),
            ("*", BadPattern::Scheme),
            ("api.example.com", BadPattern::Scheme),
            ("ftp://api.example.com", BadPattern::Scheme),
            ("HTTPS://api.example.com", BadPattern::Scheme),
            ("*://api.example.com", BadPattern::Scheme),
            ("https://", BadPattern::Host),
            ("https://*", BadPattern::Host),
            ("https://*.", BadPattern::Host),
            ("https://*.*.dev", BadPattern::Host),
            ("https://a*.dev", BadPattern::Host),
            ("https://api.*", BadPattern::Host),
            ("https://*.[::1]", BadPattern::Host),
            ("https://[::1", BadPattern::Host),
            ("https://[fe80::1%25eth0]", BadPattern::Host),
            ("https://::1", BadPattern::Host),
            ("https://example.com.", BadPattern::Host),
            ("https://ex ample.com", BadPattern::Host),
            ("https://bücher.example", BadPattern::Host),
            ("https://api.example.com/", BadPattern::More),
            ("https://api.example.com/v1", BadPattern::More),
            ("https://user@api.example.com", BadPattern::More),
            ("https://api.example.com:", BadPattern::Port),
            ("https://api.example.com:0", BadPattern::Port),
            ("https://api.example.com:65536", BadPattern::Port),
            ("https://api.example.com:+443", BadPattern::Port),
            ("https://api.example.com:*", BadPattern::Port),
        ] {
            assert_eq!(Pattern::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_pattern_is_shown_as_it_is_written() {
        for text in [
            "https://api.example.com",
            "https://*.acme.dev:8443",
            "http://[::1]:81",
            "http://a:443",
        ] {
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
    }
}
