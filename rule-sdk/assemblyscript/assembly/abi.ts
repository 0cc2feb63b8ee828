// The canonical ABI of the component model, for the world `rule`: what the host gives, and how texts and memory cross the
// border. Texts cross as UTF-16, which is what an AssemblyScript string is: none is copied or converted on this side.

import { OBJECT, TOTAL_OVERHEAD } from "rt/common";

// @ts-ignore: decorator
@external("streamalert:plugin/records@0.1.0", "get")
declare function recordsGet(row: u32, path: usize, pathLength: u32, answer: usize): void;
// @ts-ignore: decorator
@external("streamalert:plugin/records@0.1.0", "json")
declare function recordsJson(row: u32, answer: usize): void;
// @ts-ignore: decorator
@external("streamalert:plugin/records@0.1.0", "packed")
declare function recordsPacked(answer: usize): void;
// @ts-ignore: decorator
@external("streamalert:plugin/lookup@0.1.0", "get")
declare function lookupGet(table: usize, tableLength: u32, key: usize, keyLength: u32, answer: usize): void;
// @ts-ignore: decorator
@external("streamalert:plugin/log@0.1.0", "write")
declare function logWrite(level: u32, message: usize, messageLength: u32): void;

/** Where the host puts an answer that is more than one number: a `value`, the largest, has 16 bytes. */
const ANSWER: usize = memory.data(16, 8);

/** UTF-16 code units have two bytes; nothing else that crosses the border is aligned to two. */
const TEXT_ALIGN: usize = 2;

/** Texts that the host writes at once, at most: it hands three to `publish`. */
const TEXTS = 4;
/** The last texts the host made room for: nobody else holds them until the call is under way. */
const written = new StaticArray<string>(TEXTS);
let last = 0;

/** Memory for what the host is about to write: a string object for a text, plain memory for anything else. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  if (align != TEXT_ALIGN) return old ? heap.realloc(old, size) : heap.alloc(size);
  // Each text is given its last size before the next one is begun.
  const text = old ? __renew(old, size) : __new(size, idof<string>());
  if (!old) last = (last + 1) & (TEXTS - 1);
  written[last] = changetype<string>(text);
  return text;
}

/** The string object that the host filled. */
export function liftText(address: usize, length: u32): string {
  if (!length) return "";
  const size = length << 1;
  if (changetype<OBJECT>(address - TOTAL_OVERHEAD).rtSize == size) return changetype<string>(address);
  return String.UTF16.decodeUnsafe(address, size);
}

/** A text that the host may see. Half a character, as cutting a text may leave, would be a trap: it becomes U+FFFD. */
export function wellFormed(text: string): string {
  const length = text.length;
  let fixed: u16[] | null = null;
  for (let at = 0; at < length; at++) {
    const unit = load<u16>(changetype<usize>(text) + (<usize>at << 1));
    if ((unit & 0xf800) != 0xd800) continue;
    if (unit < 0xdc00 && at + 1 < length) {
      if ((load<u16>(changetype<usize>(text) + (<usize>(at + 1) << 1)) & 0xfc00) == 0xdc00) {
        at++;
        continue;
      }
    }
    if (fixed === null) {
      fixed = new Array<u16>(length);
      memory.copy(fixed.dataStart, changetype<usize>(text), <usize>length << 1);
    }
    fixed[at] = 0xfffd;
  }
  return fixed === null ? text : String.UTF16.decodeUnsafe(fixed.dataStart, <usize>length << 1);
}

/** Lets an explaining host see a read; what it answers is known already. */
export function showRead(row: u32, path: string): void {
  const shown = wellFormed(path);
  recordsGet(row, changetype<usize>(shown), shown.length, ANSWER);
}

/** Lets an explaining host see that the whole record is read. */
export function showReadAll(row: u32): void {
  recordsJson(row, ANSWER);
}

/** The address of the packed buffer of the batch, to be freed by `heap.free`; 0 if it is empty. */
export function packed(): usize {
  recordsPacked(ANSWER);
  return load<u32>(ANSWER, 4) ? load<usize>(ANSWER) : 0;
}

export function lookup(table: string, key: string): string | null {
  const t = wellFormed(table);
  const k = wellFormed(key);
  lookupGet(changetype<usize>(t), t.length, changetype<usize>(k), k.length, ANSWER);
  return load<u8>(ANSWER) ? liftText(load<usize>(ANSWER, 4), load<u32>(ANSWER, 8)) : null;
}

export function write(level: u32, message: string): void {
  const text = wellFormed(message);
  logWrite(level, changetype<usize>(text), text.length);
}

/** What `throw`, a failed `assert` and an index out of range end in: the message goes to the log, the call is over. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message === null ? "aborted" : message;
  const where = file === null ? "" : " (" + file + ":" + line.toString() + ":" + column.toString() + ")";
  write(3, what + where);
  unreachable();
}
