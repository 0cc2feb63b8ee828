// Times. A rule has no clock that it could trust, and a record may come hours late or be looked at again after months: "now"
// is something the record says.

import { Box, Record } from "../record";

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/** Days from 0000-03-01 to 1970-01-01. */
const DAYS_TO_1970: i64 = 719468;
/** Days of the 400 years after which the calendar repeats. */
const DAYS_OF_400_YEARS: i64 = 146097;

export function lastHour(time: Box<i64> | null, now: Box<i64> | null, hours: u32): bool {
  if (time === null || now === null || time.value > now.value) return false;
  // Both differ by less than 64 unsigned bits hold.
  return <u64>(now.value - time.value) <= <u64>(<i64>hours * HOUR);
}

export function secondsBetween(record: Record, from: string, to: string): Box<i64> | null {
  const first = eventTime(record, from);
  const second = eventTime(record, to);
  return first === null || second === null ? null : new Box<i64>(second.value - first.value);
}

export function eventTime(record: Record, path: string): Box<i64> | null {
  const field = record.field(path);
  if (field === null) return null;
  const text = field.text();
  if (text !== null) return parseTime(text);
  const int = field.int();
  if (int !== null) return int;
  const float = field.float();
  if (float === null) return null;
  const seconds = Math.floor(float.value);
  // Doubles beyond what a time can be end at the limits of i64.
  if (seconds >= 9223372036854775807.0) return new Box<i64>(i64.MAX_VALUE);
  return new Box<i64>(seconds <= -9223372036854775808.0 ? i64.MIN_VALUE : <i64>seconds);
}

/** So many digits from `from` on; -1 if they are not there. */
function number(text: string, from: i32, count: i32): i64 {
  let number: i64 = 0;
  for (let at = from; at < from + count; at++) {
    const digit = unit(text, at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

function unit(text: string, at: i32): i32 {
  return at < text.length ? text.charCodeAt(at) : -1;
}

export function parseTime(text: string | null): Box<i64> | null {
  if (text === null) return null;
  const year = number(text, 0, 4);
  const month = number(text, 5, 2);
  const day = number(text, 8, 2);
  const hour = number(text, 11, 2);
  const minute = number(text, 14, 2);
  const second = number(text, 17, 2);
  if (unit(text, 4) != 0x2d || unit(text, 7) != 0x2d || unit(text, 13) != 0x3a || unit(text, 16) != 0x3a) return null;
  const mark = unit(text, 10);
  if (mark != 0x20 && (mark | 0x20) != 0x74) return null;
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return null;
  let at = 19;
  if (unit(text, at) == 0x2e) {
    const from = ++at;
    while (unit(text, at) >= 0x30 && unit(text, at) <= 0x39) at++;
    if (at == from) return null;
  }
  let offset: i64 = 0;
  const zone = unit(text, at);
  if ((zone | 0x20) == 0x7a) at++;
  else if (zone == 0x2b || zone == 0x2d) {
    const hours = number(text, at + 1, 2);
    const minutes = number(text, at + 4, 2);
    if (unit(text, at + 3) != 0x3a || hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return null;
    offset = hours * HOUR + minutes * MINUTE;
    if (zone == 0x2d) offset = -offset;
    at += 6;
  } else return null;
  if (at != text.length) return null;
  return new Box<i64>(daysSince1970(year, month, day) * DAY + hour * HOUR + minute * MINUTE + second - offset);
}

function daysIn(year: i64, month: i64): i64 {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/** Years are counted from March, so that the leap day comes last, and 400 later, so that none is below 0. */
function daysSince1970(year: i64, month: i64, day: i64): i64 {
  const early = month <= 2;
  const from = year + 400 - (early ? 1 : 0);
  const place = (month + 9) % 12;
  const days = from * 365 + from / 4 - from / 100 + from / 400 + (place * 153 + 2) / 5 + day - 1;
  return days - DAYS_TO_1970 - DAYS_OF_400_YEARS;
}
