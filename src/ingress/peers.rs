//! Who was refused how often. Whoever was too often gets less work done, and never less than what
//! a signed request needs: behind one address there may be an attacker and a sender.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::quota::{Quota, Taken};

/// Addresses that are remembered are at least so many, and at most twice as many.
const REMEMBERED: usize = 32 * 1024;

/// How long a verified request vouches for its address.
const VOUCHED: Duration = Duration::from_secs(3_600);

/// The bits of an IPv6 address that one host cannot choose: its network's.
const NETWORK: u128 = !0 << 64;

/// The refusals of each address; the networks of IPv6 count as one.
pub struct Peers {
    quota: Quota,
    known: Mutex<Known>,
}

/// Two generations: when the younger is full, the older is forgotten.
#[derive(Default)]
struct Known {
    younger: HashMap<IpAddr, Peer>,
    older: HashMap<IpAddr, Peer>,
}

#[derive(Clone, Copy, Default)]
struct Peer {
    refused: Taken,
    verified: Option<Instant>,
}

impl Peers {
    /// Each address may be refused so often.
    pub fn new(quota: Quota) -> Self {
        Self { quota, known: Mutex::default() }
    }

    /// Counts a refusal. Where there were too many, says how long until there may be another.
    pub fn refuse(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.with(address, |peer| {
            peer.refused = self.quota.take(peer.refused, now)?;
            Ok(())
        })
    }

    /// Notes that a request was verified.
    pub fn vouch(&self, address: IpAddr, now: Instant) {
        self.with(address, |peer| peer.verified = Some(now));
    }

    /// How long an address must wait that was refused too often, and that nothing vouches for.
    pub fn suspect(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = known.find(key(address))?;
        let vouched = peer.verified.is_some_and(|at| now.duration_since(at) < VOUCHED);
        self.quota.wait(peer.refused, now).filter(|_| !vouched)
    }

    fn with<T>(&self, address: IpAddr, change: impl FnOnce(&mut Peer) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.find(key(address));
        change(known.younger.entry(key(address)).or_default())
    }
}

impl Known {
    /// What is known of an address, which is then among the younger.
    fn find(&mut self, key: IpAddr) -> Option<Peer> {
        if let Some(peer) = self.younger.get(&key) {
            return Some(*peer);
        }
        if self.younger.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.younger);
        }
        let peer = self.older.remove(&key)?;
        self.younger.insert(key, peer);
        Some(peer)
    }
}

fn key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & NETWORK).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn peers() -> Peers {
        Peers::new(Quota { amount: NonZeroU32::new(2).unwrap(), per: Duration::from_secs(60) })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_refusals_and_a_network_of_ipv6_is_one() {
        let (peers, now) = (peers(), Instant::now());
        for (peer, expected) in [
            ("1.1.1.1", Ok(())),
            ("1.1.1.1", Ok(())),
            ("1.1.1.1", Err(Duration::from_secs(30))),
            ("1.1.1.2", Ok(())),
            ("2001:db8::1", Ok(())),
            ("2001:db8::2", Ok(())),
            ("2001:db8::ffff:3", Err(Duration::from_secs(30))),
            ("2001:db8:0:1::1", Ok(())),
        ] {
            assert_eq!(peers.refuse(address(peer), now), expected, "{peer}");
        }
        assert_eq!(peers.suspect(address("1.1.1.1"), now), Some(Duration::from_secs(30)));
        assert_eq!(peers.suspect(address("1.1.1.2"), now), None);
        assert_eq!(peers.suspect(address("9.9.9.9"), now), None);
        assert_eq!(peers.suspect(address("1.1.1.1"), now + Duration::from_secs(30)), None);
    }

    #[test]
    fn a_verified_request_vouches_for_an_hour() {
        let (peers, now, peer) = (peers(), Instant::now(), address("1.1.1.1"));
        peers.vouch(peer, now);
        let later = now + VOUCHED;
        for at in [now, later] {
            while peers.refuse(peer, at).is_ok() {}
        }
        assert_eq!(peers.suspect(peer, later - Duration::from_millis(1)), None);
        assert!(peers.suspect(peer, later).is_some());
    }

    #[test]
    fn whom_a_flood_of_addresses_washes_away_is_no_more_than_forgotten() {
        let (peers, now, steady) = (peers(), Instant::now(), address("1.1.1.1"));
        let stranger = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        let mut refused = 0;
        for n in 0..3 * REMEMBERED {
            assert_eq!(peers.refuse(stranger(n), now), Ok(()));
            if n % 1_000 == 0 {
                refused += usize::from(peers.refuse(steady, now).is_err());
            }
            let known = peers.known.lock().unwrap();
            assert!(known.younger.len() <= REMEMBERED + 1 && known.older.len() <= REMEMBERED + 1);
        }
        assert_eq!(refused, 3 * REMEMBERED / 1_000 + 1 - 2);
    }
}
