// What is answered, as the host reads it.

import { wellFormed } from "./abi";

/** Bytes of a text: its address and its length in code units. */
const TEXT: usize = 8;

/** What the host is about to read: texts, kept from the collector, and plain memory. */
const texts: string[] = [];
const blocks: usize[] = [];

export function block(bytes: usize): usize {
  const address = heap.alloc(bytes);
  memory.fill(address, 0, bytes);
  blocks.push(address);
  return address;
}

export function lowerText(at: usize, text: string): void {
  const fit = wellFormed(text);
  texts.push(fit);
  store<usize>(at, changetype<usize>(fit));
  store<u32>(at, fit.length, 4);
}

/** 1 and the text, or 0. */
export function lowerOptionalText(at: usize, text: string | null): void {
  if (text === null) return;
  store<u32>(at, 1);
  lowerText(at + 4, text);
}

export function lowerTexts(at: usize, list: string[]): void {
  const from = block(<usize>list.length * TEXT);
  for (let index = 0; index < list.length; index++) lowerText(from + <usize>index * TEXT, list[index]);
  store<usize>(at, from);
  store<u32>(at, list.length, 4);
}

/** The host has read the answer. */
export function release(): void {
  for (let at = 0; at < blocks.length; at++) heap.free(unchecked(blocks[at]));
  blocks.length = 0;
  texts.length = 0;
}
