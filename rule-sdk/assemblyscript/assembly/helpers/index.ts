// StreamAlert's helpers for rules, under their old names, with their faults mended. `null` in the place of a text is always
// "no": what `record.text(…)` returns can be handed over as it is.

import { Json } from "../json";
import { Box, Field, Record } from "../record";
import * as network from "./network";
import * as search from "./search";
import * as text from "./text";
import * as time from "./time";

export { Networks } from "./network";

export namespace helpers {
  /**
   * Whether the address lies in one of the networks, given as `10.0.0.0/8`, `2001:db8::/32`, or a single address. Something
   * that is no address is in no network. What is no network is passed over, with a line in the log.
   */
  export function inNetwork(ip: string | null, networks: string[]): bool {
    return network.inNetwork(ip, networks);
  }

  /** Whether this is an address of IPv4, four decimal numbers without leading zeros, or of IPv6, `::1` included. */
  export function validIp(ip: string | null): bool {
    return network.validIp(ip);
  }

  /** Whether the address can be routed on the internet: not private, shared, loopback, link-local, multicast, reserved, for documentation, or unspecified. */
  export function isPublicIp(ip: string | null): bool {
    return network.isPublicIp(ip);
  }

  /** Whether the address is for use within one's own network: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fc00::/7. */
  export function isPrivateIp(ip: string | null): bool {
    return network.isPrivateIp(ip);
  }

  /** Whether the text begins with one of these; no wildcards. */
  export function startsWithAny(value: string | null, needles: string[]): bool {
    return text.startsWithAny(value, needles);
  }

  /** Whether the text ends with one of these; no wildcards. */
  export function endsWithAny(value: string | null, needles: string[]): bool {
    return text.endsWithAny(value, needles);
  }

  /** Whether one of these occurs in the text; no wildcards. */
  export function containsAny(value: string | null, needles: string[]): bool {
    return text.containsAny(value, needles);
  }

  /**
   * Whether the whole text matches one of the patterns: `*` any characters, `?` one character, `[a-z]` one of these, `[!a]`
   * any but these. There is no escape: `[*]` is a star. A `[` that is never closed is just that.
   */
  export function matchesAny(value: string | null, patterns: string[]): bool {
    return text.matchesAny(value, patterns);
  }

  /** The same part by part of a path, so that `*` does not cross a `/`; a pattern that does not begin with `/` matches from the right. */
  export function pathMatchesAny(path: string | null, patterns: string[]): bool {
    return text.pathMatchesAny(path, patterns);
  }

  /** JSON text as a value. An empty object for what is no JSON. */
  export function safeJson(value: string | null): Json {
    return text.safeJson(value);
  }

  /** All values under `key` at any depth, the outermost first, `max` at most. Does not look inside `streamalert_normalization`. */
  export function getKeys(data: Field, key: string, max: i32 = i32.MAX_VALUE): Field[] {
    return search.getKeys(data, key, max);
  }

  /** The first of `getKeys`. `null`: there is no such key; a null that is there is a field. */
  export function getFirstKey(data: Field, key: string): Field | null {
    const found = search.getKeys(data, key, 1);
    return found.length ? found[0] : null;
  }

  /** Whether some value, at any depth, equals this one: a text, number, boolean, `Json`, or an array of those. Keys do not count. */
  export function hasValue<T>(data: Field, value: T): bool {
    return search.hasValue(data, Json.of(value));
  }

  /** Whether this text occurs in some text, at any depth. Keys do not count, nor do numbers. */
  export function hasValueWithSubstring(data: Field, needle: string): bool {
    return search.hasValueWithSubstring(data, needle);
  }

  /** Whether some text, at any depth, matches one of the patterns (see `matchesAny`). An empty text matches nothing. */
  export function hasValueFromList(data: Field, patterns: string[]): bool {
    return search.hasValueFromList(data, patterns);
  }

  /** Whether one of these occurs in some text, at any depth; in an empty text nothing occurs. */
  export function hasValueFromSubstringList(data: Field, needles: string[]): bool {
    return search.hasValueFromSubstringList(data, needles);
  }

  /** Whether `time` lies within the last `hours` before `now`, the ends included; both in seconds since 1970. */
  export function lastHour(at: Box<i64> | null, now: Box<i64> | null, hours: u32 = 1): bool {
    return time.lastHour(at, now, hours);
  }

  /** Seconds since 1970 of an RFC 3339 text. `null`: no such text, or one without a time zone. */
  export function parseTime(value: string | null): Box<i64> | null {
    return time.parseTime(value);
  }

  /** The time at `path` in seconds since 1970: an RFC 3339 text, or a number of seconds. */
  export function eventTime(record: Record, path: string): Box<i64> | null {
    return time.eventTime(record, path);
  }

  /** How many seconds after the time at `from` the time at `to` lies. `null`: one of them is not there or is no time. */
  export function secondsBetween(record: Record, from: string, to: string): Box<i64> | null {
    return time.secondsBetween(record, from, to);
  }
}
