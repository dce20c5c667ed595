//! Signing as senders of tokens do, for `send`.

use super::{Jws, Keys};
use crate::verify::mac;
use crate::verify::secret::in_force;
use crate::verify::{Request, Secret, Unsignable};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// How long a token that `send` makes counts, in seconds.
const LIFE: i64 = 300;

impl Jws {
    /// Signs with the first shared secret in force.
    pub(in crate::verify) fn sign(
        &self,
        keys: &Keys,
        request: &mut Request,
        now_ms: i64,
    ) -> Result<(), Unsignable> {
        let Keys::Shared(digest, secrets) = keys else { return Err(Unsignable::PublicKey) };
        let secret = in_force(secrets, now_ms, Secret::window)?;
        let header = json!({ "alg": self.alg.name(), "typ": "JWT" });
        let claims = Value::Object(self.claims(&request.body, now_ms / 1000));
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let tag = URL_SAFE_NO_PAD.encode(mac::tag(*digest, secret.key(), signed.as_bytes()));
        let prefix = self.prefixes.first().map_or("", String::as_str);
        let value = HeaderValue::try_from(format!("{prefix}{signed}.{tag}"));
        let mut value = value.map_err(|_| Unsignable::Header(self.header.clone()))?;
        value.set_sensitive(true);
        request.headers.insert(&self.header, value);
        Ok(())
    }

    /// What a token must say to be believed.
    fn claims(&self, body: &[u8], now: i64) -> Map<String, Value> {
        let rules = &self.rules;
        let mut claims: Map<_, _> = rules.equal.iter().cloned().collect();
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), (now + LIFE).into());
        if let Some(issuer) = rules.issuers.first() {
            claims.insert("iss".to_owned(), issuer.as_str().into());
        }
        if let Some(audience) = &rules.audience {
            claims.insert("aud".to_owned(), audience.as_str().into());
        }
        if let Some(hash) = &rules.body {
            let digest = hash.encoding.encode(&Sha256::digest(body));
            claims.insert(hash.claim.clone(), digest.into());
        }
        claims
    }
}
