// What a package with `"streamalert": { "world": "parser" }` declares: one parser, bytes in, records out.

import { reading } from "./json.js";
import { wellFormed } from "./log.js";

/** The parser of this component; a second one is a mistake that the build tells. */
export const parsers = [];

const KNOWN = ["name", "description", "schemas", "takes", "sniff"];
const TAKES = ["lines", "whole"];

export function parser(options, parse) {
  const name = options.name ?? parse.name;
  const wrong = (what) => {
    throw new TypeError(`parser ${name}: ${what}`);
  };
  if (typeof parse !== "function") wrong("the second argument is a function of the payload");
  for (const option of Object.keys(options)) {
    if (!KNOWN.includes(option)) wrong(`there is no option ${option}; the options are ${KNOWN.join(", ")}`);
  }
  const { description = "", schemas, takes = "lines", sniff } = options;
  if (schemas === undefined || schemas === null) wrong("needs `schemas`, the log types that it makes records of");
  if (!TAKES.includes(takes)) wrong(`takes is one of ${TAKES.join(", ")}, not ${JSON.stringify(takes)}`);
  if (sniff !== undefined && typeof sniff !== "function") wrong("sniff is a function of the first bytes");
  const text = typeof schemas === "string" ? schemas : JSON.stringify(schemas);
  const info = { name, description, schemas: text, takes, sniffs: sniff !== undefined };
  parsers.push({ info, parse, sniff });
  return parse;
}

/** A piece of the payload and what became of it. */
export class Part {
  constructor(place, outcome) {
    const { offset, length } = place ?? {};
    if (!Number.isInteger(offset) || !Number.isInteger(length)) {
      throw new TypeError(`a place is { offset, length }, such as that of a line, not ${JSON.stringify(place)}`);
    }
    this.offset = offset;
    this.length = length;
    /** As the contract has it: a component hands parts over as they are. */
    this.outcome = outcome;
  }

  static record(place, logType, record) {
    return new Part(place, { tag: "ok", val: { logType: String(logType), json: reading(record) } });
  }

  static raw(place, json) {
    return new Part(place, { tag: "ok", val: { logType: "", json: wellFormed(String(json)) } });
  }

  static error(place, reason) {
    return new Part(place, { tag: "err", val: wellFormed(String(reason)) });
  }

  get json() {
    return this.outcome.tag === "ok" ? this.outcome.val.json : null;
  }

  get reason() {
    return this.outcome.tag === "err" ? this.outcome.val : null;
  }
}

/** A payload whose lines are gone through; a letter for each of its bytes, from when somebody asks for the first text. */
class Shared {
  #latin1 = null;

  constructor(payload) {
    this.payload = payload;
  }

  text(from, to) {
    this.#latin1 ??= latin1Of(this.payload);
    return decoded(this.#latin1.slice(from, to));
  }
}

/** One line, without what ends it. */
export class Line {
  #shared;

  constructor(shared, offset, length) {
    this.#shared = shared;
    this.place = { offset, length };
  }

  get bytes() {
    const { offset, length } = this.place;
    return this.#shared.payload.subarray(offset, offset + length);
  }

  text() {
    const { offset, length } = this.place;
    return this.#shared.text(offset, offset + length);
  }
}

const NEWLINE = 10;
const RETURN = 13;

export function* lines(payload) {
  const shared = new Shared(payload);
  let at = 0;
  while (at < payload.length) {
    const found = payload.indexOf(NEWLINE, at);
    const end = found < 0 ? payload.length : found;
    const cut = end > at && payload[end - 1] === RETURN ? end - 1 : end;
    yield new Line(shared, at, cut - at);
    at = end + 1;
  }
}

/** Bytes that become arguments of one call; there is a limit to their number. */
const CHUNK = 8192;

function latin1Of(bytes) {
  if (bytes.length <= CHUNK) return String.fromCharCode.apply(null, bytes);
  const parts = [];
  for (let at = 0; at < bytes.length; at += CHUNK) parts.push(String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK)));
  return parts.join("");
}

/** UTF-8 as text; what is none becomes U+FFFD. QuickJS has no TextDecoder, and a loop over bytes would cost ten times as much. */
export function textOf(bytes) {
  return decoded(latin1Of(bytes));
}

function decoded(latin1) {
  const special = latin1.search(/[\x80-\xff]/);
  if (special < 0) return latin1;
  const tail = latin1.slice(special);
  try {
    return latin1.slice(0, special) + decodeURIComponent(escape(tail));
  } catch {
    return latin1.slice(0, special) + tail.replace(/[\x80-\xff]+/g, lossy);
  }
}

// What Unicode calls a maximal part: the sequence of a character, or as much of one as is there. What a lead byte allows as the second:
const OF_THREE = "(?:\\xe0[\\xa0-\\xbf]|[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]|\\xed[\\x80-\\x9f])";
const OF_FOUR = "(?:\\xf0[\\x90-\\xbf]|[\\xf1-\\xf3][\\x80-\\xbf]|\\xf4[\\x80-\\x8f])";
const SEQUENCE = new RegExp(`[\\xc2-\\xdf][\\x80-\\xbf]|${OF_THREE}[\\x80-\\xbf]?|${OF_FOUR}[\\x80-\\xbf]{0,2}|[\\s\\S]`, "g");

function lossy(bytes) {
  return bytes.replace(SEQUENCE, (sequence) => {
    try {
      return decodeURIComponent(escape(sequence));
    } catch {
      return "\ufffd";
    }
  });
}

/** The other way round; half of a surrogate pair becomes U+FFFD. */
export function bytesOf(text) {
  const latin1 = unescape(encodeURIComponent(wellFormed(text)));
  return Uint8Array.from(latin1, (letter) => letter.charCodeAt(0));
}
