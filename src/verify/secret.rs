//! Shared secrets: checked when they are loaded, never shown.

use super::Refusal;
use super::encoding::Encoding;
use super::named::named;
use super::trace::{self, Step};
use std::fmt;
use thiserror::Error;
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

named! {
    /// How the text of a secret becomes the bytes of a key.
    SecretEncoding {
        /// The text itself.
        Utf8 = "utf8",
        Hex = "hex",
        Base64 = "base64",
        Base64Url = "base64url",
        /// A public key (`-----BEGIN PUBLIC KEY-----`).
        Pem = "pem",
        /// A public key: what is between the lines of a PEM.
        SpkiDerBase64 = "spki-der-base64",
    }
}

/// Which of a scheme's two ways to sign a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Main,
    Other,
}

/// How a scheme writes its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretForm {
    pub encoding: SecretEncoding,
    /// The first of these that is there is removed, as `whsec_`; a secret without is as good.
    pub strip_prefix: Vec<String>,
}

impl SecretForm {
    /// The text without its prefix, if it has one.
    pub(super) fn strip<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.strip_prefix.iter().find_map(|prefix| text.strip_prefix(prefix.as_str()))
    }

    /// The text itself is the key.
    pub const VERBATIM: Self = Self { encoding: SecretEncoding::Utf8, strip_prefix: Vec::new() };
}

/// The time in which a secret counts, in seconds since 1970, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    pub not_before: Option<i64>,
    pub not_after: Option<i64>,
}

impl Window {
    /// Whether this moment is in it.
    #[must_use]
    pub fn contains(self, now_unix_ms: i64) -> bool {
        self.not_before.is_none_or(|from| from.saturating_mul(1000) <= now_unix_ms)
            && self.not_after.is_none_or(|to| now_unix_ms <= to.saturating_mul(1000))
    }
}

/// Why a text cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SecretError {
    #[error("the secret is empty: anyone could sign with it")]
    Empty,
    #[error("the secret is not {0}, which this scheme's secrets are")]
    Undecodable(&'static str),
    #[error(
        "this is a key of an Ed25519 pair (`whpk_`, `whsk_`); this scheme needs the shared secret (`whsec_`)"
    )]
    KeyPair,
    #[error("the secret is not {0}, which this scheme verifies with")]
    PublicKey(&'static str),
    #[error("the secret is not `user:password`")]
    NoColon,
    #[error("this scheme verifies with the provider's certificate: it takes no secret")]
    Certificate,
    #[error("an unsigned source takes no secret")]
    Unused,
}

/// A key that is never empty, and the time in which it counts.
pub struct Secret {
    key: Box<[u8]>,
    window: Window,
    family: Family,
}

impl Secret {
    /// Decodes a secret as it was configured.
    pub fn new(text: &str, form: &SecretForm, window: Window) -> Result<Self, SecretError> {
        let bare = form.strip(text).unwrap_or(text);
        if bare.trim().is_empty() {
            return Err(SecretError::Empty);
        }
        let key = match form.encoding {
            SecretEncoding::Utf8 => bare.as_bytes().to_vec(),
            SecretEncoding::Hex => decode(Encoding::Hex, "hex", bare)?,
            // `_` is no base64, so this says better what else would be said worse.
            SecretEncoding::Base64 if bare.starts_with("whpk_") || bare.starts_with("whsk_") => {
                return Err(SecretError::KeyPair);
            }
            SecretEncoding::Base64 => decode(Encoding::Base64, "base64", bare)?,
            SecretEncoding::Base64Url => decode(Encoding::Base64Url, "base64url", bare)?,
            SecretEncoding::Pem => SubjectPublicKeyInfoDer::from_pem_slice(bare.as_bytes())
                .map_err(|_| SecretError::Undecodable("a public key in PEM"))?
                .to_vec(),
            SecretEncoding::SpkiDerBase64 => decode(Encoding::Base64, "base64", bare.trim())?,
        };
        Ok(Self { key: key.into(), window, family: Family::Main })
    }

    /// The same for the other way to sign.
    pub(super) fn of(self, family: Family) -> Self {
        Self { family, ..self }
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Another key in its place, which counts at any time.
    pub(super) fn with_key(&self, key: Vec<u8>) -> Self {
        Self { key: key.into(), window: Window::default(), family: self.family }
    }

    /// The same, to be bound to another scheme.
    pub(super) fn clone_in_time(&self) -> Self {
        Self { window: self.window, ..self.with_key(self.key.to_vec()) }
    }

    /// When it counts.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }
}

/// Which of these, each in its window, is the one that was signed with: the first that is. All that
/// are in force are tried, so that the time taken tells nothing of them.
pub(super) fn matching<T>(
    all: &[T],
    now_unix_ms: i64,
    window: impl Fn(&T) -> Window,
    has_signed: impl Fn(&T) -> bool,
) -> Result<usize, Refusal> {
    let mut verdict = Err(Refusal::NoSecretInForce);
    for (index, one) in all.iter().enumerate() {
        let in_force = window(one).contains(now_unix_ms);
        let hit = in_force && has_signed(one);
        trace::tell(|| step(index, in_force, hit));
        verdict = match verdict {
            Err(_) if hit => Ok(index),
            Err(_) if in_force => Err(Refusal::Mismatch),
            earlier => earlier,
        };
    }
    verdict
}

/// What became of the one at that place of the list.
fn step(index: usize, in_force: bool, hit: bool) -> Step {
    let found = match (in_force, hit) {
        (false, _) => "it is out of its time",
        (true, true) => "it is",
        (true, false) => "it is not",
    };
    Step::new(format!("secret {index}"), "the one that was signed with", found, hit)
}

/// The first of these that is in force, with which is signed.
pub(super) fn in_force<T>(
    all: &[T],
    now_unix_ms: i64,
    window: impl Fn(&T) -> Window,
) -> Result<&T, Refusal> {
    let first = all.iter().find(|one| window(one).contains(now_unix_ms));
    first.ok_or(Refusal::NoSecretInForce)
}

fn decode(encoding: Encoding, name: &'static str, text: &str) -> Result<Vec<u8>, SecretError> {
    encoding.decode_key(text).ok_or(SecretError::Undecodable(name))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("window", &self.window).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn whsec() -> SecretForm {
        SecretForm { encoding: SecretEncoding::Base64, strip_prefix: vec!["whsec_".into()] }
    }

    fn key(text: &str, form: SecretForm) -> Result<Vec<u8>, SecretError> {
        Secret::new(text, &form, Window::default()).map(|secret| secret.key().to_vec())
    }

    #[test]
    fn an_empty_secret_is_refused_at_load() {
        for text in ["", " ", "\t\r\n"] {
            assert_eq!(key(text, SecretForm::VERBATIM), Err(SecretError::Empty), "{text:?}");
        }
        for text in ["whsec_", "whsec_ ", ""] {
            assert_eq!(key(text, whsec()), Err(SecretError::Empty), "{text:?}");
        }
        for text in ["=", "==", "====", "whsec_="] {
            assert_eq!(key(text, whsec()), Err(SecretError::Undecodable("base64")), "{text:?}");
        }
    }

    #[test]
    fn the_prefix_is_optional_and_verbatim_where_the_scheme_says_so() {
        assert_eq!(key("whsec_AAE=", whsec()), Ok(vec![0, 1]));
        assert_eq!(key("AAE", whsec()), Ok(vec![0, 1]));
        assert_eq!(key("whsec_AAE=", SecretForm::VERBATIM), Ok(b"whsec_AAE=".to_vec()));
    }

    #[test]
    fn each_encoding_is_decoded() {
        let form = |encoding| SecretForm { encoding, strip_prefix: Vec::new() };
        assert_eq!(key("Fb", form(SecretEncoding::Hex)), Ok(vec![0xfb]));
        assert_eq!(key("-_8", form(SecretEncoding::Base64Url)), Ok(vec![0xfb, 0xff]));
        assert_eq!(key("+/8", form(SecretEncoding::Base64)), Ok(vec![0xfb, 0xff]));
        assert_eq!(key("0x00", form(SecretEncoding::Hex)), Err(SecretError::Undecodable("hex")));
        assert_eq!(key("a b", whsec()), Err(SecretError::Undecodable("base64")));
    }

    #[test]
    fn a_key_pair_is_named_for_what_it_is() {
        for text in ["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "whsk_AAE="] {
            assert_eq!(key(text, whsec()), Err(SecretError::KeyPair));
        }
    }

    #[test]
    fn debug_and_errors_show_no_key() {
        let secret = Secret::new("hunter2", &SecretForm::VERBATIM, Window::default()).unwrap();
        assert_eq!(
            format!("{secret:?}"),
            "Secret { window: Window { not_before: None, not_after: None }, .. }"
        );
        assert!(!key("hunter2!", whsec()).unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn the_first_in_force_that_has_signed_is_the_one_and_all_in_force_are_tried() {
        use Refusal::{Mismatch, NoSecretInForce};
        let now = Window::default();
        let past = Window { not_before: None, not_after: Some(0) };
        for (all, verdict) in [
            (&[][..], Err(NoSecretInForce)),
            (&[(past, true)], Err(NoSecretInForce)),
            (&[(now, false)], Err(Mismatch)),
            (&[(now, false), (past, true)], Err(Mismatch)),
            (&[(past, true), (now, false)], Err(Mismatch)),
            (&[(past, true), (now, true)], Ok(1)),
            (&[(now, true), (now, true), (now, false)], Ok(0)),
            (&[(now, false), (now, true), (past, true)], Ok(1)),
        ] {
            let tried = Cell::new(0);
            let has_signed = |(_, signed): &(Window, bool)| {
                tried.set(tried.get() + 1);
                *signed
            };
            assert_eq!(matching(all, 1, |(window, _)| *window, has_signed), verdict, "{all:?}");
            let count = all.iter().filter(|(window, _)| *window == now).count();
            assert_eq!(tried.get(), count, "{all:?}");
            let first = in_force(all, 1, |(window, _)| *window);
            assert_eq!(first.is_ok(), count > 0, "{all:?}");
        }
    }

    #[test]
    fn the_window_includes_both_ends() {
        let window = Window { not_before: Some(10), not_after: Some(20) };
        for (ms, inside) in [(9_999, false), (10_000, true), (20_000, true), (20_001, false)] {
            assert_eq!(window.contains(ms), inside, "{ms}");
        }
        assert!(Window::default().contains(i64::MIN));
        assert!(Window { not_before: None, not_after: Some(i64::MAX) }.contains(i64::MAX));
    }
}
