//! A JSON Web Signature in its compact form (RFC 7515), taken apart.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A token that nobody has verified yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// The algorithm that it says it is signed with.
    pub alg: String,
    /// The name of the key that it says it is signed with.
    pub key_id: Option<String>,
    /// What is signed.
    pub signed: &'a [u8],
    pub payload: Vec<u8>,
    pub tag: Vec<u8>,
}

/// A parameter that repeats is an error.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Names extensions that must be understood, and none are.
    crit: Option<IgnoredAny>,
}

impl<'a> Token<'a> {
    /// Three parts in base64url; nothing that is not understood but must be.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (signed, tag) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.').filter(|(_, rest)| !rest.contains('.'))?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            alg: header.alg,
            key_id: header.kid,
            signed: signed.as_bytes(),
            payload: URL_SAFE_NO_PAD.decode(payload).ok()?,
            tag: URL_SAFE_NO_PAD.decode(tag).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        [header, "{}", "tag"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    }

    #[test]
    fn a_token_is_three_parts() {
        let text = token(r#"{"alg":"HS256","kid":"k","typ":"JWT"}"#);
        let parsed = Token::parse(&text).unwrap();
        assert_eq!((&*parsed.alg, parsed.key_id.as_deref()), ("HS256", Some("k")));
        assert_eq!((&*parsed.payload, &*parsed.tag), (&b"{}"[..], &b"tag"[..]));
        assert_eq!(parsed.signed, text.rsplit_once('.').unwrap().0.as_bytes());
    }

    #[test]
    fn what_is_not_understood_is_no_token() {
        let good = token(r#"{"alg":"HS256"}"#);
        for bad in [
            String::new(),
            "..".to_owned(),
            format!("{good}."),
            format!("{good}.x"),
            format!("{good}="),
            format!(" {good}"),
            good.replacen('.', "", 1),
            token(r#"{"kid":"k"}"#),
            token(r#"{"alg":"HS256","alg":"none"}"#),
            token(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#),
            token("not json"),
        ] {
            assert!(Token::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn fuzzed_tokens_have_one_spelling() {
        crate::fuzz::fuzz("jws", |input| {
            let text = &String::from_utf8_lossy(input);
            let Some(token) = Token::parse(text) else { return };
            let signed = String::from_utf8(token.signed.to_vec()).unwrap();
            let (header, payload) = signed.split_once('.').unwrap();
            assert_eq!(payload, URL_SAFE_NO_PAD.encode(&token.payload));
            let tag = URL_SAFE_NO_PAD.encode(&token.tag);
            assert_eq!(*text, [header, payload, &tag].join("."));
        });
    }
}
