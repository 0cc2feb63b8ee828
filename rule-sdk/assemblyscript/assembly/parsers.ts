// Exports `parsing` for the one parser that was declared. The build gives these functions the names of the contract.

import { block, lowerText, release } from "./lower";
import { Parser, Part, parsers, takeRefusal } from "./parsing";

export { cabi_realloc } from "./abi";

/** Bytes of what describes a parser, and of a part. */
const PARSER_INFO: usize = 28;
const PART: usize = 28;
/** A list or a text, behind the number that says which. */
const ANSWER: usize = memory.data(12, 4);

function only(): Parser {
  if (parsers.length != 1) throw new Error("a component is one parser; this one declares " + parsers.length.toString());
  return parsers[0];
}

export function describe(): usize {
  const options = only().options;
  const at = block(PARSER_INFO);
  lowerText(at, options.name);
  lowerText(at + 8, options.description);
  lowerText(at + 16, options.schemas);
  store<u8>(at, options.takes == "whole" ? 1 : 0, 24);
  store<u8>(at, options.sniff !== null ? 1 : 0, 25);
  return at;
}

/** The host's bytes as an array, and its memory given back. */
function taken(at: usize, length: u32): Uint8Array {
  const bytes = new Uint8Array(length);
  memory.copy(bytes.dataStart, at, length);
  if (length) heap.free(at);
  return bytes;
}

export function sniff(head: usize, length: u32): u32 {
  const bytes = taken(head, length);
  const sniff = only().options.sniff;
  return sniff !== null && sniff(bytes) ? 1 : 0;
}

export function parse(payload: usize, length: u32): usize {
  const parts = only().parse(taken(payload, length));
  const refusal = takeRefusal();
  if (refusal !== null) {
    store<u32>(ANSWER, 1);
    lowerText(ANSWER + 4, refusal);
    return ANSWER;
  }
  const from = block(<usize>parts.length * PART);
  for (let index = 0; index < parts.length; index++) lower(from + <usize>index * PART, unchecked(parts[index]));
  store<u32>(ANSWER, 0);
  store<usize>(ANSWER, from, 4);
  store<u32>(ANSWER, parts.length, 8);
  return ANSWER;
}

function lower(at: usize, part: Part): void {
  store<u32>(at, part.place.offset);
  store<u32>(at, part.place.length, 4);
  const reason = part.reason;
  const json = part.json;
  if (reason !== null) {
    store<u32>(at, 1, 8);
    lowerText(at + 12, reason);
  } else if (json !== null) {
    lowerText(at + 12, part.logType);
    lowerText(at + 20, json);
  }
}

export function cabi_post_describe(_answer: usize): void {
  release();
}

export function cabi_post_parse(_answer: usize): void {
  release();
}
