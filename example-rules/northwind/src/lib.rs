//! What the rules of this company agree on: which networks and accounts are its own, and how to say who did something.
//!
//! Rules cannot live here, the linker would drop them; functions for them can.

pub mod cloudtrail;

use std::sync::LazyLock;
use streamalert_sdk::prelude::*;

/// Offices, staff VPN and VPCs.
pub const NETWORKS: [&str; 3] = ["10.0.0.0/8", "192.0.2.0/24", "2001:db8:50::/48"];

/// AWS accounts of the organization.
pub const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];

/// Parsed once: flow logs ask this often.
static OWN: LazyLock<helpers::Networks> = LazyLock::new(|| helpers::Networks::new(&NETWORKS));

/// Whether this is an address of one's own.
pub fn own_address<'a>(ip: impl Into<Option<&'a str>>) -> bool {
    OWN.contain(ip)
}

/// Whether this is an address, and somebody else's. A name, such as AWS writes for its own services, is nobody's.
pub fn foreign_address<'a>(ip: impl Into<Option<&'a str>>) -> bool {
    let ip = ip.into();
    helpers::valid_ip(ip) && !own_address(ip)
}

/// Whether the operator lists the address as one that staff come from.
pub fn vpn_exit(ip: Option<&str>) -> bool {
    ip.is_some_and(|ip| lookup::contains("known_vpn_exits", ip))
}

/// The text at the first of these paths that has one. Keys that a log may leave out come as empty texts.
pub fn first_text<'a>(record: &'a Record, paths: &[&str]) -> Option<&'a str> {
    paths.iter().find_map(|path| record.text(path).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for ip in ["10.0.12.34", "192.0.2.10", "2001:db8:50::1"] {
            assert!(own_address(ip) && !foreign_address(ip), "{ip}");
        }
        for ip in ["203.0.113.66", "2001:db8:66::1"] {
            assert!(!own_address(ip) && foreign_address(ip), "{ip}");
        }
        for ip in ["autoscaling.amazonaws.com", "AWS Internal", "", "10.1"] {
            assert!(!own_address(ip) && !foreign_address(ip), "{ip}");
        }
    }
}
