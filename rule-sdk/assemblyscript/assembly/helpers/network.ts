// Addresses and networks. An IPv4 address dressed as IPv6, `::ffff:10.0.0.1`, is that IPv4 address everywhere here.

import { log } from "../log";

/** An address as 128 bits; one of IPv4 has only the lowest 32. */
class Address {
  constructor(public readonly v4: bool, public readonly high: u64, public readonly low: u64) {}
}

const DOT = 0x2e;
const COLON = 0x3a;

/** Decimal digits from `from` to `to`, without leading zeros; -1 if it is none or above `most`. */
function decimal(text: string, from: i32, to: i32, most: i32): i32 {
  if (to <= from || to - from > 3 || (to - from > 1 && text.charCodeAt(from) == 0x30)) return -1;
  let number = 0;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number <= most ? number : -1;
}

/** Four numbers with dots; -1 for anything else. */
function parseV4(text: string): i64 {
  let bits: i64 = 0;
  let from = 0;
  for (let part = 0; part < 4; part++) {
    let to = text.indexOf(".", from);
    if (part == 3) {
      if (to >= 0) return -1;
      to = text.length;
    }
    const number = to < 0 ? -1 : decimal(text, from, to, 255);
    if (number < 0) return -1;
    bits = bits << 8 | number;
    from = to + 1;
  }
  return bits;
}

/** Groups of an IPv6 address, the last one perhaps written as IPv4. Adds to `into`; false if it is none. */
function groups(text: string, into: u16[]): bool {
  if (!text.length) return true;
  const all = text.split(":");
  for (let at = 0; at < all.length; at++) {
    const group = all[at];
    if (at == all.length - 1 && group.includes(".")) {
      const v4 = parseV4(group);
      if (v4 < 0) return false;
      into.push(<u16>(v4 >> 16));
      into.push(<u16>v4);
      continue;
    }
    if (group.length == 0 || group.length > 4) return false;
    let bits: u32 = 0;
    for (let place = 0; place < group.length; place++) {
      const unit = group.charCodeAt(place);
      const lower = unit | 0x20;
      if (unit >= 0x30 && unit <= 0x39) bits = bits << 4 | (unit - 0x30);
      else if (lower >= 0x61 && lower <= 0x66) bits = bits << 4 | (lower - 0x57);
      else return false;
    }
    into.push(<u16>bits);
  }
  return true;
}

function parseV6(text: string): Address | null {
  const head: u16[] = [];
  const gap = text.indexOf("::");
  if (gap < 0) {
    if (!groups(text, head) || head.length != 8) return null;
  } else {
    const tail: u16[] = [];
    const behind = text.substring(gap + 2);
    // IPv4 comes last only.
    if (text.substring(0, gap).includes(".") || behind.includes("::") || behind.startsWith(":")) return null;
    if (!groups(text.substring(0, gap), head) || !groups(behind, tail)) return null;
    if (head.length + tail.length > 7) return null;
    while (head.length + tail.length < 8) head.push(0);
    for (let at = 0; at < tail.length; at++) head.push(tail[at]);
  }
  let high: u64 = 0;
  let low: u64 = 0;
  for (let at = 0; at < 4; at++) high = high << 16 | <u64>head[at];
  for (let at = 4; at < 8; at++) low = low << 16 | <u64>head[at];
  return new Address(false, high, low);
}

function parseAny(text: string): Address | null {
  if (text.includes(":")) return parseV6(text);
  const v4 = parseV4(text);
  return v4 < 0 ? null : new Address(true, 0, <u64>v4);
}

function mapped(address: Address): bool {
  return !address.v4 && address.high == 0 && address.low >> 32 == 0xffff;
}

function parseIp(text: string | null): Address | null {
  if (text === null) return null;
  const address = parseAny(text);
  if (address !== null && mapped(address)) return new Address(true, 0, address.low & 0xffffffff);
  return address;
}

class Network {
  constructor(public readonly address: Address, public readonly bits: i32) {}

  contains(ip: Address): bool {
    if (ip.v4 != this.address.v4) return false;
    if (ip.v4) return this.bits == 0 || (ip.low ^ this.address.low) >> (32 - this.bits) == 0;
    const high = ip.high ^ this.address.high;
    if (this.bits <= 64) return this.bits == 0 || high >> (64 - this.bits) == 0;
    return high == 0 && (ip.low ^ this.address.low) >> (128 - this.bits) == 0;
  }
}

function parseNetwork(text: string): Network | null {
  const slash = text.indexOf("/");
  if (slash < 0) {
    const ip = parseIp(text);
    return ip === null ? null : new Network(ip, ip.v4 ? 32 : 128);
  }
  const address = parseAny(text.substring(0, slash));
  if (address === null) return null;
  const bits = decimal(text, slash + 1, text.length, address.v4 ? 32 : 128);
  if (bits < 0) return null;
  if (bits >= 96 && mapped(address)) return new Network(new Address(true, 0, address.low & 0xffffffff), bits - 96);
  return new Network(address, bits);
}

export function inNetwork(ip: string | null, networks: string[]): bool {
  const address = parseIp(ip);
  if (address === null) return false;
  for (let at = 0; at < networks.length; at++) {
    const network = parseNetwork(networks[at]);
    if (network === null) log.warn('inNetwork: "' + networks[at] + '" is no network');
    else if (network.contains(address)) return true;
  }
  return false;
}

/** Networks read once, for a constant in a rule file. */
export class Networks {
  private list: Network[] = [];

  /** What is no network is passed over, with a line in the log. */
  constructor(networks: string[]) {
    for (let at = 0; at < networks.length; at++) {
      const network = parseNetwork(networks[at]);
      if (network === null) log.warn('Networks: "' + networks[at] + '" is no network');
      else this.list.push(network);
    }
  }

  /** Whether the address lies in one of them; `false` for something that is no address. */
  contain(ip: string | null): bool {
    const address = parseIp(ip);
    if (address === null) return false;
    for (let at = 0; at < this.list.length; at++) {
      if (this.list[at].contains(address)) return true;
    }
    return false;
  }
}

export function validIp(ip: string | null): bool {
  return parseIp(ip) !== null;
}

/** Networks of IPv4 that are not routed on the internet, besides the private ones. */
const SPECIAL_V4: string[] = [
  "0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15",
  "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
];
const PRIVATE: string[] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
/** Of what is routed of IPv6, 2000::/3, what is not: protocols and documentation. */
const SPECIAL_V6: string[] = ["2001::/23", "2001:db8::/32", "3fff::/20"];

export function isPublicIp(ip: string | null): bool {
  const address = parseIp(ip);
  if (address === null) return false;
  if (address.v4) return !inNetwork(ip, SPECIAL_V4) && !inNetwork(ip, PRIVATE);
  return inNetwork(ip, ["2000::/3"]) && !inNetwork(ip, SPECIAL_V6);
}

export function isPrivateIp(ip: string | null): bool {
  return inNetwork(ip, PRIVATE);
}
