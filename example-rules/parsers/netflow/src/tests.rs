//! Packets as an exporter would send them, and as a network spoils them.

use super::*;

/// 2026-11-25 12:00:00.25 by an exporter that has been up for ten seconds.
const SECONDS: u32 = 1_795_608_000;
const UPTIME: u32 = 10_000;

fn packet(flows: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(flows.to_be_bytes());
    for number in [UPTIME, SECONDS, 250_000_000, 100] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend([1, 7]);
    bytes.extend(0x4064u16.to_be_bytes());
    for flow in 0..flows {
        bytes.extend([10, 0, 0, flow as u8, 192, 0, 2, 1, 10, 0, 0, 254]);
        bytes.extend([0, 1, 0, 2]);
        for number in [3, 4096, UPTIME - 2000, UPTIME - 500] {
            bytes.extend(u32::to_be_bytes(number));
        }
        bytes.extend(50_000u16.to_be_bytes());
        bytes.extend(443u16.to_be_bytes());
        bytes.extend([0, 0x1b, 6, 0x10]);
        bytes.extend(64_500u16.to_be_bytes());
        bytes.extend(64_501u16.to_be_bytes());
        bytes.extend([24, 32, 0, 0]);
    }
    bytes
}

#[test]
fn a_flow_has_all_its_fields() {
    let parts = netflow(&packet(2)).unwrap();
    assert_eq!(parts[1].place, 0..120);
    assert_eq!(
        parts[1].json().unwrap(),
        concat!(
            r#"{"srcaddr":"10.0.0.1","dstaddr":"192.0.2.1","nexthop":"10.0.0.254","srcport":50000,"dstport":443,"#,
            r#""protocol":6,"tcp_flags":27,"tos":16,"packets":3,"octets":4096,"first":1795607998250,"last":1795607999750,"#,
            r#""input":1,"output":2,"src_as":64500,"dst_as":64501,"src_mask":24,"dst_mask":32,"exported":1795608000250,"#,
            r#""flow_sequence":101,"engine_type":1,"engine_id":7,"sampling_mode":1,"sampling_interval":100}"#
        )
    );
}

#[test]
fn uptime_may_run_over_between_flow_and_packet() {
    let mut bytes = packet(1);
    bytes[48..52].copy_from_slice(&(u32::MAX - 999).to_be_bytes());
    let parts = netflow(&bytes).unwrap();
    // 1 s before the count began anew, and 10 s since.
    let first = 1_795_608_000_250i64 - 11_000;
    assert!(parts[0].json().unwrap().contains(&format!("\"first\":{first},")), "{parts:?}");
}

/// Records found, then each error with its place.
#[track_caller]
fn check(bytes: &[u8], records: usize, errors: &[(std::ops::Range<usize>, &str)]) {
    let parts = netflow(bytes).unwrap();
    assert_eq!(parts.iter().filter(|part| part.json().is_some()).count(), records);
    let found: Vec<_> = parts.iter().filter_map(|part| Some((part.place.clone(), part.reason()?))).collect();
    assert_eq!(found.len(), errors.len(), "{found:?}");
    for ((place, reason), (expected, words)) in found.iter().zip(errors) {
        assert!(place == expected && reason.contains(words), "{place:?} {reason}");
    }
}

#[test]
fn what_is_cut_off_or_foreign_is_told_with_its_place() {
    let two = [packet(2), packet(30)].concat();
    check(&two, 32, &[]);
    check(&[], 0, &[]);
    check(&two[..two.len() - 1], 31, &[(120..1583, "within flow 30 of 30")]);
    check(&two[..two.len() - 48], 31, &[(120..1536, "within flow 30 of 30")]);
    check(&two[..130], 2, &[(120..130, "within its header: 10 bytes of 24")]);
    check(&[packet(1), b"garbage".repeat(9)].concat(), 1, &[(72..135, "version 5 begins here, but 26465")]);
    check(&packet(0), 0, &[(0..24, "a packet of 0 flows")]);
}

#[test]
fn it_knows_its_own() {
    for bytes in [packet(1), packet(30), [packet(1), packet(2)].concat()] {
        assert!(is_netflow(&bytes) && is_netflow(&bytes[..64]));
    }
    let mut wrong = packet(1);
    wrong.extend(b"more");
    let never_set = [&packet(1)[..8], &[0; 64]].concat();
    for bytes in [&b""[..], b"\0\x05", &packet(31), &wrong, &never_set, b"{\"a\": 1}", &[0; 200]] {
        assert!(!is_netflow(bytes), "{bytes:?}");
    }
}
