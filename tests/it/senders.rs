//! Requests as senders make them.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::wire::Wire;
use crate::yard::{self, Answer, Yard};

/// A request before it is sent.
#[derive(Debug, Clone)]
pub struct Sending {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Sending {
    /// An unsigned one.
    pub fn new(path: &str, body: impl AsRef<[u8]>) -> Self {
        Self { path: path.to_owned(), headers: Vec::new(), body: body.as_ref().to_owned() }
    }

    /// With this header, in place of those of its name.
    pub fn with(self, name: &str, value: impl Into<String>) -> Self {
        let mut sending = self.without(name);
        sending.headers.push((name.to_owned(), value.into()));
        sending
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// With this body under the signature of another.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        Self { body: body.as_ref().to_owned(), ..self }
    }

    /// Posted to that path and query.
    pub fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    pub fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// Sends it on a connection of its own.
    pub fn to(&self, yard: &Yard) -> Answer {
        self.try_to(yard).unwrap()
    }

    pub fn try_to(&self, yard: &Yard) -> io::Result<Answer> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        yard::post(yard.public(), &self.path, &headers, &self.body)
    }

    /// Its head with these further lines, without its end.
    pub fn head(&self, lines: &str) -> String {
        let fields: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("POST {} HTTP/1.1\r\nhost: hooks\r\n{fields}{lines}", self.path)
    }

    /// All of it, with these further header lines.
    pub fn bytes(&self, lines: &str) -> Vec<u8> {
        let length = self.body.len();
        let head = self.head(&format!("{lines}content-length: {length}\r\n\r\n"));
        [head.as_bytes(), &self.body].concat()
    }

    /// Opens a connection, promises a body of so many bytes, and waits until it is asked for.
    pub fn promise(&self, yard: &Yard, length: usize) -> Wire<std::net::TcpStream> {
        let mut wire = Wire::to(yard.public());
        let lines = format!("content-length: {length}\r\nexpect: 100-continue\r\n\r\n");
        wire.send(self.head(&lines));
        assert_eq!(wire.answer().status, 100);
        wire
    }
}

/// As hotglue signs: the hex HMAC-SHA1 of the body.
pub fn hotglue(secret: &str, body: impl AsRef<[u8]>) -> Sending {
    let signature = yard::hotglue_signature(secret, body.as_ref());
    Sending::new("/hooks/hotglue", body).with("x-hub-signature", signature)
}

/// As GitHub signs: the HMAC-SHA256 of the body, under an id that is not signed.
pub fn github(secret: &str, id: &str, body: impl AsRef<[u8]>) -> Sending {
    let signature = hex::encode(sha256(secret.as_bytes(), &[body.as_ref()]));
    Sending::new("/hooks/github", body)
        .with("x-github-event", "push")
        .with("x-github-delivery", id)
        .with("x-hub-signature-256", format!("sha256={signature}"))
}

/// As Standard Webhooks prescribes: `names` is the prefix of its headers, `secret` begins with
/// `whsec_`, `at` is in seconds since 1970.
pub fn standard(
    path: &str,
    names: &str,
    secret: &str,
    id: &str,
    at: u64,
    body: impl AsRef<[u8]>,
) -> Sending {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let content = format!("{id}.{at}.");
    let tag = STANDARD.encode(sha256(&key, &[content.as_bytes(), body.as_ref()]));
    Sending::new(path, body)
        .with(&format!("{names}-id"), id)
        .with(&format!("{names}-timestamp"), at.to_string())
        .with(&format!("{names}-signature"), format!("v1,{tag}"))
}

/// A source that is named as its preset.
pub fn source(preset: &str, secret: &str) -> String {
    format!("[sources.{preset}]\nscheme = \"{preset}\"\nsecrets = [{{ value = \"{secret}\" }}]\n")
}

/// The source `acme`, which is told how [`acme`] signs; `more` is what else it says.
pub fn acme_source(secret: &str, more: &str) -> String {
    format!(
        r#"
[sources.acme]
path = "/in/acme"
secrets = [{{ value = "{secret}" }}]
{more}
[sources.acme.scheme]
kind = "hmac"
digest = "sha256"
encoding = "hex"
content = "{{timestamp}}.{{body}}"
signature = {{ header = "X-Acme-Signature", prefix = "v1=" }}
timestamp = {{ header = "X-Acme-Timestamp", format = "unix" }}
"#
    )
}

/// As the sender `acme` of the contract's example signs.
pub fn acme(secret: &str, at: u64, body: impl AsRef<[u8]>) -> Sending {
    let content = format!("{at}.");
    let tag = sha256(secret.as_bytes(), &[content.as_bytes(), body.as_ref()]);
    Sending::new("/in/acme", body)
        .with("x-acme-timestamp", at.to_string())
        .with("x-acme-signature", format!("v1={}", hex::encode(tag)))
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}
