//! Who may ask the admin side. Without a token it is for this machine's own people, and a web
//! page that they look at must not speak in their name.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The bearer token is missing or wrong.
    Token,
    /// Its Host is none that the admin side answers to.
    Host,
    /// It comes from another site's page.
    Foreign,
    /// It changes something, and is not JSON.
    ContentType,
}

/// The rules.
pub struct Guard {
    token: Option<[u8; 32]>,
    hosts: Vec<String>,
}

impl Guard {
    /// With this bearer token, if any, and these Host names beside loopback's.
    pub fn new(token: Option<&str>, hosts: Vec<String>) -> Self {
        Self { token: token.map(|token| Sha256::digest(token).into()), hosts }
    }

    /// Lets a request through, or says why not.
    pub(super) fn check(&self, head: &Parts) -> Result<(), Denied> {
        let host = host(head);
        match &self.token {
            // Hashes of one length are compared: the time tells nothing of the token.
            Some(token) => {
                let given = bearer(&head.headers).map(Sha256::digest).unwrap_or_default();
                if !bool::from(given.as_slice().ct_eq(token)) {
                    return Err(Denied::Token);
                }
            }
            None if !host.as_ref().is_some_and(|host| self.answers_to(host.host())) => {
                return Err(Denied::Host);
            }
            None => {}
        }
        if is_foreign(&head.headers, host.as_ref()) {
            return Err(Denied::Foreign);
        }
        if head.method == Method::POST && !is_json(&head.headers) {
            return Err(Denied::ContentType);
        }
        Ok(())
    }

    fn answers_to(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost"
            || literal.is_ok_and(|address| address.to_canonical().is_loopback())
            || self.hosts.contains(&host)
    }
}

/// The host that the request names: in its target with HTTP/2, in its header otherwise.
fn host(head: &Parts) -> Option<Authority> {
    let named = head.headers.get(HOST).and_then(|value| value.to_str().ok());
    match named {
        Some(host) => host.parse().ok(),
        None => head.uri.authority().cloned(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

fn is_foreign(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let site = headers.get(FETCH_SITE).map(|site| site.as_bytes());
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let origin = origin.and_then(|(_, authority)| authority.parse::<Authority>().ok());
    origin.as_ref() != host || origin.is_none()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn check(guard: &Guard, method: Method, headers: &[(&str, &str)]) -> Result<(), Denied> {
        let mut request = Request::builder().method(method).uri("/api/v1/events");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn without_a_token_only_this_machine_is_answered() {
        let guard = Guard::new(None, vec!["hooks.internal".into()]);
        for (host, allowed) in [
            ("localhost", true),
            ("LOCALHOST:8081", true),
            ("127.0.0.1:8081", true),
            ("127.9.9.9", true),
            ("[::1]:8081", true),
            ("[::ffff:127.0.0.1]", true),
            ("hooks.internal:8081", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            let expected = if allowed { Ok(()) } else { Err(Denied::Host) };
            assert_eq!(check(&guard, Method::GET, &[("host", host)]), expected, "{host}");
        }
        assert_eq!(check(&guard, Method::GET, &[]), Err(Denied::Host));
    }

    #[test]
    fn other_sites_pages_are_refused() {
        let guard = Guard::new(None, Vec::new());
        for (name, value, allowed) in [
            ("origin", "http://localhost:8081", true),
            ("origin", "http://localhost:9999", false),
            ("origin", "https://evil.example", false),
            ("origin", "null", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
        ] {
            let expected = if allowed { Ok(()) } else { Err(Denied::Foreign) };
            let headers = [("host", "localhost:8081"), (name, value)];
            assert_eq!(check(&guard, Method::GET, &headers), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_change_must_be_json() {
        let guard = Guard::new(None, Vec::new());
        for (kind, expected) in [
            ("application/json", Ok(())),
            ("Application/JSON; charset=utf-8", Ok(())),
            ("text/plain", Err(Denied::ContentType)),
            ("application/jsonx", Err(Denied::ContentType)),
        ] {
            let headers = [("host", "localhost"), ("content-type", kind)];
            assert_eq!(check(&guard, Method::POST, &headers), expected, "{kind}");
        }
    }

    #[test]
    fn a_token_is_needed_where_there_is_one() {
        let guard = Guard::new(Some("hush"), Vec::new());
        for (value, expected) in [
            ("Bearer hush", Ok(())),
            ("bearer hush", Ok(())),
            ("Bearer hus", Err(Denied::Token)),
            ("Bearer hushh", Err(Denied::Token)),
            ("Bearer ", Err(Denied::Token)),
            ("Basic hush", Err(Denied::Token)),
            ("", Err(Denied::Token)),
        ] {
            let headers = [("host", "hooks.example"), ("authorization", value)];
            assert_eq!(check(&guard, Method::GET, &headers), expected, "{value}");
        }
        assert_eq!(check(&guard, Method::GET, &[("host", "localhost")]), Err(Denied::Token));
    }
}
