//! Addresses and networks, compared as numbers and not as texts.

use core::net::IpAddr;

/// A network; an address is one of full length. An IPv4 address written as IPv6 is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    v6: bool,
    /// Without what lies beyond `length`.
    bits: u128,
    length: u8,
}

impl Network {
    /// `192.0.2.0/24`, `192.0.2.7`, `2001:db8::/32`; bits of the host are dropped.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, length) = match text.trim().split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width: u8 = if address.is_ipv6() { 128 } else { 32 };
        let length = length.unwrap_or(width);
        if length > width {
            return None;
        }
        match (address, address.to_canonical()) {
            // `::ffff:192.0.2.0/120`
            (IpAddr::V6(_), IpAddr::V4(v4)) if length >= 96 => {
                Some(Network::cut(false, u32::from(v4).into(), length - 96))
            }
            (IpAddr::V6(v6), _) => Some(Network::cut(true, v6.into(), length)),
            (IpAddr::V4(v4), _) => Some(Network::cut(false, u32::from(v4).into(), length)),
        }
    }

    fn cut(v6: bool, bits: u128, length: u8) -> Network {
        let host = u32::from((if v6 { 128 } else { 32 }) - length);
        let mask = if host >= 128 { 0 } else { u128::MAX << host };
        Network { v6, bits: bits & mask, length }
    }

    pub fn is_address(&self) -> bool {
        self.length == if self.v6 { 128 } else { 32 }
    }

    pub fn is_v6(&self) -> bool {
        self.v6
    }

    pub fn length(&self) -> u8 {
        self.length
    }

    pub fn contains(&self, other: &Network) -> bool {
        self.v6 == other.v6
            && self.length <= other.length
            && Network::cut(self.v6, other.bits, self.length).bits == self.bits
    }

    /// The network of this length around it.
    pub fn widened(&self, length: u8) -> Network {
        Network::cut(self.v6, self.bits, length.min(self.length))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = match self.v6 {
            true => IpAddr::V6(self.bits.into()),
            false => IpAddr::V4((self.bits as u32).into()),
        };
        match self.is_address() {
            true => write!(f, "{address}"),
            false => write!(f, "{address}/{}", self.length),
        }
    }
}

/// Values under which networks of these lengths (IPv6 or not, length) around an address are kept; of other values none.
pub fn network_keys<'a>(value: &str, lengths: impl IntoIterator<Item = &'a (bool, u8)>) -> Vec<String> {
    let Some(address) = Network::parse(value).filter(Network::is_address) else { return Vec::new() };
    let fitting = lengths.into_iter().filter(|(v6, length)| *v6 == address.v6 && *length < address.length);
    fitting.map(|(_, length)| address.widened(*length).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_numbers() {
        for (text, written) in [
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3")),
            ("::ffff:10.1.2.3", Some("10.1.2.3")),
            ("::ffff:10.1.2.0/120", Some("10.1.2.0/24")),
            ("2001:DB8:0:0::1/128", Some("2001:db8::1")),
            ("2001:db8:ffff::/32", Some("2001:db8::/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("10.0.0.0/33", None),
            ("10.0.0", None),
            ("x", None),
            ("010.1.1.1", None),
        ] {
            assert_eq!(Network::parse(text).map(|network| network.to_string()).as_deref(), written, "{text}");
        }
        let wide = Network::parse("10.0.0.0/8").unwrap();
        assert!(wide.contains(&Network::parse("10.255.0.1").unwrap()));
        assert!(
            !wide.contains(&Network::parse("11.0.0.1").unwrap()) && !wide.contains(&Network::parse("::1").unwrap())
        );
        assert!(Network::parse("0.0.0.0/0").unwrap().contains(&wide));
        let lengths = [(false, 24), (false, 0), (true, 32)];
        assert_eq!(network_keys("192.0.2.7", &lengths), ["192.0.2.0/24", "0.0.0.0/0"]);
        assert_eq!(network_keys("2001:db8::1", &lengths), ["2001:db8::/32"]);
        assert!(network_keys("evil.com", &lengths).is_empty());
    }
}
