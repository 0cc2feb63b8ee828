// StreamAlert's helpers for rules, under their old names, with their faults mended. `null` in the place of a text is always
// "no": what `record.text(…)` returns can be handed over as it is. `data` is a record or any value of one.

import { log } from "./log.js";
import { Record } from "./record.js";

const isText = (value) => typeof value === "string";

// --- texts and wildcards; case counts everywhere

export function startsWithAny(text, needles) {
  return isText(text) && needles.some((needle) => text.startsWith(needle));
}

export function endsWithAny(text, needles) {
  return isText(text) && needles.some((needle) => text.endsWith(needle));
}

export function containsAny(text, needles) {
  return isText(text) && needles.some((needle) => text.includes(needle));
}

export function matchesAny(text, patterns) {
  return isText(text) && patterns.some((pattern) => matches(text, pattern));
}

export function pathMatchesAny(path, patterns) {
  return isText(path) && patterns.some((pattern) => pathMatches(path, pattern));
}

export function safeJson(text) {
  try {
    return isText(text) ? JSON.parse(text) : {};
  } catch {
    return {};
  }
}

function pathMatches(path, pattern) {
  const parts = (text) => text.split("/").filter((part) => part !== "" && part !== ".");
  const have = parts(path);
  const want = parts(pattern);
  if (pattern.startsWith("/")) {
    if (!path.startsWith("/") || have.length !== want.length) return false;
  } else if (have.length < want.length || want.length === 0) return false;
  const from = have.length - want.length;
  return want.every((part, at) => matches(have[from + at], part));
}

/** One step back at most per star: the work is bounded by text times pattern. */
function matches(text, pattern) {
  // Most texts and patterns have characters of one unit only.
  const t = /[\ud800-\udfff]/.test(text) ? [...text] : text;
  const p = /[\ud800-\udfff]/.test(pattern) ? [...pattern] : pattern;
  let at = 0;
  let place = 0;
  // Where the last star left off: the pattern behind it, and the text it has not swallowed.
  let behind = -1;
  let kept = 0;
  for (;;) {
    if (p[place] === "*") {
      if (++place === p.length) return true;
      behind = place;
      kept = at;
      continue;
    }
    if (at === t.length) return place === p.length;
    const next = one(t[at], p, place);
    if (next >= 0) {
      place = next;
      at++;
      continue;
    }
    if (behind < 0) return false;
    at = ++kept;
    place = behind;
  }
}

/** Where the pattern goes on when its element at `at` stands for `c`; -1 if it does not. */
function one(c, pattern, at) {
  const first = pattern[at];
  if (first === "?") return at + 1;
  if (first !== "[") return c === first ? at + 1 : -1;
  const negated = pattern[at + 1] === "!";
  const set = at + (negated ? 2 : 1);
  // A bracket closed at once would be an empty set: there the `]` belongs to the set.
  const end = pattern.indexOf("]", set + (pattern[set] === "]" ? 1 : 0));
  if (end < 0) return c === "[" ? at + 1 : -1;
  return inSet(c, pattern.slice(set, end)) !== negated ? end + 1 : -1;
}

function inSet(c, set) {
  const code = c.codePointAt(0);
  for (let at = 0; at < set.length; at++) {
    if (set[at + 1] === "-" && at + 2 < set.length) {
      if (set[at].codePointAt(0) <= code && code <= set[at + 2].codePointAt(0)) return true;
      at += 2;
    } else if (c === set[at]) return true;
  }
  return false;
}

// --- keys and values at any depth

/** What the pipeline adds to a record about its values; they would be found twice. */
const NORMALIZATION = "streamalert_normalization";

const whole = (data) => (data instanceof Record ? data.toValue() : data);
const isContainer = (value) => value !== null && typeof value === "object";

export function getKeys(data, key, max = Infinity) {
  const found = [];
  const waiting = [whole(data)];
  for (let next = 0; next < waiting.length && found.length < max; next++) {
    const value = waiting[next];
    if (!isContainer(value)) continue;
    if (Array.isArray(value)) {
      waiting.push(...value.filter(isContainer));
      continue;
    }
    if (Object.hasOwn(value, key)) found.push(value[key]);
    for (const [name, inner] of Object.entries(value)) {
      if (name !== NORMALIZATION && isContainer(inner)) waiting.push(inner);
    }
  }
  return found;
}

export function getFirstKey(data, key) {
  return getKeys(data, key, 1)[0];
}

/** The value itself or anything in it. */
function any(value, test) {
  return test(value) || (isContainer(value) && Object.values(value).some((inner) => any(inner, test)));
}

function same(a, b) {
  if (!isContainer(a) || !isContainer(b)) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

export function hasValue(data, value) {
  return any(whole(data), (found) => same(found, value));
}

export function hasValueWithSubstring(data, needle) {
  return any(whole(data), (found) => isText(found) && found.includes(needle));
}

export function hasValueFromList(data, patterns) {
  return any(whole(data), (found) => isText(found) && found !== "" && matchesAny(found, patterns));
}

export function hasValueFromSubstringList(data, needles) {
  return any(whole(data), (found) => isText(found) && found !== "" && containsAny(found, needles));
}

// --- addresses and networks; `::ffff:10.0.0.1` is the IPv4 address everywhere here

const V4 = 32;
const V6 = 128;
const MAPPED = 0xffffn;

function parseV4(text) {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return null;
  return parts.reduce((bits, part) => bits * 256 + Number(part), 0);
}

function groups(text) {
  if (text === "") return [];
  const all = text.split(":");
  const last = all[all.length - 1];
  const found = [];
  if (last.includes(".")) {
    const bits = parseV4(last);
    if (bits === null) return null;
    all.pop();
    found.push(bits >>> 16, bits & 0xffff);
  }
  if (!all.every((group) => /^[\da-fA-F]{1,4}$/.test(group))) return null;
  return [...all.map((group) => parseInt(group, 16)), ...found];
}

function parseV6(text) {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map(groups);
  if (head === null || tail === null || (halves.length === 2 && halves[0].includes("."))) return null;
  const count = head.length + (tail?.length ?? 0);
  if (halves.length === 1 ? count !== 8 : count > 7) return null;
  const all = [...head, ...new Array(8 - count).fill(0), ...(tail ?? [])];
  return all.reduce((bits, group) => (bits << 16n) | BigInt(group), 0n);
}

/** Bits of an address, and how many there are. */
function parseAny(text) {
  if (text.includes(":")) {
    const bits = parseV6(text);
    return bits === null ? null : { bits, size: V6 };
  }
  const bits = parseV4(text);
  return bits === null ? null : { bits, size: V4 };
}

const isMapped = (address) => address.size === V6 && address.bits >> 32n === MAPPED;
const plain = (address) => ({ bits: Number(address.bits & 0xffffffffn), size: V4 });

function parseIp(text) {
  const address = isText(text) ? parseAny(text) : null;
  return address && isMapped(address) ? plain(address) : address;
}

function parseNetwork(text) {
  const [before, after, more] = text.split("/");
  if (after === undefined) {
    const ip = parseIp(text);
    return ip && { ...ip, prefix: ip.size };
  }
  const address = more === undefined && /^(0|[1-9]\d{0,2})$/.test(after) ? parseAny(before) : null;
  const prefix = Number(after);
  if (!address || prefix > address.size) return null;
  return prefix >= 96 && isMapped(address) ? { ...plain(address), prefix: prefix - 96 } : { ...address, prefix };
}

function contains(network, ip) {
  if (network.size !== ip.size) return false;
  if (network.prefix === 0) return true;
  if (ip.size === V4) return (network.bits ^ ip.bits) >>> (V4 - network.prefix) === 0;
  return (network.bits ^ ip.bits) >> BigInt(V6 - network.prefix) === 0n;
}

export class Networks {
  #list;

  constructor(networks) {
    this.#list = networks.map((text) => {
      const network = parseNetwork(text);
      if (!network) log.warn(`networks: ${JSON.stringify(text)} is no network`);
      return network;
    }).filter(Boolean);
  }

  contain(ip) {
    const address = parseIp(ip);
    return address !== null && this.#list.some((network) => contains(network, address));
  }
}

export function inNetwork(ip, networks) {
  return parseIp(ip) !== null && new Networks(networks).contain(ip);
}

export function validIp(ip) {
  return parseIp(ip) !== null;
}

/** Networks of IPv4 that are not routed on the internet, besides the private ones. */
const SPECIAL_V4 = [
  "0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15",
  "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
];
const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
/** Of what is routed of IPv6, 2000::/3, what is not: protocols and documentation. */
const SPECIAL_V6 = ["2001::/23", "2001:db8::/32", "3fff::/20"];

export function isPublicIp(ip) {
  const address = parseIp(ip);
  if (address === null) return false;
  if (address.size === V4) return !inNetwork(ip, [...SPECIAL_V4, ...PRIVATE]);
  return inNetwork(ip, ["2000::/3"]) && !inNetwork(ip, SPECIAL_V6);
}

export function isPrivateIp(ip) {
  return inNetwork(ip, PRIVATE);
}

// --- times: a rule has no clock that it could trust; "now" is something the record says

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Days from 0000-03-01 to 1970-01-01. */
const DAYS_TO_1970 = 719468;
const TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

export function lastHour(time, now, hours = 1) {
  if (typeof time !== "number" || typeof now !== "number") return false;
  return now - time >= 0 && now - time <= hours * HOUR;
}

export function parseTime(text) {
  const found = isText(text) ? TIME.exec(text) : null;
  if (!found) return null;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  const [hours, minutes] = [Number(found[8] ?? 0), Number(found[9] ?? 0)];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 60 || hours > 23 || minutes > 59) return null;
  const offset = (found[7] === "-" ? -1 : 1) * (hours * HOUR + minutes * MINUTE);
  return daysSince1970(year, month, day) * DAY + hour * HOUR + minute * MINUTE + second - offset;
}

function daysIn(year, month) {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** Years are counted from March, so that the leap day comes last. */
function daysSince1970(year, month, day) {
  const from = month <= 2 ? year - 1 : year;
  const place = (month + 9) % 12;
  const leapDays = Math.floor(from / 4) - Math.floor(from / 100) + Math.floor(from / 400);
  return from * 365 + leapDays + Math.floor((place * 153 + 2) / 5) + day - 1 - DAYS_TO_1970;
}

export function eventTime(record, path) {
  const value = record.value(path);
  if (isText(value)) return parseTime(value);
  return typeof value === "number" ? Math.floor(value) : null;
}

export function secondsBetween(record, from, to) {
  const [first, second] = [eventTime(record, from), eventTime(record, to)];
  return first === null || second === null ? null : second - first;
}
