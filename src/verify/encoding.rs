//! Bytes written as text. Which encoding it is, the scheme says; it is never guessed.

use super::named::named;
use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

named! {
    /// How a signature is written. Hex may be upper case, base64 padded or not.
    Encoding {
        Hex = "hex",
        Base64 = "base64",
        Base64Url = "base64url",
    }
}

impl Encoding {
    /// The bytes that `text` stands for; each value has exactly one spelling, but for the case
    /// of hex and the padding of base64.
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        self.bytes(text, false)
    }

    /// The same for a key. Keys cut to any length are about, which leaves bits over at the end
    /// of unpadded base64: the Standard Webhooks libraries ignore them.
    pub(super) fn decode_key(self, text: &str) -> Option<Vec<u8>> {
        self.bytes(text, true)
    }

    /// The text that stands for `bytes`: hex in lower case, base64 padded.
    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => base64(&STANDARD, false).encode(bytes),
            Self::Base64Url => base64(&URL_SAFE, false).encode(bytes),
        }
    }

    fn bytes(self, text: &str, trailing_bits: bool) -> Option<Vec<u8>> {
        match self {
            Self::Hex => {
                let mut bytes = vec![0; text.len() / 2];
                hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
            }
            Self::Base64 => base64(&STANDARD, trailing_bits).decode(text).ok(),
            Self::Base64Url => base64(&URL_SAFE, trailing_bits).decode(text).ok(),
        }
    }
}

fn base64(alphabet: &Alphabet, trailing_bits: bool) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(trailing_bits);
    GeneralPurpose::new(alphabet, config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
        encoding.decode(text)
    }

    #[test]
    fn hex_of_either_case_but_nothing_else() {
        assert_eq!(bytes(Encoding::Hex, "00fF"), Some(vec![0x00, 0xff]));
        for bad in ["0x00", "0", "00 ff", " 00", "gg", "00\n", "é0"] {
            assert_eq!(bytes(Encoding::Hex, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_padded_or_not_without_white_space() {
        for good in ["+/8=", "+/8"] {
            assert_eq!(bytes(Encoding::Base64, good), Some(vec![0xfb, 0xff]), "{good}");
        }
        for bad in ["+/ 8", "+/8= ", "+/8==", "-_8", "+/8\n", "A", "+/9=", "=", "+/=8"] {
            assert_eq!(bytes(Encoding::Base64, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64url_only_where_it_is_configured() {
        for good in ["-_8=", "-_8"] {
            assert_eq!(bytes(Encoding::Base64Url, good), Some(vec![0xfb, 0xff]), "{good}");
        }
        assert_eq!(bytes(Encoding::Base64Url, "+/8="), None);
    }

    #[test]
    fn a_key_may_end_in_spare_bits() {
        assert_eq!(Encoding::Base64.decode_key("+/9"), Some(vec![0xfb, 0xff]));
    }

    #[test]
    fn names_lead_to_values() {
        assert!(Encoding::NAMES.iter().all(|name| Encoding::from_name(name).is_some()));
        assert_eq!(Encoding::from_name("base64url"), Some(Encoding::Base64Url));
        assert_eq!(Encoding::from_name("Hex"), None);
    }

    #[test]
    fn fuzzed_texts_spell_what_they_are_decoded_to() {
        crate::fuzz::fuzz("encoding", |input| {
            let text = &String::from_utf8_lossy(input);
            for name in Encoding::NAMES {
                let encoding = Encoding::from_name(name).unwrap();
                let Some(bytes) = encoding.decode(text) else { continue };
                let canonical = encoding.encode(&bytes);
                let bare = canonical.trim_end_matches('=');
                match encoding {
                    Encoding::Hex => assert_eq!(canonical, text.to_lowercase()),
                    _ => assert_eq!(bare, text.trim_end_matches('=')),
                }
                assert_eq!(encoding.decode_key(text), Some(bytes));
            }
        });
    }
}
