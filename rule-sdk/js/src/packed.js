// Reads numbers of the packed buffer that JavaScript's own cannot hold: integers beyond 2^53, to the last digit. The layout is
// `wit/packed.md`. Everything else comes from `records.get`, which is cheaper in an interpreted language.

import { indexOf, steps } from "./path.js";

const I64 = 4;
const U64 = 5;
const NUMBER_TEXT = 8;
const ARRAY = 9;
const OBJECT = 10;

/** A key as UTF-8, one character per byte. */
function utf8(text) {
  return unescape(encodeURIComponent(text));
}

function find(view, base, path) {
  let slot = base;
  for (const step of steps(path)) {
    const tag = view.getUint32(slot, true);
    const from = base + view.getUint32(slot + 4, true);
    if ((tag & 15) === ARRAY) {
      const index = indexOf(step);
      if (index < 0 || index >= tag >>> 4) return -1;
      slot = from + index * 8;
    } else if ((tag & 15) === OBJECT) {
      const key = utf8(step);
      slot = -1;
      for (let entry = from; entry < from + (tag >>> 4) * 16; entry += 16) {
        if (view.getUint32(entry + 4, true) !== key.length) continue;
        const at = base + view.getUint32(entry, true);
        let same = 0;
        while (same < key.length && view.getUint8(at + same) === key.charCodeAt(same)) same++;
        if (same === key.length) {
          slot = entry + 8;
          break;
        }
      }
      if (slot < 0) return -1;
    } else return -1;
  }
  return slot;
}

/** The exact integer at `path` as a BigInt; `"number"` for one that fits no 64 bits; `null` for anything else. */
export function exact(bytes, row, path) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const base = view.getUint32(8 + row * 4, true);
  const slot = find(view, base, path);
  if (slot < 0) return null;
  const kind = view.getUint32(slot, true) & 15;
  const at = base + view.getUint32(slot + 4, true);
  if (kind === I64) return view.getBigInt64(at, true);
  if (kind === U64) return view.getBigUint64(at, true);
  return kind === NUMBER_TEXT ? "number" : null;
}
