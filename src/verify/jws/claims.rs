//! What a verified token says, and what it must say.

use super::spec::BodyHash;
use crate::verify::Refusal;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// How far ahead the clock of whoever made a token may be, in seconds.
const AHEAD: f64 = 60.0;

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
        let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        if !self.issuers.is_empty() && !self.issuers.iter().any(|known| known == issuer) {
            return Err(wrong("iss"));
        }
        if let Some(audience) = &self.audience
            && !names(claims.get("aud"), audience)
        {
            return Err(wrong("aud"));
        }
        let differs = |(name, value): &&(String, Value)| claims.get(name) != Some(value);
        if let Some((name, _)) = self.equal.iter().find(differs) {
            return Err(wrong(name));
        }
        self.body.as_ref().map_or(Ok(()), |hash| hash.check(&claims, body))
    }

    fn check_times(&self, claims: &Map<String, Value>, now_unix_ms: i64) -> Result<(), Refusal> {
        // Exact up to the year 285,000.
        let now = now_unix_ms as f64 / 1000.0;
        match time(claims, "exp")? {
            Some(end) if now >= end => return Err(Refusal::Stale),
            None if self.expires => return Err(Refusal::Missing("claim exp".to_owned())),
            _ => {}
        }
        let issued = time(claims, "iat")?;
        if [time(claims, "nbf")?, issued].into_iter().flatten().any(|from| from > now + AHEAD) {
            return Err(Refusal::Stale);
        }
        match (self.max_age, issued) {
            (Some(max_age), Some(at)) if now - at > max_age as f64 => Err(Refusal::Stale),
            (Some(_), None) => Err(Refusal::Missing("claim iat".to_owned())),
            _ => Ok(()),
        }
    }
}

impl BodyHash {
    fn check(&self, claims: &Map<String, Value>, body: &[u8]) -> Result<(), Refusal> {
        let claimed = match claims.get(&self.claim) {
            Some(Value::String(text)) => {
                self.encoding.decode(text).ok_or_else(|| wrong(&self.claim))?
            }
            None if self.optional_without_body && body.is_empty() => return Ok(()),
            _ => return Err(Refusal::Missing(format!("claim {}", self.claim))),
        };
        let hit = claimed.ct_eq(&Sha256::digest(body)[..]);
        if bool::from(hit) { Ok(()) } else { Err(Refusal::Mismatch) }
    }
}

/// A time in seconds since 1970.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    value.as_f64().map(Some).ok_or(Refusal::MalformedTimestamp)
}

/// Whether an audience is the one of that name, or has it among its own.
fn names(audience: Option<&Value>, name: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

fn wrong(claim: &str) -> Refusal {
    Refusal::WrongValue(format!("claim {claim}"))
}
