// Paths: `userIdentity.arn`, `\.` for a dot inside a key and `\\` for a backslash, a number for an item of a list. A path is
// taken apart once and remembers, for each shape of records, where its steps were found.

import * as packed from "./packed";
import { Kind } from "./packed";

/** Paths remembered at a time: more than a component of fifty rules reads. */
const PATHS: i32 = 256;
/** Shapes remembered per path: those of one log type that are frequent at a time. */
const SHAPES: usize = 16;
/** Steps of a path whose places are remembered; longer paths search for the rest. */
const PLACES: usize = 3;
const ABSENT: u32 = 0xffffffff;
const UNKNOWN: u32 = 0xfffffffe;
/** Bytes of what is remembered for one shape: its number, then the places. */
const SHAPE_BYTES: usize = 4 + PLACES * 4;
const BACKSLASH = 0x5c;
const DOT = 0x2e;

/** The steps of a path, without the backslashes. */
export function steps(path: string): string[] {
  const found: string[] = [];
  let step = "";
  let from = 0;
  const length = path.length;
  for (let at = 0; at < length; at++) {
    const unit = path.charCodeAt(at);
    if (unit == BACKSLASH && at + 1 < length) {
      step += path.substring(from, at);
      from = ++at;
    } else if (unit == DOT) {
      found.push(step + path.substring(from, at));
      step = "";
      from = at + 1;
    }
  }
  found.push(step + path.substring(from));
  return found;
}

/** A step as the index of an item: decimal digits; -1 for anything else. */
export function indexOfItem(step: string): i64 {
  const length = step.length;
  if (length == 0 || length > 10) return -1;
  let index: i64 = 0;
  for (let at = 0; at < length; at++) {
    const digit = step.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    index = index * 10 + digit;
  }
  return index < <i64>u32.MAX_VALUE ? index : -1;
}

// A path that was taken apart lies in plain memory, so that finding it again and following it does not concern the collector:
//
//   0  address of its string      4  number of steps
//   8  for each of 16 shapes: its number, then the places of three steps
//   …  for each step: address and length of its key in UTF-8, and the index it is in a list, or NO_INDEX
const STEPS_AT: usize = 8 + SHAPES * SHAPE_BYTES;
const STEP_BYTES: usize = 12;
const NO_INDEX: u32 = 0xffffffff;

/** Addresses of the paths that were taken apart, by the addresses of their strings. */
const remembered: usize = memory.data(PATHS * 4, 4);
/** Their strings: as long as one is here, no other string can be where it is. */
const strings = new StaticArray<string>(PATHS);

function forget(places: usize, shape: u32): void {
  store<u32>(places, shape);
  for (let step: usize = 0; step < PLACES; step++) store<u32>(places + step * 4, UNKNOWN, 4);
}

/** Takes a path apart and puts it in the place of another one. */
function remember(place: usize, path: string): usize {
  const all = steps(path);
  const made = heap.alloc(STEPS_AT + <usize>all.length * STEP_BYTES);
  store<usize>(made, changetype<usize>(path));
  store<u32>(made, all.length, 4);
  for (let shape: usize = 0; shape < SHAPES; shape++) forget(made + 8 + shape * SHAPE_BYTES, 0);
  for (let at = 0; at < all.length; at++) {
    const step = made + STEPS_AT + <usize>at * STEP_BYTES;
    const bytes = String.UTF8.byteLength(all[at]);
    const key = heap.alloc(bytes);
    String.UTF8.encodeUnsafe(changetype<usize>(all[at]), all[at].length, key);
    const index = indexOfItem(all[at]);
    store<usize>(step, key);
    store<u32>(step, bytes, 4);
    store<u32>(step, index < 0 ? NO_INDEX : <u32>index, 8);
  }
  const old = load<usize>(remembered + place * 4);
  if (old) {
    for (let at: u32 = 0; at < load<u32>(old, 4); at++) heap.free(load<usize>(old + STEPS_AT + <usize>at * STEP_BYTES));
    heap.free(old);
  }
  store<usize>(remembered + place * 4, made);
  strings[<i32>place] = path;
  return made;
}

/** The same for the string at an address; apart from `find`, which then need not tell the collector of it. */
function rememberAt(place: usize, address: usize): usize {
  return remember(place, changetype<string>(address));
}

/** The slot that the path at `address`, a string, leads to from the root of a record; 0 if nothing is there. */
export function find(base: usize, address: usize): usize {
  const place = (address >> 4 ^ address >> 12) & (PATHS - 1);
  let path = load<usize>(remembered + place * 4);
  if (!path || load<usize>(path) != address) path = rememberAt(place, address);
  const shape = packed.shape(base);
  const places = path + 8 + (<usize>shape & (SHAPES - 1)) * SHAPE_BYTES;
  if (load<u32>(places) != shape) forget(places, shape);
  let slot = base;
  let from: usize = 0;
  // The root's keys are what a shape vouches for: where the first was found once, there it is.
  if (shape != 0) {
    const first = load<u32>(places, 4);
    if (first == ABSENT) return 0;
    if (first != UNKNOWN) {
      slot = packed.entryAt(base, base, first) + packed.SLOT;
      from = 1;
    }
  }
  const count = <usize>load<u32>(path, 4);
  for (let at = from; at < count; at++) {
    const step = path + STEPS_AT + at * STEP_BYTES;
    if (packed.kind(slot) != Kind.Object) {
      const index = load<u32>(step, 8);
      slot = index == NO_INDEX ? 0 : packed.item(base, slot, index);
      if (!slot) return 0;
      continue;
    }
    const key = load<usize>(step);
    const keyLength = load<u32>(step, 4);
    const known = at < PLACES ? places + (at << 2) : 0;
    if (known) {
      const place = load<u32>(known, 4);
      if (place < packed.length(slot)) {
        const entry = packed.entryAt(base, slot, place);
        if (load<u32>(entry, 4) == keyLength && packed.same(base + load<u32>(entry), key, keyLength)) {
          slot = entry + packed.SLOT;
          continue;
        }
      }
    }
    const index = packed.indexOf(base, slot, key, keyLength);
    if (index < 0) {
      if (at == 0) store<u32>(places, ABSENT, 4);
      return 0;
    }
    if (known) store<u32>(known, index, 4);
    slot = packed.entryAt(base, slot, index) + packed.SLOT;
  }
  return slot;
}

/** The slot that a path leads to from any value; 0 if nothing is there. */
export function findFrom(base: usize, slot: usize, path: string): usize {
  const all = steps(path);
  for (let at = 0; at < all.length && slot; at++) {
    const step = all[at];
    if (packed.kind(slot) == Kind.Object) slot = get(base, slot, step);
    else {
      const index = indexOfItem(step);
      slot = index < 0 ? 0 : packed.item(base, slot, <u32>index);
    }
  }
  return slot;
}

/** The slot under this very key of an object; 0 if there is none. */
export function get(base: usize, slot: usize, key: string): usize {
  if (packed.kind(slot) != Kind.Object) return 0;
  const count = packed.length(slot);
  for (let index: u32 = 0; index < count; index++) {
    const entry = packed.entryAt(base, slot, index);
    if (packed.equals(base + load<u32>(entry), load<u32>(entry, 4), changetype<usize>(key))) return entry + packed.SLOT;
  }
  return 0;
}
