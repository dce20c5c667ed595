//! Where a route forwards events to, and the key by which whoever is there knows them.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use ipnet::IpNet;
use ring::rand::{SecureRandom, SystemRandom};

use crate::secret_file;
use crate::verify::Digest;
use crate::verify::Mac;

/// How a key begins as text.
/// Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
const PREFIX: &str = "whsec_";

/// Bytes of a key, by the same source.
const FEWEST: usize = 24;
const MOST: usize = 64;

/// Bytes of a key that hookyard makes.
const MADE: usize = 32;

/// The file of hookyard's own key, in `data`.
pub const FILE: &str = "forward.secret";

/// Where events are forwarded to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// An absolute URL of http or https, without a user.
    pub url: Uri,
    /// What they are signed with; `None`: hookyard's own key.
    pub key: Option<SigningKey>,
    /// Ranges of addresses that may be reached although they are not public.
    pub private: Vec<IpNet>,
}

impl Destination {
    /// The URL without its query, which may hold a token.
    pub fn shown(&self) -> String {
        let text = self.url.to_string();
        text.split('?').next().unwrap_or_default().to_owned()
    }
}

/// A key of Standard Webhooks.
#[derive(Clone)]
pub struct SigningKey(Mac);

impl SigningKey {
    /// The key that is written as that text; `None` when it is not `whsec_` and 24 to 64 bytes in
    /// base64.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (FEWEST..=MOST).contains(&bytes.len()).then(|| Self(Mac::new(Digest::Sha256, &bytes)))
    }

    /// hookyard's own key, which is made when `data` has none.
    ///
    /// # Errors
    /// It cannot be read or kept, or is no key.
    pub fn own(data: &Path) -> io::Result<Self> {
        let file = data.join(FILE);
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => made(&file)?,
            read => read?,
        };
        Self::parse(text.trim_end()).ok_or_else(|| {
            let what = format!("{} holds no `{PREFIX}…` key", file.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        })
    }

    /// The signature of a message, as its header has it. `at` is in seconds since 1970.
    pub fn sign(&self, id: &str, at: u64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finish()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// Makes a key and keeps it. Another process may have been faster: then the key is its own.
fn made(file: &Path) -> io::Result<String> {
    let mut bytes = [0; MADE];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random bytes"))?;
    let text = format!("{PREFIX}{}\n", STANDARD.encode(bytes));
    match secret_file::keep(file, &text) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(file),
        kept => kept.map(|()| text),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_message_is_signed_as_the_specification_shows() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }

    #[test]
    fn a_key_has_24_to_64_bytes() {
        for (bytes, good) in [(23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
            assert_eq!(SigningKey::parse(&text).is_some(), good, "{bytes}");
            assert!(SigningKey::parse(&text[PREFIX.len()..]).is_none());
        }
        assert!(SigningKey::parse("whsec_not base64").is_none());
    }

    #[test]
    fn the_own_key_is_made_once_for_its_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let signed = || SigningKey::own(data.path()).unwrap().sign("a", 1, b"b");
        assert_eq!(signed(), signed());
        let file = data.path().join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "whsec_short").unwrap();
        assert!(SigningKey::own(data.path()).is_err());
    }

    #[test]
    fn a_destination_is_shown_without_its_query() {
        let url = Uri::from_static("https://app.internal:8443/hooks?token=hush");
        let shown = Destination { url, key: None, private: Vec::new() }.shown();
        assert_eq!(shown, "https://app.internal:8443/hooks");
    }
}
