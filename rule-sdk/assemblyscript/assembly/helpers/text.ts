// Texts and wildcards. Case counts everywhere.

import { Json } from "../json";

export function startsWithAny(text: string | null, needles: string[]): bool {
  if (text === null) return false;
  for (let at = 0; at < needles.length; at++) {
    if (text.startsWith(needles[at])) return true;
  }
  return false;
}

export function endsWithAny(text: string | null, needles: string[]): bool {
  if (text === null) return false;
  for (let at = 0; at < needles.length; at++) {
    if (text.endsWith(needles[at])) return true;
  }
  return false;
}

export function containsAny(text: string | null, needles: string[]): bool {
  if (text === null) return false;
  for (let at = 0; at < needles.length; at++) {
    if (text.includes(needles[at])) return true;
  }
  return false;
}

export function matchesAny(text: string | null, patterns: string[]): bool {
  if (text === null) return false;
  for (let at = 0; at < patterns.length; at++) {
    if (matches(text, patterns[at])) return true;
  }
  return false;
}

export function pathMatchesAny(path: string | null, patterns: string[]): bool {
  if (path === null) return false;
  for (let at = 0; at < patterns.length; at++) {
    if (pathMatches(path, patterns[at])) return true;
  }
  return false;
}

export function safeJson(text: string | null): Json {
  if (text !== null) {
    const json = Json.parse(text);
    if (json !== null) return json;
  }
  return Json.object();
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part.length > 0 && part != ".");
}

function pathMatches(path: string, pattern: string): bool {
  const have = parts(path);
  const want = parts(pattern);
  if (pattern.startsWith("/")) {
    if (!path.startsWith("/") || have.length != want.length) return false;
  } else if (have.length < want.length || want.length == 0) return false;
  const from = have.length - want.length;
  for (let at = 0; at < want.length; at++) {
    if (!matches(have[from + at], want[at])) return false;
  }
  return true;
}

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const NOT = 0x21;
const DASH = 0x2d;

/** Code units of the character at `at`. */
// @ts-ignore: decorator
@inline
function width(text: string, at: i32): i32 {
  return text.codePointAt(at) > 0xffff ? 2 : 1;
}

/** One step back at most per star: the work is bounded by text times pattern. */
export function matches(text: string, pattern: string): bool {
  let t = 0;
  let p = 0;
  // Where the last star left off: the pattern behind it, and the text it has not swallowed.
  let behind = -1;
  let kept = 0;
  for (;;) {
    if (p < pattern.length && pattern.charCodeAt(p) == STAR) {
      if (++p == pattern.length) return true;
      behind = p;
      kept = t;
      continue;
    }
    if (t == text.length) break;
    const next = one(text.codePointAt(t), pattern, p);
    if (next >= 0) {
      p = next;
      t += width(text, t);
      continue;
    }
    if (behind < 0) return false;
    kept += width(text, kept);
    t = kept;
    p = behind;
  }
  return p == pattern.length;
}

/** Where the pattern goes on when its element at `at` stands for `c`; -1 if it does not. */
function one(c: i32, pattern: string, at: i32): i32 {
  if (at == pattern.length) return -1;
  const first = pattern.codePointAt(at);
  const rest = at + width(pattern, at);
  if (first == QUESTION) return rest;
  if (first != OPEN) return c == first ? rest : -1;
  const negated = rest < pattern.length && pattern.charCodeAt(rest) == NOT;
  const set = negated ? rest + 1 : rest;
  // A bracket closed at once would be an empty set: there the `]` belongs to the set.
  const skip = set < pattern.length && pattern.charCodeAt(set) == CLOSE ? 1 : 0;
  const end = pattern.indexOf("]", set + skip);
  if (end < 0) return c == OPEN ? rest : -1;
  return inSet(c, pattern.substring(set, end)) != negated ? end + 1 : -1;
}

function inSet(c: i32, set: string): bool {
  let at = 0;
  while (at < set.length) {
    const low = set.codePointAt(at);
    at += width(set, at);
    if (at + 1 < set.length && set.charCodeAt(at) == DASH) {
      const high = set.codePointAt(at + 1);
      if (low <= c && c <= high) return true;
      at += 1 + width(set, at + 1);
    } else if (c == low) return true;
  }
  return false;
}
