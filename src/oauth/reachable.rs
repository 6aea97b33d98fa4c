//! Which addresses the service connects to when a registration names a URL: public ones, and those that its operator has allowed.
//!
//! Invariant: what is not known to be public is refused. Whoever may write a URL into a registration, or answers for its name in the DNS,
//! gets no request sent into the network that the service stands in (row W14).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::Network;

/// IPv4 that leads to no public server: "this network", private, shared (behind which clouds keep services of their own), loopback,
/// link-local (with the metadata services of clouds), protocol assignments, documentation, the relays of 6to4, benchmarks, multicast,
/// reserved and broadcast. The last one answers to every virtual machine of one cloud, and to nobody else.
const NOT_PUBLIC_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([168, 63, 129, 16], 32),
];

/// The only IPv6 that is given to public servers (RFC 4291 section 2.4, as IANA has it). Loopback, unique local, link-local, site-local,
/// discard, multicast and IPv4 in the clothes of IPv6 lie outside.
const GLOBAL_V6: (u128, u32) = (0x2000 << 112, 3);

/// Of that: protocol assignments (with Teredo), documentation twice, 6to4.
const NOT_PUBLIC_V6: [(u128, u32); 4] =
    [(0x2001 << 112, 23), (0x2001_0db8 << 96, 32), (0x2002 << 112, 16), (0x3fff << 112, 20)];

/// What stands before an IPv4 address that a NAT64 translates (RFC 6052 section 2.1): the public way to it where there is IPv6 alone.
const NAT64: (u128, u32) = (0x0064_ff9b << 96, 96);

/// Public addresses, and the networks that are allowed beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reachable {
    allowed: Vec<Network>,
}

impl Reachable {
    /// Public addresses alone.
    pub const PUBLIC: Self = Self { allowed: Vec::new() };

    /// Public addresses, and these networks.
    pub fn with(allowed: Vec<Network>) -> Self {
        Self { allowed }
    }

    /// Whether a connection may be made to this address.
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_allowed = |address| self.allowed.iter().any(|network| network.holds(address));
        match address {
            IpAddr::V4(v4) => is_allowed(address) || is_public_v4(v4),
            IpAddr::V6(v6) => match translated(v6) {
                Some(v4) => is_allowed(address) || is_allowed(IpAddr::V4(v4)) || is_public_v4(v4),
                None => is_allowed(address) || is_public_v6(v6),
            },
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u128::from(address.to_bits()) << 96;
    let lies_in = |(first, prefix_bits): &([u8; 4], u32)| {
        begins_with(bits, u128::from(u32::from_be_bytes(*first)) << 96, *prefix_bits)
    };
    !NOT_PUBLIC_V4.iter().any(lies_in)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let lies_in = |(first, prefix_bits): &(u128, u32)| begins_with(address.to_bits(), *first, *prefix_bits);
    lies_in(&GLOBAL_V6) && !NOT_PUBLIC_V6.iter().any(lies_in)
}

/// The IPv4 address that a NAT64 makes of this one.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    begins_with(address.to_bits(), NAT64.0, NAT64.1).then(|| Ipv4Addr::new(a, b, c, d))
}

fn begins_with(bits: u128, first: u128, prefix_bits: u32) -> bool {
    (bits ^ first).leading_zeros() >= prefix_bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(reachable: &Reachable, address: &str) -> bool {
        reachable.holds(address.parse().unwrap())
    }

    #[test]
    fn w14_public_addresses_are_reached() {
        let nothing_more = Reachable::default();
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(holds(&nothing_more, public), "{public}");
        }
    }

    #[test]
    fn w14_ipv4_that_is_not_public_is_refused_in_each_way_that_it_is_written() {
        let nothing_more = Reachable::PUBLIC;
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            let v4: Ipv4Addr = refused.parse().unwrap();
            let [a, b, c, d] = v4.octets().map(u16::from);
            for (how, address) in [
                ("as it is", IpAddr::V4(v4)),
                ("mapped", IpAddr::V6(v4.to_ipv6_mapped())),
                ("compatible", IpAddr::V6(Ipv6Addr::from_bits(v4.to_bits().into()))),
                ("translated", IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d))),
                ("6to4", IpAddr::V6(Ipv6Addr::new(0x2002, a << 8 | b, c << 8 | d, 0, 0, 0, 0, 1))),
            ] {
                assert!(!nothing_more.holds(address), "{refused} {how}");
            }
        }
    }

    #[test]
    fn w14_ipv6_that_is_not_public_is_refused() {
        let nothing_more = Reachable::PUBLIC;
        for refused in [
            "::",
            "::1",
            "::8.8.8.8",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!holds(&nothing_more, refused), "{refused}");
        }
    }

    #[test]
    fn what_is_allowed_is_reached_in_each_way_that_it_is_written() {
        let networks = ["10.0.0.0/8", "fd00:1::/32"].map(|network| network.parse().unwrap());
        let reachable = Reachable::with(networks.to_vec());
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00:1::5", "1.1.1.1"] {
            assert!(holds(&reachable, allowed), "{allowed}");
        }
        for refused in ["127.0.0.1", "192.168.0.1", "fd00:2::1", "::10.1.2.3", "64:ff9b::192.168.0.1"] {
            assert!(!holds(&reachable, refused), "{refused}");
        }
    }
}
