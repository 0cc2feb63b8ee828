//! Cisco NetFlow version 5, as routers export it: datagrams of a header of 24 bytes and up to 30 flows of 48 bytes, here one
//! behind the other in a file or a stream.

use std::net::Ipv4Addr;
use streamalert_parser_sdk::prelude::*;

const VERSION: u16 = 5;
const HEADER_BYTES: usize = 24;
const FLOW_BYTES: usize = 48;
/// Flows of one packet: with more it would not fit into an Ethernet frame, and no exporter sends it.
const FLOWS_MAX: usize = 30;
/// 1996, when NetFlow came: a clock before that was never set, or this is no clock.
const SECONDS_MIN: u32 = 820_454_400;
/// Bytes of one record as JSON, as a guess that is seldom too small.
const RECORD_BYTES: usize = 448;

/// NetFlow v5 export packets, as files or streams; a record for each flow.
///
/// Times are milliseconds since 1970, from the exporter's clock. `octets` and `packets` are as exported: where
/// `sampling_interval` is more than 1, a flow stands for that many times as much.
#[parser(schemas = "schemas.json", takes = "whole", sniff = is_netflow)]
fn netflow(payload: &[u8]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::with_capacity(payload.len() / FLOW_BYTES);
    let mut at = 0;
    while at < payload.len() {
        let header = match Header::read(&payload[at..]) {
            Ok(header) => header,
            // Packets have no mark by which the next one could be found, so what follows is lost.
            Err(reason) => {
                parts.push(Part::error(at..payload.len(), reason));
                break;
            }
        };
        // The whole packet is the place of each of its flows: without the header a flow says nothing.
        let end = payload.len().min(at + HEADER_BYTES + header.flows * FLOW_BYTES);
        let flows = payload[at + HEADER_BYTES..end].chunks_exact(FLOW_BYTES);
        let there = flows.len();
        let records = flows.enumerate().map(|(index, flow)| header.record(index, flow));
        parts.extend(records.map(|record| Part::record(at..end, "netflow:v5", record)));
        if there < header.flows {
            let reason = format!("the packet ends within flow {} of {}", there + 1, header.flows);
            parts.push(Part::error(at..end, reason));
        }
        at = end;
    }
    Ok(parts)
}

/// The first packet's header makes sense, and where its end is in sight, another packet or nothing follows.
fn is_netflow(head: &[u8]) -> bool {
    let Ok(header) = Header::read(head) else { return false };
    let next = head.get(HEADER_BYTES + header.flows * FLOW_BYTES..).unwrap_or_default();
    header.seconds > SECONDS_MIN
        && header.nanoseconds < 1_000_000_000
        && (next.len() < 2 || number16(next, 0) == VERSION)
}

struct Header {
    flows: usize,
    /// Milliseconds since the exporter started.
    uptime: u32,
    /// Seconds since 1970, and what is over.
    seconds: u32,
    nanoseconds: u32,
    /// Flows exported before this packet.
    sequence: u32,
    engine_type: u8,
    engine_id: u8,
    /// Two bits of mode, then the interval.
    sampling: u16,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, String> {
        let Some(header) = bytes.get(..HEADER_BYTES) else {
            return Err(format!("the packet ends within its header: {} bytes of {HEADER_BYTES}", bytes.len()));
        };
        let version = number16(header, 0);
        if version != VERSION {
            return Err(format!("no packet of NetFlow version {VERSION} begins here, but {version}"));
        }
        let flows = usize::from(number16(header, 2));
        if !(1..=FLOWS_MAX).contains(&flows) {
            return Err(format!("a packet of {flows} flows; there are 1 to {FLOWS_MAX}"));
        }
        Ok(Header {
            flows,
            uptime: number32(header, 4),
            seconds: number32(header, 8),
            nanoseconds: number32(header, 12),
            sequence: number32(header, 16),
            engine_type: header[20],
            engine_id: header[21],
            sampling: number16(header, 22),
        })
    }

    /// Milliseconds since 1970 at which the packet was sent.
    fn sent(&self) -> i64 {
        i64::from(self.seconds) * 1000 + i64::from(self.nanoseconds / 1_000_000)
    }

    /// The same for a moment given in milliseconds since the exporter started. That count runs over every 49.7 days, so the
    /// moment lies half a round before or behind the packet at most.
    fn moment(&self, uptime: u32) -> i64 {
        self.sent() - i64::from(self.uptime.wrapping_sub(uptime) as i32)
    }

    fn record(&self, index: usize, flow: &[u8]) -> Object {
        let mut record = Object::with_capacity(RECORD_BYTES);
        record.put("srcaddr", address(flow, 0));
        record.put("dstaddr", address(flow, 4));
        record.put("nexthop", address(flow, 8));
        record.put("srcport", number16(flow, 32));
        record.put("dstport", number16(flow, 34));
        record.put("protocol", flow[38]);
        record.put("tcp_flags", flow[37]);
        record.put("tos", flow[39]);
        record.put("packets", number32(flow, 16));
        record.put("octets", number32(flow, 20));
        record.put("first", self.moment(number32(flow, 24)));
        record.put("last", self.moment(number32(flow, 28)));
        record.put("input", number16(flow, 12));
        record.put("output", number16(flow, 14));
        record.put("src_as", number16(flow, 40));
        record.put("dst_as", number16(flow, 42));
        record.put("src_mask", flow[44]);
        record.put("dst_mask", flow[45]);
        record.put("exported", self.sent());
        record.put("flow_sequence", self.sequence.wrapping_add(index as u32));
        record.put("engine_type", self.engine_type);
        record.put("engine_id", self.engine_id);
        record.put("sampling_mode", self.sampling >> 14);
        record.put("sampling_interval", self.sampling & 0x3fff);
        record
    }
}

fn number16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn number32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn address(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(number32(bytes, at))
}

#[cfg(test)]
mod tests;
