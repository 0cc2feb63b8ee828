// Reading a log record.

import * as abi from "./abi";
import { Json, fromPacked, pack, write } from "./json";
import { ENTRY, Kind, SLOT, decode, entryAt, equals, float, int, isInt, isNumber, isText, isUint, item, kind, length, payload, text, uint } from "./packed";
import { find, findFrom, get } from "./path";

/** A number or boolean that may also be missing: AssemblyScript's own types have no null. */
export class Box<T> {
  constructor(public readonly value: T) {}
}

/** The row that an explaining host wants to see read; -1 while it does not. */
let watched: i64 = -1;

export function watch(row: i64): void {
  watched = row;
}

/** Takes an address, so that those who do not call it need not tell the collector of the string. */
function show(path: usize): void {
  abi.showRead(<u32>watched, changetype<string>(path));
}

/**
 * A log record. Values are found by path: `userIdentity.arn`, with `\.` for a dot inside a key (in a string: `"\\."`) and a
 * number for an item of a list, `resources.0.type`.
 *
 * Nothing is converted: a text of digits is no integer, and the integer 1 is not `true`. A record, and each `Field` of it,
 * is only good until the rule returns.
 */
export class Record {
  /** Where it lies. */
  constructor(private base: usize) {}

  /** Makes it another one: the rows of a batch share one object. */
  move(base: usize): void {
    this.base = base;
  }

  /** A record for tests, from JSON text. It is read in the same way as the host's. */
  static parse(text: string): Record {
    const json = Json.parse(text);
    if (json === null) throw new Error("Record.parse: this is no JSON: " + text);
    return new Record(pack(json));
  }

  // @ts-ignore: decorator
  @inline
  private slot(path: string): usize {
    if (watched >= 0) show(changetype<usize>(path));
    return find(this.base, changetype<usize>(path));
  }

  /** The text at `path`. `null`: nothing there, or something else than text. A number that fits neither 64 bits nor a double counts as text, as it was written. */
  text(path: string): string | null {
    const slot = this.slot(path);
    return slot && isText(slot) ? text(this.base, slot) : null;
  }

  /** The text at `path`, or `otherwise` where `text` has none. */
  textOr(path: string, otherwise: string): string {
    const slot = this.slot(path);
    return slot && isText(slot) ? text(this.base, slot) : otherwise;
  }

  /** The integer at `path`. `null`: nothing there, no integer (1.0 is none), or above `i64.MAX_VALUE`. */
  int(path: string): Box<i64> | null {
    return new Field(this.base, this.slot(path)).int();
  }

  /** The integer at `path`, or `otherwise` where `int` has none. */
  intOr(path: string, otherwise: i64): i64 {
    const slot = this.slot(path);
    return slot && isInt(slot) ? int(this.base, slot) : otherwise;
  }

  /** The integer at `path`. `null`: nothing there, no integer (1.0 is none), or a negative one. */
  uint(path: string): Box<u64> | null {
    return new Field(this.base, this.slot(path)).uint();
  }

  /** The integer at `path`, or `otherwise` where `uint` has none. */
  uintOr(path: string, otherwise: u64): u64 {
    const slot = this.slot(path);
    return slot && isUint(this.base, slot) ? uint(this.base, slot) : otherwise;
  }

  /** The number at `path`, rounded where a double does not hold it. `null`: nothing there, or no number. */
  float(path: string): Box<f64> | null {
    return new Field(this.base, this.slot(path)).float();
  }

  /** The number at `path`, or `otherwise` where `float` has none. */
  floatOr(path: string, otherwise: f64): f64 {
    const slot = this.slot(path);
    return slot && isNumber(slot) ? float(this.base, slot) : otherwise;
  }

  /** The boolean at `path`. `null`: nothing there, or no boolean. */
  bool(path: string): Box<bool> | null {
    return new Field(this.base, this.slot(path)).bool();
  }

  /** The boolean at `path`, or `otherwise` where `bool` has none. */
  boolOr(path: string, otherwise: bool): bool {
    const slot = this.slot(path);
    if (!slot) return otherwise;
    const k = kind(slot);
    return k == Kind.True || (k != Kind.False && otherwise);
  }

  /** Whether anything is at `path`, a null too. */
  exists(path: string): bool {
    return this.slot(path) != 0;
  }

  /** Whether a null is at `path`; `false` when nothing is there. */
  isNull(path: string): bool {
    const slot = this.slot(path);
    return slot != 0 && kind(slot) == Kind.Null;
  }

  /** How many items the list, or entries the object, at `path` has. -1: nothing there, or neither list nor object. */
  len(path: string): i32 {
    const slot = this.slot(path);
    return slot && kind(slot) >= Kind.Array ? <i32>length(slot) : -1;
  }

  /** Whether the text at `path` is `text`; `false` when nothing is there. */
  is(path: string, text: string): bool {
    const slot = this.slot(path);
    return slot != 0 && isText(slot) && equals(this.base + payload(slot), length(slot), changetype<usize>(text));
  }

  /** Whether the text at `path` is one of these; `false` when nothing is there. */
  isAny(path: string, texts: string[]): bool {
    const slot = this.slot(path);
    if (!slot || !isText(slot)) return false;
    for (let at = 0; at < texts.length; at++) {
      if (equals(this.base + payload(slot), length(slot), changetype<usize>(unchecked(texts[at])))) return true;
    }
    return false;
  }

  /** The texts of the list at `path`, passing over other items; a text counts as a list of one. Nothing there, or something else: no texts. */
  texts(path: string): string[] {
    const slot = this.slot(path);
    const found: string[] = [];
    if (!slot) return found;
    if (isText(slot)) found.push(text(this.base, slot));
    else if (kind(slot) == Kind.Array) {
      for (let at: u32 = 0; at < length(slot); at++) {
        const inner = item(this.base, slot, at);
        if (isText(inner)) found.push(text(this.base, inner));
      }
    }
    return found;
  }

  /** The items of the list at `path`. Nothing there, or no list: no items. */
  items(path: string): Field[] {
    return new Field(this.base, this.slot(path)).items();
  }

  /** What is at `path`, to be walked on from there. `null`: nothing there. */
  field(path: string): Field | null {
    const slot = this.slot(path);
    return slot ? new Field(this.base, slot) : null;
  }

  /** What is at `path` as a JSON value of its own. `null`: nothing there; a null that is there is a `Json`. */
  value(path: string): Json | null {
    const slot = this.slot(path);
    return slot ? fromPacked(this.base, slot) : null;
  }

  /** The whole record, to be walked. */
  root(): Field {
    if (watched >= 0) abi.showReadAll(<u32>watched);
    return new Field(this.base, this.base);
  }

  /** The whole record as JSON text. */
  json(): string {
    return this.root().json();
  }
}

/** One value within a record. An explaining host is shown where the walk began, not its steps. */
export class Field {
  constructor(private base: usize, private slot: usize) {}

  /** `null`: something else than text. A number that fits neither 64 bits nor a double counts as text, as written. */
  text(): string | null {
    return this.slot && isText(this.slot) ? text(this.base, this.slot) : null;
  }

  /** Whether it is this text. */
  is(text: string): bool {
    return this.slot && isText(this.slot) && equals(this.base + payload(this.slot), length(this.slot), changetype<usize>(text));
  }

  /** `null`: no integer (1.0 is none), or above `i64.MAX_VALUE`. */
  int(): Box<i64> | null {
    return this.slot && isInt(this.slot) ? new Box<i64>(int(this.base, this.slot)) : null;
  }

  /** `null`: no integer (1.0 is none), or a negative one. */
  uint(): Box<u64> | null {
    return this.slot && isUint(this.base, this.slot) ? new Box<u64>(uint(this.base, this.slot)) : null;
  }

  /** Rounded where a double does not hold it. `null`: no number. */
  float(): Box<f64> | null {
    return this.slot && isNumber(this.slot) ? new Box<f64>(float(this.base, this.slot)) : null;
  }

  /** `null`: no boolean. */
  bool(): Box<bool> | null {
    if (!this.slot) return null;
    const k = kind(this.slot);
    return k == Kind.True || k == Kind.False ? new Box<bool>(k == Kind.True) : null;
  }

  isNull(): bool {
    return kind(this.slot) == Kind.Null;
  }

  isObject(): bool {
    return this.slot && kind(this.slot) == Kind.Object;
  }

  isList(): bool {
    return this.slot && kind(this.slot) == Kind.Array;
  }

  /** How many items or entries. -1: neither list nor object. */
  len(): i32 {
    return this.slot && kind(this.slot) >= Kind.Array ? <i32>length(this.slot) : -1;
  }

  /** What lies at `path` from here. `null`: nothing. */
  at(path: string): Field | null {
    const slot = findFrom(this.base, this.slot, path);
    return slot ? new Field(this.base, slot) : null;
  }

  /** The value under this very key, whatever dots it has. `null`: no object, or no such key. */
  get(key: string): Field | null {
    const slot = get(this.base, this.slot, key);
    return slot ? new Field(this.base, slot) : null;
  }

  /** `null`: no list, or a shorter one. */
  item(index: i32): Field | null {
    const slot: usize = index < 0 ? 0 : item(this.base, this.slot, <u32>index);
    return slot ? new Field(this.base, slot) : null;
  }

  /** The items of a list; of anything else, none. */
  items(): Field[] {
    if (!this.isList()) return [];
    const found = new Array<Field>(length(this.slot));
    for (let at = 0; at < found.length; at++) {
      found[at] = new Field(this.base, this.base + payload(this.slot) + <usize>at * SLOT);
    }
    return found;
  }

  /** The keys of an object in the order of the log; of anything else, none. */
  keys(): string[] {
    if (!this.isObject()) return [];
    const found = new Array<string>(length(this.slot));
    for (let at = 0; at < found.length; at++) {
      const entry = entryAt(this.base, this.slot, at);
      found[at] = decode(this.base + load<u32>(entry), load<u32>(entry, 4));
    }
    return found;
  }

  /** The values of an object in the order of its keys; of anything else, none. */
  values(): Field[] {
    if (!this.isObject()) return [];
    const found = new Array<Field>(length(this.slot));
    for (let at = 0; at < found.length; at++) {
      found[at] = new Field(this.base, this.base + payload(this.slot) + <usize>at * ENTRY + SLOT);
    }
    return found;
  }

  /** A JSON value of its own. */
  value(): Json {
    return fromPacked(this.base, this.slot);
  }

  /** As JSON text. */
  json(): string {
    return write(fromPacked(this.base, this.slot));
  }
}
