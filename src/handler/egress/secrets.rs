//! Secrets that a handler uses without holding them: it reads a placeholder, and the request that
//! carries it is given the secret on its way out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bstr::ByteSlice;
use http::header::HeaderMap;
use http::{HeaderValue, Uri};
use ulid::Ulid;

use super::reach::Hosts;
use super::target::Target;

/// A value of fewer bytes is not looked for in what comes back: it may stand there by chance.
const ECHO_BYTES: usize = 8;

/// A secret of a handler.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: Box<str>,
    used: Use,
}

/// What a handler may do with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// Read it.
    Exposed,
    /// Send it to these hosts, in a request's header.
    Towards(Vec<Hosts>),
}

impl Secret {
    /// `None` when it is to be sent in a header, and a header cannot hold it.
    pub fn new(value: String, used: Use) -> Option<Self> {
        let is_fit = used == Use::Exposed || HeaderValue::from_str(&value).is_ok();
        is_fit.then(|| Self { value: value.into(), used })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("used", &self.used).finish_non_exhaustive()
    }
}

/// A secret with the placeholder that stands for it.
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Where it may go.
    pub hosts: Vec<Hosts>,
    placeholder: String,
    value: Box<str>,
}

/// What a handler reads as its configuration, and the secrets whose placeholders are in it. The
/// names of secrets are none of its other keys.
pub fn given(
    config: &Arc<BTreeMap<String, String>>,
    secrets: &BTreeMap<String, Secret>,
) -> (Arc<BTreeMap<String, String>>, Vec<Placed>) {
    if secrets.is_empty() {
        return (config.clone(), Vec::new());
    }
    let (mut read, mut placed) = (BTreeMap::clone(config), Vec::new());
    for (name, secret) in secrets {
        let value = match &secret.used {
            Use::Exposed => secret.value.to_string(),
            Use::Towards(hosts) => {
                let placeholder = format!("secret-{}", Ulid::new());
                placed.push(Placed {
                    name: name.clone(),
                    hosts: hosts.clone(),
                    placeholder: placeholder.clone(),
                    value: secret.value.clone(),
                });
                placeholder
            }
        };
        read.insert(name.clone(), value);
    }
    (Arc::new(read), placed)
}

/// Puts secrets where their placeholders stand in a request's headers.
///
/// # Errors
/// One of them does not go there.
pub fn reveal<'a>(
    secrets: &'a [Placed],
    target: &Target,
    headers: &mut HeaderMap,
) -> Result<(), &'a Placed> {
    for secret in secrets {
        for value in headers.values_mut() {
            let Some(revealed) = replaced(value, &secret.placeholder, &secret.value) else {
                continue;
            };
            if !secret.hosts.iter().any(|hosts| hosts.contain(&target.host)) {
                return Err(secret);
            }
            *value = revealed;
        }
    }
    Ok(())
}

/// The secret whose placeholder stands in a URL, where it stays what it is.
pub fn in_url<'a>(secrets: &'a [Placed], url: &Uri) -> Option<&'a Placed> {
    let text = url.path_and_query()?.as_str();
    secrets.iter().find(|secret| text.contains(&secret.placeholder))
}

/// Puts placeholders where their secrets stand in a response's headers. What its body says is in
/// the hands of the host that was trusted with the secret.
pub fn conceal(secrets: &[Placed], headers: &mut HeaderMap) {
    for secret in secrets.iter().filter(|secret| secret.value.len() >= ECHO_BYTES) {
        for value in headers.values_mut() {
            if let Some(concealed) = replaced(value, &secret.value, &secret.placeholder) {
                *value = concealed;
            }
        }
    }
}

/// The value with one text in place of the other, if the other is in it. A value need not be UTF-8.
fn replaced(value: &HeaderValue, from: &str, to: &str) -> Option<HeaderValue> {
    let bytes = Some(value.as_bytes()).filter(|bytes| bytes.contains_str(from))?;
    // What is made of parts of header values is one.
    let mut value = HeaderValue::from_bytes(&bytes.replace(from, to)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "hunter2-hunter2";

    fn placed(hosts: &[&str]) -> (String, Vec<Placed>) {
        let hosts = hosts.iter().map(|host| Hosts::parse(host).unwrap()).collect();
        let secret = Secret::new(VALUE.to_owned(), Use::Towards(hosts)).unwrap();
        let secrets = BTreeMap::from([("token".to_owned(), secret)]);
        let (config, placed) = given(&Arc::default(), &secrets);
        (config["token"].clone(), placed)
    }

    fn target(url: &str) -> Target {
        Target::of(&url.parse().unwrap()).unwrap()
    }

    fn headers(fields: &[(&'static str, String)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_handler_reads_a_placeholder_that_is_another_each_time() {
        let (first, _) = placed(&["a.dev"]);
        let (second, _) = placed(&["a.dev"]);
        assert!(first != second && !first.contains(VALUE), "{first} {second}");
        let exposed = Secret::new("a\nb".to_owned(), Use::Exposed).unwrap();
        let config = Arc::new(BTreeMap::from([("region".to_owned(), "eu".to_owned())]));
        let secrets = BTreeMap::from([("token".to_owned(), exposed)]);
        let (config, placed) = given(&config, &secrets);
        assert_eq!((&*config["token"], &*config["region"], placed.len()), ("a\nb", "eu", 0));
    }

    #[test]
    fn a_secret_stands_in_headers_towards_its_hosts_alone() {
        let (placeholder, placed) = placed(&["api.example.com", "*.acme.dev"]);
        for (url, expected) in [
            ("https://api.example.com:8443", true),
            ("http://a.acme.dev", true),
            ("https://acme.dev", false),
            ("https://evil.dev", false),
        ] {
            let bearer = format!("Bearer {placeholder},{placeholder}");
            let mut map = headers(&[("authorization", bearer.clone()), ("x-a", "b".to_owned())]);
            let revealed = reveal(&placed, &target(url), &mut map).map_err(|secret| &*secret.name);
            assert_eq!(revealed, if expected { Ok(()) } else { Err("token") }, "{url}");
            let found = map["authorization"].to_str().unwrap();
            let both = format!("Bearer {VALUE},{VALUE}");
            assert_eq!(found, if expected { &both } else { &bearer });
            assert_eq!(map["authorization"].is_sensitive(), expected);
            assert_eq!(map["x-a"], "b");
            assert!(!format!("{map:?}").contains(VALUE));
        }
        let mut map = headers(&[("x-a", "b".to_owned())]);
        assert!(reveal(&placed, &target("https://evil.dev"), &mut map).is_ok());
        assert!(in_url(&placed, &format!("/a?b={placeholder}").parse().unwrap()).is_some());
        assert!(in_url(&placed, &Uri::from_static("/a?b=c")).is_none());
    }

    #[test]
    fn a_secret_that_comes_back_in_a_header_is_a_placeholder_again() {
        let (placeholder, placed) = placed(&["a.dev"]);
        let mut map = headers(&[("x-echo", format!("<{VALUE}>")), ("x-a", "b".to_owned())]);
        conceal(&placed, &mut map);
        assert_eq!(map["x-echo"], format!("<{placeholder}>"));
        assert_eq!(map["x-a"], "b");
    }

    #[test]
    fn a_header_that_is_not_utf_8_hides_no_secret_and_no_placeholder() {
        let (placeholder, placed) = placed(&["a.dev"]);
        let field = |text: &str| {
            let bytes = [b"\xff<", text.as_bytes(), b">\xe9"].concat();
            HeaderValue::from_bytes(&bytes).unwrap()
        };
        let mut map = HeaderMap::from_iter([("x-echo".parse().unwrap(), field(VALUE))]);
        conceal(&placed, &mut map);
        assert_eq!(map["x-echo"], field(&placeholder));
        reveal(&placed, &target("https://a.dev"), &mut map).map_err(|_| ()).unwrap();
        assert_eq!(map["x-echo"], field(VALUE));
        let mut map = HeaderMap::from_iter([("x-echo".parse().unwrap(), field(&placeholder))]);
        assert!(reveal(&placed, &target("https://evil.dev"), &mut map).is_err());
    }

    #[test]
    fn a_secret_that_no_header_can_hold_is_none() {
        let towards = || Use::Towards(Vec::new());
        assert!(Secret::new("two\nlines".to_owned(), towards()).is_none());
        let secret = Secret::new(VALUE.to_owned(), towards()).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret { used: Towards([]), .. }");
    }
}
