//! Addresses and networks. An IPv4 address dressed as IPv6, `::ffff:10.0.0.1`, is that IPv4 address everywhere here.

use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the address lies in one of the networks, given as `10.0.0.0/8`, `2001:db8::/32`, or a single address.
/// Bits behind the prefix do not matter: `10.0.0.5/24` is `10.0.0.0/24`.
///
/// Something that is no address is in no network. What is no network is passed over, with a line in the log.
/// The networks are read at each call; a long list is better kept as [`Networks`].
///
/// ```
/// # use streamalert_sdk::helpers::in_network;
/// assert!(in_network("10.1.2.3", &["192.168.0.0/16", "10.0.0.0/8"]));
/// assert!(!in_network("cloudtrail.amazonaws.com", &["0.0.0.0/0"]));
/// ```
pub fn in_network<'a, S: AsRef<str>>(ip: impl Into<Option<&'a str>>, networks: &[S]) -> bool {
    let Some(ip) = ip.into().and_then(parse_ip) else { return false };
    networks.iter().map(AsRef::as_ref).any(|text| match parse_network(text) {
        Some(network) => network.contains(&ip),
        None => {
            crate::log::warn(format!("in_network: {text:?} is no network"));
            false
        }
    })
}

/// Networks read once, for a `static` in a rule file.
///
/// ```
/// # use streamalert_sdk::helpers::Networks;
/// use std::sync::LazyLock;
/// static OFFICE: LazyLock<Networks> = LazyLock::new(|| Networks::new(&["198.51.100.0/24", "2001:db8::/32"]));
/// assert!(OFFICE.contain("198.51.100.7"));
/// ```
#[derive(Clone, Debug)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// What is no network is passed over, with a line in the log.
    pub fn new<S: AsRef<str>>(networks: &[S]) -> Self {
        let read = |text: &S| {
            let network = parse_network(text.as_ref());
            if network.is_none() {
                crate::log::warn(format!("networks: {:?} is no network", text.as_ref()));
            }
            network
        };
        Networks(networks.iter().filter_map(read).collect())
    }

    /// Whether the address lies in one of them; `false` for something that is no address.
    pub fn contain<'a>(&self, ip: impl Into<Option<&'a str>>) -> bool {
        let Some(ip) = ip.into().and_then(parse_ip) else { return false };
        self.0.iter().any(|network| network.contains(&ip))
    }
}

/// Whether this is an IPv4 or IPv6 address in its ordinary written form: four decimal numbers without leading zeros, or
/// IPv6, `::1` included. A network, a port or a zone is no part of an address.
pub fn valid_ip<'a>(ip: impl Into<Option<&'a str>>) -> bool {
    ip.into().and_then(parse_ip).is_some()
}

/// Whether the address can be routed on the internet: not private, shared (100.64.0.0/10), loopback, link-local,
/// multicast, reserved, for documentation, or unspecified. `false` for something that is no address.
pub fn is_public_ip<'a>(ip: impl Into<Option<&'a str>>) -> bool {
    match ip.into().and_then(parse_ip) {
        Some(IpAddr::V4(ip)) => is_public_v4(ip),
        Some(IpAddr::V6(ip)) => is_public_v6(ip),
        None => false,
    }
}

/// Whether the address is for use within one's own network: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fc00::/7.
/// `false` for something that is no address. Loopback and link-local are neither private nor public.
pub fn is_private_ip<'a>(ip: impl Into<Option<&'a str>>) -> bool {
    match ip.into().and_then(parse_ip) {
        Some(IpAddr::V4(ip)) => ip.is_private(),
        Some(IpAddr::V6(ip)) => ip.is_unique_local(),
        None => false,
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let protocol = a == 192 && b == 0 && c == 0;
    let benchmark = a == 198 && b & 0xfe == 18;
    let reserved = a == 0 || a >= 240;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || shared
        || protocol
        || benchmark
        || reserved)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // What is given out for the internet so far is 2000::/3.
    let [a, b, ..] = ip.segments();
    let documentation = a == 0x2001 && b == 0xdb8 || a == 0x3fff && b < 0x1000;
    let protocol = a == 0x2001 && b < 0x200;
    a & 0xe000 == 0x2000 && !documentation && !protocol
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn parse_network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => return parse_ip(text).map(IpNet::from),
    };
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => Ipv4Net::new(v4, v6.prefix_len() - 96).ok().map(IpNet::V4),
            None => Some(network),
        },
        _ => Some(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert!(in_network("::ffff:10.0.0.1", &["10.0.0.0/8"]));
        assert!(in_network("10.0.0.1", &["::ffff:10.0.0.0/104"]));
        assert!(!in_network("11.0.0.1", &["::ffff:10.0.0.0/104"]));
        assert!(!in_network("10.0.0.1", &["::/0"]));
        assert!(is_private_ip("::ffff:192.168.1.1") && !is_public_ip("::ffff:192.168.1.1"));
    }

    #[test]
    fn loopback_is_an_address() {
        assert!(valid_ip("::1") && in_network("::1", &["::/0"]) && in_network("::1", &["::1"]));
        assert!(!valid_ip("fe80::1%eth0") && !valid_ip("1.2.3.4:80") && !valid_ip("") && !valid_ip(None));
    }

    #[test]
    fn public_private_and_neither() {
        let kind = |ip: &str| (is_public_ip(ip), is_private_ip(ip));
        for ip in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "198.20.0.1"] {
            assert_eq!(kind(ip), (true, false), "{ip}");
        }
        for ip in ["10.0.0.1", "172.16.0.1", "192.168.0.1", "fd00::1"] {
            assert_eq!(kind(ip), (false, true), "{ip}");
        }
        for ip in
            ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "100.64.0.1", "192.0.2.1", "2001:db8::1", "x", "0.0.0.0"]
        {
            assert_eq!(kind(ip), (false, false), "{ip}");
        }
    }

    #[test]
    fn networks_are_read_once() {
        let networks = Networks::new(&["10.0.0.5/24", "not a network", "192.0.2.1"]);
        assert!(networks.contain("10.0.0.200") && networks.contain("192.0.2.1"));
        assert!(!networks.contain("10.0.1.1") && !networks.contain(None));
    }
}
