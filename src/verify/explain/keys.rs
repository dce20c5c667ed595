//! What may have become of a secret between whoever signs with it and whoever checks.

use crate::verify::{Encoding, Secret};

const PREFIX: &[u8] = b"whsec_";

/// Other keys that the sender may have made of the same secret, and in which words.
pub(super) fn variants(secret: &Secret) -> Vec<(&'static str, Secret)> {
    let key = secret.key();
    let text = str::from_utf8(key.strip_prefix(PREFIX).unwrap_or(key)).ok();
    let decoded = |encoding: Encoding| encoding.decode_key(text?);
    let encoded = |encoding: Encoding| encoding.encode(key).into_bytes();
    let base64 = encoded(Encoding::Base64);
    let unpadded =
        base64.trim_ascii_end().strip_suffix(b"=").map(|cut| cut.strip_suffix(b"=").unwrap_or(cut));
    let keys = [
        ("with a line break at its end", Some([key, b"\n"].concat())),
        ("with a CRLF at its end", Some([key, b"\r\n"].concat())),
        ("without white space around it", Some(key.trim_ascii().to_vec())),
        ("decoded from base64", decoded(Encoding::Base64)),
        ("decoded from base64url", decoded(Encoding::Base64Url)),
        ("decoded from hex", decoded(Encoding::Hex)),
        ("as its text, not decoded from base64", Some(base64.clone())),
        ("as its text, not decoded from base64", unpadded.map(<[u8]>::to_vec)),
        ("as its text, not decoded from base64", Some([PREFIX, &base64].concat())),
        ("as its text, not decoded from hex", Some(encoded(Encoding::Hex))),
        ("without `whsec_`", key.strip_prefix(PREFIX).map(<[u8]>::to_vec)),
        ("with `whsec_` before it", Some([PREFIX, key].concat())),
    ];
    let keys = keys.into_iter().filter_map(|(name, key)| Some((name, key?)));
    keys.filter(|(_, other)| other != key && !other.is_empty())
        .map(|(name, key)| (name, secret.with_key(key)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{SecretForm, Window};

    #[test]
    fn a_secret_is_taken_in_other_ways() {
        for (text, key) in [
            ("hush", &b"hush\n"[..]),
            (" hush", b"hush"),
            ("whsec_AAE=", b"AAE="),
            ("whsec_AAE=", b"\0\x01"),
            ("AAE=", b"\0\x01"),
            ("00ff", b"\0\xff"),
            ("hush", b"aHVzaA=="),
            ("hush", b"aHVzaA"),
            ("hush", b"whsec_aHVzaA=="),
            ("hush", b"68757368"),
            ("hush", b"whsec_hush"),
        ] {
            let secret = Secret::new(text, &SecretForm::VERBATIM, Window::default()).unwrap();
            let keys = variants(&secret);
            assert!(keys.iter().any(|(_, other)| other.key() == key), "{text} {key:?}");
        }
    }
}
