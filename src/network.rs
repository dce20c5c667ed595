//! Networks, and who is really calling when a proxy calls.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses, as networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NetworkError {
    #[error("is neither an address nor a network")]
    Unreadable,
    #[error("is one address inside of {0}")]
    Inside(IpNet),
}

/// Reads `192.30.252.0/22`, `2001:db8::/32`, or a single address.
pub fn parse(text: &str) -> Result<IpNet, NetworkError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let network = text.parse().map(canonical).map_err(|_| NetworkError::Unreadable)?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(NetworkError::Inside(network.trunc()))
    }
}

/// A network of IPv4 addresses in the clothes of IPv6 is one of IPv4: as such they are compared.
fn canonical(network: IpNet) -> IpNet {
    /// Bits of `::ffff:0:0/96`.
    const MAPPED: u8 = 96;
    let IpNet::V6(v6) = network else { return network };
    let inner = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED));
    let inner = inner.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok());
    inner.map_or(network, IpNet::V4)
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl Networks {
    /// Whether the address, which is not an IPv4 one in the clothes of IPv6, is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who calls, these being proxies whose `X-Forwarded-For` is believed. Each proxy appends whom
    /// it heard from, so the last address that is no proxy's is the caller; what stands before it
    /// is hearsay. Where the header cannot be read, all that is known is the peer.
    pub fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.contains(peer) {
            return peer;
        }
        let mut caller = peer;
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        for line in lines.into_iter().rev() {
            let Ok(line) = line.to_str() else { return peer };
            for hop in line.rsplit(',') {
                let Some(address) = address(hop.trim_matches([' ', '\t'])) else { return peer };
                caller = address;
                if !self.contains(caller) {
                    return caller;
                }
            }
        }
        caller
    }
}

/// An address, with or without the port that some proxies add.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address: Option<IpAddr> = hop.parse().ok().or_else(with_port).or_else(bare);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn networks(list: &[&str]) -> Networks {
        list.iter().map(|text| parse(text).unwrap()).collect()
    }

    #[test]
    fn a_network_has_its_addresses() {
        let list = networks(&["192.30.252.0/22", "10.1.2.3", "2001:db8::/32", "::ffff:10.9.9.9"]);
        for (address, inside) in [
            ("192.30.252.0", true),
            ("192.30.255.255", true),
            ("192.31.0.0", false),
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            ("10.9.9.9", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(list.contains(address.parse().unwrap()), inside, "{address}");
        }
        assert!(networks(&["0.0.0.0/0"]).contains([1, 2, 3, 4].into()));
        assert!(!networks(&["0.0.0.0/0"]).contains("::1".parse().unwrap()));
    }

    #[test]
    fn a_network_in_the_clothes_of_ipv6_is_one_of_ipv4() {
        for (text, inside, outside) in [
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
            ("::ffff:a00:0/104", "10.255.0.1", "11.0.0.1"),
            ("::ffff:192.0.2.7/128", "192.0.2.7", "192.0.2.8"),
            ("::ffff:0:0/96", "203.0.113.1", "2001:db8::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("::a00:0/104", "::a00:1", "10.0.0.1"),
        ] {
            let list = networks(&[text]);
            assert!(list.contains(inside.parse().unwrap()), "{text}");
            assert!(!list.contains(outside.parse().unwrap()), "{text}");
        }
        let around = "10.0.0.0/8".parse().unwrap();
        assert_eq!(parse("::ffff:10.0.0.1/104"), Err(NetworkError::Inside(around)));
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "example.com", "10.0.0.0/", " 10.0.0.1", "*"] {
            assert_eq!(parse(text), Err(NetworkError::Unreadable), "{text}");
        }
        let around = "192.30.252.0/22".parse().unwrap();
        assert_eq!(parse("192.30.252.7/22"), Err(NetworkError::Inside(around)));
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_caller() {
        let proxies = networks(&["10.0.0.0/8", "fd00::/8"]);
        for (peer, forwarded, caller) in [
            // Whoever comes directly is believed nothing.
            ("7.7.7.7", &["1.1.1.1"][..], "7.7.7.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1,10.0.0.2", "10.0.0.3"], "1.1.1.1"),
            ("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("10.0.0.1", &["1.1.1.1:443"], "1.1.1.1"),
            ("10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            // What nobody can read is no reason to believe what stands further left.
            ("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1, 10.0.0.2, "], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["evil, 1.1.1.1"], "1.1.1.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
            }
            let found = proxies.caller(peer.parse().unwrap(), &headers);
            assert_eq!(found, caller.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_bytes(b"1.1.1.1\xff").unwrap());
        assert_eq!(proxies.caller([10, 0, 0, 1].into(), &headers), IpAddr::from([10, 0, 0, 1]));
    }

    #[test]
    fn fuzzed_hearsay_changes_no_caller() {
        crate::fuzz::fuzz("network", |input| {
            let text = String::from_utf8_lossy(input);
            let (network, forwarded) = text.split_once('\n').unwrap_or((&text, ""));
            let network = parse(network);
            if let Ok(network) = network {
                assert_eq!(parse(&network.to_string()), Ok(network));
            }
            let ours = "10.0.0.0/8".parse().unwrap();
            let proxies: Networks = network.into_iter().chain([ours]).collect();
            let caller = |forwarded: &str| {
                let mut headers = HeaderMap::new();
                headers.append(FORWARDED_FOR, HeaderValue::from_str(forwarded).ok()?);
                Some(proxies.caller([10, 0, 0, 1].into(), &headers))
            };
            let Some(found) = caller(forwarded) else { return };
            if !proxies.contains(found) {
                for hearsay in ["1.1.1.1", "unknown", "10.0.0.2", ""] {
                    assert_eq!(caller(&format!("{hearsay},{forwarded}")), Some(found));
                }
            }
        });
    }
}
