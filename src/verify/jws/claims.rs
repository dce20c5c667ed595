//! What a verified token says, and what it must say.

use super::spec::BodyHash;
use crate::text::{head, printable};
use crate::verify::Refusal;
use crate::verify::trace::{self, Step, away};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// How far ahead the clock of whoever made a token may be, in seconds.
const AHEAD: f64 = 60.0;

/// Bytes of a claim that are shown to people.
const SHOWN: usize = 100;

/// What the claims of a token must be. Its `Debug` shows no value: some may be secrets.
pub(super) struct Rules {
    pub issuers: Vec<String>,
    pub audience: Option<String>,
    /// Claims with the value that they must have.
    pub equal: Vec<(String, Value)>,
    /// The claim that holds the hash of the body.
    pub body: Option<BodyHash>,
    pub expires: bool,
    pub max_age: Option<u64>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.equal.iter().map(|(name, _)| name).collect();
        f.debug_struct("Rules")
            .field("equal", &names)
            .field("body", &self.body)
            .field("expires", &self.expires)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Checks the payload of a token whose signature is right.
    pub fn check(&self, payload: &[u8], body: &[u8], now_unix_ms: i64) -> Result<(), Refusal> {
        let claims: Map<String, Value> =
            serde_json::from_slice(payload).map_err(|_| Refusal::MalformedSignature)?;
        self.check_times(&claims, now_unix_ms)?;
        let text = |name| shown(claims.get(name));
        if !self.issuers.is_empty() {
            let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
            let fits = self.issuers.iter().any(|known| known == issuer);
            told("iss", fits, wrong, || (self.issuers.join(" or "), text("iss")))?;
        }
        if let Some(audience) = &self.audience {
            let fits = names(claims.get("aud"), audience);
            told("aud", fits, wrong, || (audience.clone(), text("aud")))?;
        }
        for (name, value) in &self.equal {
            let found = claims.get(name);
            // The value may be a secret.
            let words = || match found {
                Some(found) if found == value => "it",
                Some(_) => "another value",
                None => "nothing",
            };
            told(name, found == Some(value), wrong, || {
                ("what the source says".to_owned(), words().to_owned())
            })?;
        }
        self.body.as_ref().map_or(Ok(()), |hash| hash.check(&claims, body))
    }

    fn check_times(&self, claims: &Map<String, Value>, now_unix_ms: i64) -> Result<(), Refusal> {
        // Exact up to the year 285,000.
        let now = now_unix_ms as f64 / 1000.0;
        Time { name: "exp", required: self.expires, now }.check(
            claims,
            |at| at > now,
            || "later than now".to_owned(),
        )?;
        let begun = || "at most a minute ahead".to_owned();
        Time { name: "nbf", required: false, now }.check(claims, |at| at <= now + AHEAD, begun)?;
        let is_young = |at| self.max_age.is_none_or(|most| now - at <= most as f64);
        let made = || match self.max_age {
            Some(most) => format!("at most {most} s ago"),
            None => begun(),
        };
        Time { name: "iat", required: self.max_age.is_some(), now }.check(
            claims,
            |at| at <= now + AHEAD && is_young(at),
            made,
        )
    }
}

/// A claim that is a time, in seconds since 1970 as `now` is.
struct Time {
    name: &'static str,
    required: bool,
    now: f64,
}

impl Time {
    /// `expected` is what it must be, for people.
    fn check(
        &self,
        claims: &Map<String, Value>,
        fits: impl Fn(f64) -> bool,
        expected: impl Fn() -> String,
    ) -> Result<(), Refusal> {
        let Some(value) = claims.get(self.name) else {
            return match self.required {
                false => Ok(()),
                true => told(self.name, false, missing, || (expected(), shown(None))),
            };
        };
        let Some(at) = value.as_f64() else {
            let words = || (expected(), format!("{}, which is no time", shown(Some(value))));
            return told(self.name, false, |_| Refusal::MalformedTimestamp, words);
        };
        let found = || format!("{}, {}", shown(Some(value)), away(millis(at), millis(self.now)));
        told(self.name, fits(at), |_| Refusal::Stale, || (expected(), found()))
    }
}

/// In milliseconds, for people.
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

/// Tells what a claim must be and what it is, and refuses one that does not fit.
fn told(
    name: &str,
    fits: bool,
    refusal: impl FnOnce(&str) -> Refusal,
    words: impl FnOnce() -> (String, String),
) -> Result<(), Refusal> {
    trace::tell(|| {
        let (expected, found) = words();
        Step::new(format!("claim {name}"), expected, found, fits)
    });
    if fits { Ok(()) } else { Err(refusal(name)) }
}

/// As much of a claim as people need.
fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
    format!("`{}`", printable(head(&text, SHOWN)))
}

impl BodyHash {
    fn check(&self, claims: &Map<String, Value>, body: &[u8]) -> Result<(), Refusal> {
        let name = &*self.claim;
        let own = Sha256::digest(body);
        let words = || {
            let found = match claims.get(name) {
                None if body.is_empty() => "nothing, and no body".to_owned(),
                value => shown(value),
            };
            let of = format!("the SHA-256 of the body, {}", self.encoding.encode(&own));
            (of, found)
        };
        let claimed = match claims.get(name) {
            Some(Value::String(text)) => text,
            None if self.optional_without_body && body.is_empty() => {
                return told(name, true, missing, words);
            }
            _ => return told(name, false, missing, words),
        };
        match self.encoding.decode(claimed) {
            Some(claimed) => {
                told(name, claimed.ct_eq(&own[..]).into(), |_| Refusal::Mismatch, words)
            }
            None => told(name, false, wrong, words),
        }
    }
}

/// Whether an audience is the one of that name, or has it among its own.
fn names(audience: Option<&Value>, name: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

fn missing(claim: &str) -> Refusal {
    Refusal::Missing(format!("claim {claim}"))
}

fn wrong(claim: &str) -> Refusal {
    Refusal::WrongValue(format!("claim {claim}"))
}
