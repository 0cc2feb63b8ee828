//! Which addresses may be connected to, whatever name led there.
//!
//! By IANA's registries of special-purpose addresses. What is not known to be public is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Public,
    /// Only if the operator permits private networks; what it is, for people.
    Private(&'static str),
    Never(&'static str),
}

pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

const METADATA: Reach = Reach::Never("a cloud's metadata service");
const LINK_LOCAL: Reach = Reach::Never("the local link");
const MULTICAST: Reach = Reach::Never("a multicast group");
const DOCUMENTATION: Reach = Reach::Never("documentation");
const RESERVED: Reach = Reach::Never("nobody");
const LOOPBACK: Reach = Reach::Private("this machine");
const PRIVATE: Reach = Reach::Private("a private network");

fn v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // Alibaba's, amid the carrier's network; Azure's, amid public addresses; Oracle's.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => METADATA,
        [169, 254, 169, 254] => METADATA,
        [169, 254, ..] => LINK_LOCAL,
        [0, ..] => Reach::Never("no address"),
        [127, ..] => LOOPBACK,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => PRIVATE,
        [100, 64..=127, ..] => Reach::Private("a carrier's network"),
        [198, 18..=19, ..] => Reach::Private("a network for measurements"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => DOCUMENTATION,
        [192, 0, 0, _] | [192, 88, 99, _] => RESERVED,
        [224..=239, ..] => MULTICAST,
        [255, 255, 255, 255] => Reach::Never("all of the local network"),
        [240..=255, ..] => RESERVED,
        _ => Reach::Public,
    }
}

fn v6(address: Ipv6Addr) -> Reach {
    let embedded = |a: u16, b: u16| v4(Ipv4Addr::from((u32::from(a) << 16) | u32::from(b)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never("no address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => LOOPBACK,
        // IPv4 in other clothes: mapped, compatible, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff, a, b] | [0, 0, 0, 0, 0, 0, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => embedded(a, b),
        [0x2002, a, b, ..] => embedded(a, b),
        // NAT64 within a network.
        [0x64, 0xff9b, 1, .., a, b] => match embedded(a, b) {
            Reach::Never(what) => Reach::Never(what),
            _ => PRIVATE,
        },
        // Amazon's and Google's, amid private addresses.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => METADATA,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => PRIVATE,
        [0xfe80..=0xfebf, ..] => LINK_LOCAL,
        [0xff00..=0xffff, ..] => MULTICAST,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => DOCUMENTATION,
        // Protocols' own: Teredo, ORCHID, benchmarks.
        [0x2001, 0..=0x1ff, ..] => RESERVED,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => RESERVED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "169.253.255.255",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(reach(text.parse().unwrap()), Reach::Public, "{text}");
        }
    }

    #[test]
    fn private_addresses_need_a_permit() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:a00:1::",
        ] {
            assert!(matches!(reach(text.parse().unwrap()), Reach::Private(_)), "{text}");
        }
    }

    #[test]
    fn no_permit_opens_these() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.0.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::",
            "::ffff:0:169.254.169.254",
            "2001::1",
            "2001:20::1",
            "100::1",
            "4000::1",
            "5f00::1",
        ] {
            assert!(matches!(reach(text.parse().unwrap()), Reach::Never(_)), "{text}");
        }
    }
}
