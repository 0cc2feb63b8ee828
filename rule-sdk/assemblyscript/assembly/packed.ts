// Reads a packed record where it lies; the layout is `wit/packed.md`. A value is known by the address of its slot, 0 for
// none; offsets count from the record's first byte, `base`.

export const enum Kind {
  Null = 0,
  False = 1,
  True = 2,
  I32 = 3,
  I64 = 4,
  U64 = 5,
  F64 = 6,
  Text = 7,
  NumberText = 8,
  Array = 9,
  Object = 10,
}

/** Bytes of a slot, and of an entry of an object: key and slot. */
export const SLOT: usize = 8;
export const ENTRY: usize = 16;

// @ts-ignore: decorator
@inline
export function kind(slot: usize): i32 {
  return <i32>(load<u32>(slot) & 15);
}

/** Bytes of a text, items of a list, entries of an object. */
// @ts-ignore: decorator
@inline
export function length(slot: usize): u32 {
  return load<u32>(slot) >> 4;
}

// @ts-ignore: decorator
@inline
export function payload(slot: usize): u32 {
  return load<u32>(slot, 4);
}

/** Number `index` of the records of a frame; 0 if there are fewer. */
export function recordOf(frame: usize, index: u32): usize {
  if (!frame || index >= load<u32>(frame, 4)) return 0;
  return frame + load<u32>(frame + (<usize>index << 2), 8);
}

// @ts-ignore: decorator
@inline
export function shape(base: usize): u32 {
  return load<u32>(base, 12);
}

/** Eight bytes at a time: keys are short, and a loop over bytes is several times slower. */
// @ts-ignore: decorator
@inline
export function same(a: usize, b: usize, length: u32): bool {
  const end = a + length;
  if (length >= 8) {
    while (a + 8 <= end) {
      if (load<u64>(a) != load<u64>(b)) return false;
      a += 8;
      b += 8;
    }
    const back = a + 8 - end;
    return load<u64>(a - back) == load<u64>(b - back);
  }
  if (length >= 4) {
    return load<u32>(a) == load<u32>(b) && load<u32>(a + length - 4) == load<u32>(b + length - 4);
  }
  for (; a < end; a++, b++) {
    if (load<u8>(a) != load<u8>(b)) return false;
  }
  return true;
}

/** Number of the entry with this key, or -1. */
export function indexOf(base: usize, object: usize, key: usize, keyLength: u32): i32 {
  const count = length(object);
  let entry = base + payload(object);
  for (let index: u32 = 0; index < count; index++, entry += ENTRY) {
    if (load<u32>(entry, 4) == keyLength && same(base + load<u32>(entry), key, keyLength)) return index;
  }
  return -1;
}

// @ts-ignore: decorator
@inline
export function entryAt(base: usize, object: usize, index: u32): usize {
  return base + payload(object) + <usize>index * ENTRY;
}

/** The slot of an item; 0 if the list is shorter. */
export function item(base: usize, list: usize, index: u32): usize {
  return kind(list) == Kind.Array && index < length(list) ? base + payload(list) + <usize>index * SLOT : 0;
}

export function isInt(slot: usize): bool {
  const k = kind(slot);
  return k == Kind.I32 || k == Kind.I64;
}

/** What `isInt` approved of. */
export function int(base: usize, slot: usize): i64 {
  return kind(slot) == Kind.I32 ? <i64>(<i32>payload(slot)) : load<i64>(base + payload(slot));
}

export function isUint(base: usize, slot: usize): bool {
  return kind(slot) == Kind.U64 || (isInt(slot) && int(base, slot) >= 0);
}

/** What `isUint` approved of. */
export function uint(base: usize, slot: usize): u64 {
  return kind(slot) == Kind.U64 ? load<u64>(base + payload(slot)) : <u64>int(base, slot);
}

export function isNumber(slot: usize): bool {
  const k = kind(slot);
  return k >= Kind.I32 && k <= Kind.F64 || k == Kind.NumberText;
}

/** What `isNumber` approved of, rounded where a double does not hold it. */
export function float(base: usize, slot: usize): f64 {
  const k = kind(slot);
  if (k == Kind.F64) return load<f64>(base + payload(slot));
  if (k == Kind.U64) return <f64>load<u64>(base + payload(slot));
  if (k == Kind.NumberText) return parseFloat(text(base, slot));
  return <f64>int(base, slot);
}

// @ts-ignore: decorator
@inline
export function isText(slot: usize): bool {
  const k = kind(slot);
  return k == Kind.Text || k == Kind.NumberText;
}

/** What `isText` approved of, as a string of its own. */
export function text(base: usize, slot: usize): string {
  return decode(base + payload(slot), length(slot));
}

/** Four ASCII characters as UTF-16. */
// @ts-ignore: decorator
@inline
function widen(four: u32): u64 {
  const pairs = (<u64>four | <u64>four << 16) & 0x0000ffff0000ffff;
  return (pairs | pairs << 8) & 0x00ff00ff00ff00ff;
}

const NOT_ASCII_4: u32 = 0x80808080;

/** A character of four bytes as the two code units that it is in a string. */
function pair(from: usize): u32 {
  const point = (<u32>load<u8>(from) & 0x07) << 18 | (<u32>load<u8>(from, 1) & 0x3f) << 12
    | (<u32>load<u8>(from, 2) & 0x3f) << 6 | <u32>load<u8>(from, 3) & 0x3f;
  const rest = point - 0x10000;
  return 0xd800 | rest >> 10 | (0xdc00 | rest & 0x3ff) << 16;
}

// Runs of characters of one, two or three bytes, as their bytes lie in memory: what stays of the bits and what it must be.
const ASCII_8: u64 = 0x8080808080808080;
const TWO_8: u64 = 0xc0e0c0e0c0e0c0e0;
const TWO_8_IS: u64 = 0x80c080c080c080c0;
const THREE: u32 = 0x00c0c0f0;
const THREE_IS: u32 = 0x008080e0;

/**
 * UTF-8 as a string. Leaves out the checks of `String.UTF8.decode`, what the host packed is UTF-8, and takes several
 * characters at a time: a text of a megabyte must not use up the fuel of a rule.
 */
export function decode(from: usize, length: u32): string {
  if (!length) return "";
  const end = from + length;
  const text = __new(<usize>length << 1, idof<string>());
  let out = text;
  while (from < end) {
    while (from + 8 <= end) {
      const eight = load<u64>(from);
      if (!(eight & ASCII_8)) {
        store<u64>(out, widen(<u32>eight));
        store<u64>(out, widen(<u32>(eight >> 32)), 8);
        out += 16;
      } else if ((eight & TWO_8) == TWO_8_IS) {
        store<u64>(out, (eight & 0x001f001f001f001f) << 6 | (eight >> 8 & 0x003f003f003f003f));
        out += 8;
      } else break;
      from += 8;
    }
    while (from + 4 <= end) {
      const four = load<u32>(from);
      if ((four & THREE) != THREE_IS) break;
      store<u16>(out, <u16>(four << 12 | (four >> 2 & 0x0fc0) | (four >> 16 & 0x3f)));
      from += 3;
      out += 2;
    }
    if (from >= end) break;
    const first = <u32>load<u8>(from);
    if (first < 0x80) {
      store<u16>(out, first);
      from++;
    } else if (first < 0xe0) {
      store<u16>(out, (first & 0x1f) << 6 | <u32>load<u8>(from, 1) & 0x3f);
      from += 2;
    } else if (first < 0xf0) {
      store<u16>(out, (first & 0x0f) << 12 | (<u32>load<u8>(from, 1) & 0x3f) << 6 | <u32>load<u8>(from, 2) & 0x3f);
      from += 3;
    } else {
      store<u32>(out, pair(from));
      from += 4;
      out += 2;
    }
    out += 2;
  }
  return changetype<string>(out - text == <usize>length << 1 ? text : __renew(text, out - text));
}

/** Bytes of the string at this address: they stand before it. */
// @ts-ignore: decorator
@inline
export function bytesOf(text: usize): u32 {
  return load<u32>(text - 4);
}

/**
 * Whether UTF-8 says the same as the string at `text`, without making a string of it. It takes an address, and allocates
 * nothing, so that neither it nor its callers have to tell the collector of the string.
 */
export function equals(from: usize, length: u32, text: usize): bool {
  const end = from + length;
  const textEnd = text + bytesOf(text);
  // As long as both are ASCII, they go side by side.
  while (from + 4 <= end && text + 8 <= textEnd) {
    const four = load<u32>(from);
    if (four & NOT_ASCII_4) break;
    if (widen(four) != load<u64>(text)) return false;
    from += 4;
    text += 8;
  }
  while (from < end && text < textEnd) {
    const first = <u32>load<u8>(from);
    let point = first;
    if (first < 0x80) {
      from++;
    } else if (first < 0xe0) {
      point = (first & 0x1f) << 6 | <u32>load<u8>(from, 1) & 0x3f;
      from += 2;
    } else if (first < 0xf0) {
      point = (first & 0x0f) << 12 | (<u32>load<u8>(from, 1) & 0x3f) << 6 | <u32>load<u8>(from, 2) & 0x3f;
      from += 3;
    } else {
      if (text + 4 > textEnd || load<u32>(text) != pair(from)) return false;
      from += 4;
      text += 4;
      continue;
    }
    if (<u32>load<u16>(text) != point) return false;
    text += 2;
  }
  return from == end && text == textEnd;
}
