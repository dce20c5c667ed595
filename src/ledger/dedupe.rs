//! What makes events the same, and what orders them.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128, SipHasher13};

/// The value that orders a delivery, as a keyed hash. Two values of one hash would only wait for
/// each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Order(pub(super) i64);

/// What makes two events the same, as a keyed hash: senders choose ids, so they could choose
/// ids that collide under a hash whose key they know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sameness(u128);

impl Sameness {
    /// The hash as it is kept: its upper half and its lower one.
    pub fn halves(self) -> [u64; 2] {
        [(self.0 >> 64) as u64, self.0 as u64]
    }

    /// The hash that was kept.
    pub fn of_halves([high, low]: [u64; 2]) -> Self {
        Self(u128::from(high) << 64 | u128::from(low))
    }
}

/// The key of a ledger's hashes.
#[derive(Clone, Copy)]
pub struct SamenessKey([u8; 16]);

impl SamenessKey {
    /// The key that the ledger keeps.
    pub fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// What orders events that have this value.
    pub fn order(&self, value: &str) -> Order {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(value.as_bytes());
        Order(hasher.finish128().h1.cast_signed())
    }

    /// The sameness of an event of `source` with the sender's `id`, and with that body where the
    /// id alone does not prove it.
    pub fn of(&self, source: &str, id: Option<&str>, body: Option<&[u8]>) -> Sameness {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        for part in [Some(source.as_bytes()), id.map(str::as_bytes), body] {
            hasher.write_u64(part.map_or(u64::MAX, |part| part.len() as u64));
            hasher.write(part.unwrap_or_default());
        }
        Sameness(hasher.finish128().as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = SamenessKey::new([7; 16]);
        let all = [
            key.of("ab", Some("c"), None),
            key.of("a", Some("bc"), None),
            key.of("ab", None, Some(b"c")),
            key.of("ab", Some("c"), Some(b"")),
            SamenessKey::new([8; 16]).of("ab", Some("c"), None),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all.iter().skip(n + 1).all(|other| other != one));
        }
        assert_eq!(Sameness::of_halves(all[0].halves()), all[0]);
    }
}
