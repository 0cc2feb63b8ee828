// A parser: bytes in, records out. `import { parser, lines, Part } from "streamalert-as/parsing";`. A component is one parser, or
// rules or publishers; package.json says which by `"streamalert": { "world": "parser" }`.

import { Json } from "./json";

/** A piece of the payload. */
export class Place {
  constructor(public readonly offset: u32, public readonly length: u32) {}
}

/**
 * A piece of the payload and what became of it. Parts do not overlap and do not leave the payload; several may be about the very same
 * piece, which then holds several records.
 */
export class Part {
  constructor(
    public readonly place: Place,
    /** Empty: whichever of the parser's log types fits. */
    public readonly logType: string,
    /** The record's text; `null` if it is none. */
    public readonly json: string | null,
    /** Why it is no record; `null` if it is one. */
    public readonly reason: string | null,
  ) {}

  /** A record of one of the parser's log types: a `Json.object()`. */
  static record(place: Place, logType: string, record: Json): Part {
    if (!record.isObject()) throw new Error("a record is an object, not " + record.toString());
    return new Part(place, logType, record.toString(), null);
  }

  /** A record that is JSON already; of whichever log type fits. */
  static raw(place: Place, json: string): Part {
    return new Part(place, "", json, null);
  }

  /** Bytes that should be a record and are none. `reason` is for whoever reads the dead letter. */
  static error(place: Place, reason: string): Part {
    return new Part(place, "", null, reason);
  }
}

/** One line, without what ends it. */
export class Line {
  constructor(public readonly bytes: Uint8Array, public readonly place: Place) {}

  /** As text; what is no UTF-8 becomes U+FFFD. */
  text(): string {
    return textOf(this.bytes);
  }
}

/** The lines of a payload, ended by `\n` or `\r\n`; the last may lack its end. */
export function lines(payload: Uint8Array): Line[] {
  const found: Line[] = [];
  const length = payload.length;
  let at = 0;
  while (at < length) {
    let end = at;
    while (end < length && unchecked(payload[end]) != 0x0a) end++;
    const cut = end > at && unchecked(payload[end - 1]) == 0x0d ? end - 1 : end;
    found.push(new Line(payload.subarray(at, cut), new Place(at, cut - at)));
    at = end + 1;
  }
  return found;
}

const REPLACEMENT: u16 = 0xfffd;

/** UTF-8 as text; what is none becomes U+FFFD, once for as much of a character as is there. */
export function textOf(bytes: Uint8Array): string {
  const length = bytes.length;
  // No character has more UTF-16 units than bytes.
  const units = new StaticArray<u16>(length);
  let count = 0;
  let at = 0;
  while (at < length) {
    const lead = <u32>unchecked(bytes[at]);
    if (lead < 0x80) {
      unchecked((units[count++] = <u16>lead));
      at++;
      continue;
    }
    let more = 0;
    let low: u32 = 0x80;
    let high: u32 = 0xbf;
    let code: u32 = 0;
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1;
      code = lead & 0x1f;
    } else if ((lead & 0xf0) == 0xe0) {
      more = 2;
      code = lead & 0x0f;
      if (lead == 0xe0) low = 0xa0;
      if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      code = lead & 0x07;
      if (lead == 0xf0) low = 0x90;
      if (lead == 0xf4) high = 0x8f;
    }
    let taken = 1;
    while (taken <= more && at + taken < length) {
      const next = <u32>unchecked(bytes[at + taken]);
      if (next < low || next > high) break;
      code = (code << 6) | (next & 0x3f);
      low = 0x80;
      high = 0xbf;
      taken++;
    }
    at += taken;
    if (more == 0 || taken <= more) {
      unchecked((units[count++] = REPLACEMENT));
    } else if (code < 0x10000) {
      unchecked((units[count++] = <u16>code));
    } else {
      unchecked((units[count++] = <u16>(0xd800 + ((code - 0x10000) >> 10))));
      unchecked((units[count++] = <u16>(0xdc00 + ((code - 0x10000) & 0x3ff))));
    }
  }
  return String.UTF16.decodeUnsafe(changetype<usize>(units), <usize>count << 1);
}

/** What the host must know of a parser. */
export class ParserOptions {
  /** What clusters call it. */
  name: string = "";
  /** For whoever chooses a parser. */
  description: string = "";
  /** The log types it makes records of, written as the files of `conf/schemas`; their parser is `json`. */
  schemas: string = "";
  /** `"lines"`: any number of whole lines; `"whole"`: an object as large as it is. */
  takes: string = "lines";
  /** Knows the parser's objects by their first bytes. Without it, only a cluster that names the parser gives it anything. */
  sniff: ((head: Uint8Array) => bool) | null = null;
}

export class Parser {
  constructor(public readonly options: ParserOptions, public readonly parse: (payload: Uint8Array) => Part[]) {}
}

/** The parser of this component; there is one. */
export const parsers: Parser[] = [];

/** Declares the parser. */
export function parser(options: ParserOptions, parse: (payload: Uint8Array) => Part[]): void {
  if (options.takes != "lines" && options.takes != "whole") {
    throw new Error("parser " + options.name + ": takes is one of lines, whole, not " + options.takes);
  }
  parsers.push(new Parser(options, parse));
}

let refusal: string | null = null;

/** What a parser returns when nothing can be made of the payload. */
export function refuse(reason: string): Part[] {
  refusal = reason;
  return [];
}

/** What was refused since it was last asked. */
export function takeRefusal(): string | null {
  const reason = refusal;
  refusal = null;
  return reason;
}
