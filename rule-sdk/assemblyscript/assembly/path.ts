// Paths: `userIdentity.arn`, `\.` for a dot inside a key and `\\` for a backslash, a number for an item of a list. A path is
// taken apart once and remembers, for each shape of records, where its steps were found.

import * as packed from "./packed";
import { Kind } from "./packed";

/** Paths remembered at a time: more than a component of fifty rules reads. */
const PATHS = 256;
/** Shapes remembered per path: those of one log type that are frequent at a time. */
const SHAPES: usize = 16;
/** Steps of a path whose places are remembered; longer paths search for the rest. */
const PLACES: usize = 3;
const ABSENT: u32 = 0xffffffff;
const UNKNOWN: u32 = 0xfffffffe;
/** Bytes of what is remembered for one shape: its number, then the places. */
const SHAPE_BYTES: usize = 4 + PLACES * 4;
const REMEMBERED_BYTES: i32 = <i32>SHAPES * <i32>SHAPE_BYTES;
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
  return index <= <i64>u32.MAX_VALUE ? index : -1;
}

class Step {
  index: i64;
  constructor(public key: ArrayBuffer, index: i64) {
    this.index = index;
  }
}

class Path {
  steps: StaticArray<Step>;
  shapes: StaticArray<u8> = new StaticArray<u8>(REMEMBERED_BYTES);

  /** It keeps the path's string alive, so no other string can be where that one is. */
  constructor(public text: string) {
    const found = steps(text);
    const all = new StaticArray<Step>(found.length);
    for (let at = 0; at < found.length; at++) {
      unchecked((all[at] = new Step(String.UTF8.encode(found[at]), indexOfItem(found[at]))));
    }
    this.steps = all;
    this.forget();
  }

  private forget(): void {
    for (let at: usize = 0; at < SHAPES; at++) {
      const places = changetype<usize>(this.shapes) + at * SHAPE_BYTES;
      store<u32>(places, 0);
      for (let step: usize = 0; step < PLACES; step++) store<u32>(places + step * 4, UNKNOWN, 4);
    }
  }

  find(base: usize): usize {
    const shape = packed.shape(base);
    const places = changetype<usize>(this.shapes) + (<usize>shape & (SHAPES - 1)) * SHAPE_BYTES;
    if (load<u32>(places) != shape) {
      store<u32>(places, shape);
      for (let step: usize = 0; step < PLACES; step++) store<u32>(places + step * 4, UNKNOWN, 4);
    }
    let slot = base;
    let from = 0;
    // The root's keys are what a shape vouches for: where the first was found once, there it is.
    if (shape != 0) {
      const first = load<u32>(places, 4);
      if (first == ABSENT) return 0;
      if (first != UNKNOWN) {
        slot = packed.entryAt(base, base, first) + packed.SLOT;
        from = 1;
      }
    }
    const count = this.steps.length;
    for (let at = from; at < count; at++) {
      const step = unchecked(this.steps[at]);
      if (packed.kind(slot) != Kind.Object) {
        slot = step.index < 0 ? 0 : packed.item(base, slot, <u32>step.index);
        if (!slot) return 0;
        continue;
      }
      const key = changetype<usize>(step.key);
      const keyLength = <u32>step.key.byteLength;
      const remembered = <usize>at < PLACES ? places + (<usize>at << 2) : 0;
      if (remembered) {
        const place = load<u32>(remembered, 4);
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
      if (remembered) store<u32>(remembered, index, 4);
      slot = packed.entryAt(base, slot, index) + packed.SLOT;
    }
    return slot;
  }
}

const remembered = new StaticArray<Path | null>(PATHS);

/** The slot that a path leads to from the root of a record; 0 if nothing is there. */
export function find(base: usize, path: string): usize {
  const address = changetype<usize>(path);
  const place = <i32>((address >> 4 ^ address >> 12) & (PATHS - 1));
  let found = unchecked(remembered[place]);
  if (found === null || changetype<usize>(found.text) != address) {
    found = new Path(path);
    unchecked((remembered[place] = found));
  }
  return found.find(base);
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
    if (packed.equals(base + load<u32>(entry), load<u32>(entry, 4), key)) return entry + packed.SLOT;
  }
  return 0;
}
