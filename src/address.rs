//! Which addresses belong to the public internet: those that a request may be sent to when somebody
//! else says where to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// An address that is not one of the public internet, and of no range that was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{address} is {kind}")]
pub struct NotPublic {
    /// The address.
    pub address: IpAddr,
    /// What it is instead, with an article.
    pub kind: &'static str,
}

/// Whether an address may be reached: one of the public internet, or of a range in `named`.
///
/// # Errors
/// It may not. An address that holds another is judged by that one too, so that naming a range of
/// NAT64 opens nothing private behind it.
pub fn check(address: IpAddr, named: &[IpNet]) -> Result<(), NotPublic> {
    let Some(kind) = special(address) else { return Ok(()) };
    if !named.iter().any(|range| range.contains(&address)) {
        return Err(NotPublic { address, kind });
    }
    embedded(address).map_or(Ok(()), |inner| check(inner.into(), named))
}

/// The IPv4 address to which an IPv6 address leads, if it is of a kind that holds one.
pub fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let [_, a, b, .., y, z] = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match kind_of_v6(address) {
        Some(MAPPED | COMPATIBLE | NAT64) => Some(of(y, z)),
        Some(SIX_TO_FOUR) => Some(of(a, b)),
        _ => None,
    }
}

fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            V4.iter().find(|(range, _)| range.contains(&address)).map(|(_, kind)| *kind)
        }
        IpAddr::V6(address) => kind_of_v6(address),
    }
}

fn kind_of_v6(address: Ipv6Addr) -> Option<&'static str> {
    let known = V6.iter().find(|(range, _)| range.contains(&address)).map(|(_, kind)| *kind);
    known.or((!GLOBAL.contains(&address)).then_some(RESERVED))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(segments: [u16; 8], bits: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), bits)
}

const UNSPECIFIED: &str = "an unspecified address";
const LOOPBACK: &str = "a loopback address";
const PRIVATE: &str = "a private address";
const SHARED: &str = "an address behind a carrier's NAT";
const LINK_LOCAL: &str = "a link-local address";
const METADATA: &str = "a cloud's metadata address";
const MULTICAST: &str = "a multicast address";
const RESERVED: &str = "a reserved address";
const MAPPED: &str = "an IPv4-mapped address";
const COMPATIBLE: &str = "an IPv4-compatible address";
const NAT64: &str = "a NAT64 address";
const SIX_TO_FOUR: &str = "a 6to4 address";

/// IANA's special-purpose registry (<https://www.iana.org/assignments/iana-ipv4-special-registry>),
/// and what clouds use beside it; the first that fits counts.
const V4: [(Ipv4Net, &str); 19] = [
    (v4(0, 0, 0, 0, 32), UNSPECIFIED),
    (v4(0, 0, 0, 0, 8), RESERVED),
    (v4(10, 0, 0, 0, 8), PRIVATE),
    (v4(100, 100, 100, 200, 32), METADATA), // Alibaba
    (v4(100, 64, 0, 0, 10), SHARED),
    (v4(127, 0, 0, 0, 8), LOOPBACK),
    (v4(168, 63, 129, 16, 32), METADATA), // Azure
    (v4(169, 254, 169, 254, 32), METADATA),
    (v4(169, 254, 0, 0, 16), LINK_LOCAL),
    (v4(172, 16, 0, 0, 12), PRIVATE),
    (v4(192, 0, 0, 0, 24), RESERVED),
    (v4(192, 0, 2, 0, 24), RESERVED),
    (v4(192, 88, 99, 0, 24), RESERVED),
    (v4(192, 168, 0, 0, 16), PRIVATE),
    (v4(198, 18, 0, 0, 15), RESERVED),
    (v4(198, 51, 100, 0, 24), RESERVED),
    (v4(203, 0, 113, 0, 24), RESERVED),
    (v4(224, 0, 0, 0, 4), MULTICAST),
    (v4(240, 0, 0, 0, 4), RESERVED), // its last one is the broadcast address
];

/// Likewise (<https://www.iana.org/assignments/iana-ipv6-special-registry>).
const V6: [(Ipv6Net, &str); 16] = [
    (v6([0; 8], 128), UNSPECIFIED),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), LOOPBACK),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), MAPPED),
    (v6([0; 8], 96), COMPATIBLE),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), NAT64),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), NAT64),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), RESERVED), // Teredo and other protocols
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), RESERVED),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), SIX_TO_FOUR),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), RESERVED),
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), METADATA), // Amazon
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), METADATA),  // Google
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), PRIVATE),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), LINK_LOCAL),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), PRIVATE),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), MULTICAST),
];

/// Where IPv6 addresses of the public internet come from; what lies outside is not given out.
const GLOBAL: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(address: &str, named: &[&str]) -> Result<(), &'static str> {
        let named: Vec<IpNet> = named.iter().map(|range| range.parse().unwrap()).collect();
        check(address.parse().unwrap(), &named).map_err(|refused| refused.kind)
    }

    #[test]
    fn only_public_addresses_may_be_reached() {
        for (address, expected) in [
            ("1.1.1.1", Ok(())),
            ("9.255.255.255", Ok(())),
            ("11.0.0.0", Ok(())),
            ("100.63.255.255", Ok(())),
            ("100.128.0.0", Ok(())),
            ("126.255.255.255", Ok(())),
            ("168.63.129.17", Ok(())),
            ("169.253.255.255", Ok(())),
            ("172.15.255.255", Ok(())),
            ("172.32.0.0", Ok(())),
            ("192.167.255.255", Ok(())),
            ("223.255.255.255", Ok(())),
            ("2606:4700:4700::1111", Ok(())),
            ("2001:200::1", Ok(())),
            ("2003::1", Ok(())),
            ("0.0.0.0", Err(UNSPECIFIED)),
            ("0.0.0.1", Err(RESERVED)),
            ("10.0.0.0", Err(PRIVATE)),
            ("10.255.255.255", Err(PRIVATE)),
            ("100.64.0.0", Err(SHARED)),
            ("100.100.100.200", Err(METADATA)),
            ("127.0.0.1", Err(LOOPBACK)),
            ("127.255.255.255", Err(LOOPBACK)),
            ("168.63.129.16", Err(METADATA)),
            ("169.254.169.254", Err(METADATA)),
            ("169.254.170.2", Err(LINK_LOCAL)),
            ("172.16.0.0", Err(PRIVATE)),
            ("172.31.255.255", Err(PRIVATE)),
            ("192.0.0.192", Err(RESERVED)),
            ("192.168.1.1", Err(PRIVATE)),
            ("198.19.255.255", Err(RESERVED)),
            ("224.0.0.1", Err(MULTICAST)),
            ("240.0.0.0", Err(RESERVED)),
            ("255.255.255.255", Err(RESERVED)),
            ("::", Err(UNSPECIFIED)),
            ("::1", Err(LOOPBACK)),
            ("::7f00:1", Err(COMPATIBLE)),
            ("::ffff:1.1.1.1", Err(MAPPED)),
            ("::ffff:169.254.169.254", Err(MAPPED)),
            ("64:ff9b::a9fe:a9fe", Err(NAT64)),
            ("64:ff9b:1::1", Err(NAT64)),
            ("100::1", Err(RESERVED)),
            ("2001::1", Err(RESERVED)),
            ("2001:db8::1", Err(RESERVED)),
            ("2002:7f00:1::", Err(SIX_TO_FOUR)),
            ("3fff::1", Err(RESERVED)),
            ("4000::1", Err(RESERVED)),
            ("fc00::1", Err(PRIVATE)),
            ("fd00:ec2::254", Err(METADATA)),
            ("fe80::1", Err(LINK_LOCAL)),
            ("fec0::1", Err(PRIVATE)),
            ("ff02::1", Err(MULTICAST)),
        ] {
            assert_eq!(judged(address, &[]), expected, "{address}");
        }
    }

    #[test]
    fn a_range_that_is_named_may_be_reached_and_nothing_beside_it() {
        for (address, named, expected) in [
            ("10.1.2.3", &["10.1.0.0/16"][..], Ok(())),
            ("10.2.0.0", &["10.1.0.0/16"], Err(PRIVATE)),
            ("127.0.0.1", &["10.0.0.0/8", "127.0.0.1/32"], Ok(())),
            ("::1", &["127.0.0.0/8"], Err(LOOPBACK)),
            ("::1", &["::1/128"], Ok(())),
            ("::ffff:10.1.2.3", &["10.0.0.0/8"], Err(MAPPED)),
            ("::ffff:10.1.2.3", &["::ffff:0:0/96"], Err(PRIVATE)),
            ("::ffff:10.1.2.3", &["::ffff:0:0/96", "10.0.0.0/8"], Ok(())),
            ("64:ff9b::101:101", &["64:ff9b::/96"], Ok(())),
            ("64:ff9b::a00:1", &["64:ff9b::/96"], Err(PRIVATE)),
            ("2002:a9fe:a9fe::1", &["2002::/16"], Err(METADATA)),
        ] {
            assert_eq!(judged(address, named), expected, "{address} {named:?}");
        }
    }

    #[test]
    fn an_address_within_an_address_is_found() {
        for (address, expected) in [
            ("::ffff:127.0.0.1", Some([127, 0, 0, 1])),
            ("::7f00:1", Some([127, 0, 0, 1])),
            ("64:ff9b::7f00:1", Some([127, 0, 0, 1])),
            ("2002:7f00:1::9", Some([127, 0, 0, 1])),
            ("2606:4700::7f00:1", None),
            ("::1", None),
            ("127.0.0.1", None),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(embedded(address), expected.map(Ipv4Addr::from), "{address}");
        }
    }
}
