//! The hashes that schemes use.

use super::named::named;

named! {
    /// A hash: fixed by the scheme, never read from the request.
    Digest {
        Sha1 = "sha1",
        Sha256 = "sha256",
        Sha384 = "sha384",
        Sha512 = "sha512",
    }
}

impl Digest {
    /// Its length in bytes.
    pub(in crate::verify) fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}
