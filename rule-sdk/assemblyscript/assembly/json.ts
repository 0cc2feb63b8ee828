// JSON values: what tables hold, what goes along with a finding, and records for tests.

import { ENTRY, Kind, SLOT, decode, entryAt, float, int, item, kind, length, text, uint } from "./packed";

const enum Is {
  Null,
  Bool,
  Int,
  Uint,
  Float,
  Text,
  List,
  Object,
}

/** How deep lists and objects may lie in one another; deeper text is no JSON to us. */
const DEPTH_MAX = 128;

/** What is neither list nor object has these. */
const NO_VALUES: Json[] = [];
const NO_NAMES: string[] = [];

/** A JSON value. Integers of up to 64 bits are exact. */
export class Json {
  private kind: Is = Is.Null;
  private bits: u64 = 0;
  private string: string = "";
  private list: Json[] = NO_VALUES;
  private names: string[] = NO_NAMES;

  /** JSON text as a value. `null`: it is no JSON. */
  static parse(text: string): Json | null {
    return new Parser(text).whole();
  }

  static null(): Json {
    return new Json();
  }

  static object(): Json {
    const json = new Json();
    json.kind = Is.Object;
    json.list = [];
    json.names = [];
    return json;
  }

  static list(): Json {
    const json = new Json();
    json.kind = Is.List;
    json.list = [];
    return json;
  }

  /** A text, number, boolean, `Json`, or an array of those. */
  static of<T>(value: T): Json {
    if (isNullable<T>()) {
      if (changetype<usize>(value) == 0) return new Json();
    }
    const json = new Json();
    if (isString<T>()) {
      json.kind = Is.Text;
      json.string = changetype<string>(value);
    } else if (isArray<T>()) {
      json.kind = Is.List;
      json.list = [];
      for (let at = 0; at < value.length; at++) json.list.push(Json.of(value[at]));
    } else if (isManaged<T>()) {
      if (!(value instanceof Json)) ERROR("Json.of takes a text, a number, a boolean, a Json, or an array of those");
      return changetype<Json>(value);
    } else if (isBoolean<T>()) {
      json.kind = Is.Bool;
      json.bits = value ? 1 : 0;
    } else if (isFloat<T>()) {
      json.kind = Is.Float;
      json.bits = reinterpret<u64>(<f64>value);
    } else if (isSigned<T>()) {
      json.kind = Is.Int;
      json.bits = <u64>(<i64>value);
    } else {
      json.kind = Is.Uint;
      json.bits = <u64>value;
    }
    return json;
  }

  /** Sets one entry of an object; the same key again replaces it. */
  set<T>(key: string, value: T): this {
    assert(this.kind == Is.Object, "Json.set: not an object");
    const at = this.names.indexOf(key);
    if (at >= 0) this.list[at] = Json.of(value);
    else {
      this.names.push(key);
      this.list.push(Json.of(value));
    }
    return this;
  }

  /** Takes one entry out of an object. */
  delete(key: string): this {
    const at = this.names.indexOf(key);
    if (at >= 0) {
      this.names.splice(at, 1);
      this.list.splice(at, 1);
    }
    return this;
  }

  /** Adds one item to a list. */
  push<T>(value: T): this {
    assert(this.kind == Is.List, "Json.push: not a list");
    this.list.push(Json.of(value));
    return this;
  }

  isNull(): bool {
    return this.kind == Is.Null;
  }

  isObject(): bool {
    return this.kind == Is.Object;
  }

  isList(): bool {
    return this.kind == Is.List;
  }

  /** `null`: no text. */
  text(): string | null {
    return this.kind == Is.Text ? this.string : null;
  }

  textOr(otherwise: string): string {
    return this.kind == Is.Text ? this.string : otherwise;
  }

  isInt(): bool {
    return this.kind == Is.Int || (this.kind == Is.Uint && <i64>this.bits >= 0);
  }

  /** The integer, or `otherwise` where it is none. */
  intOr(otherwise: i64): i64 {
    return this.isInt() ? <i64>this.bits : otherwise;
  }

  isUint(): bool {
    return this.kind == Is.Uint || (this.kind == Is.Int && <i64>this.bits >= 0);
  }

  /** The integer, or `otherwise` where it is none or negative. */
  uintOr(otherwise: u64): u64 {
    return this.isUint() ? this.bits : otherwise;
  }

  isNumber(): bool {
    return this.kind >= Is.Int && this.kind <= Is.Float;
  }

  /** The number, or `otherwise` where it is none. */
  floatOr(otherwise: f64): f64 {
    if (this.kind == Is.Float) return reinterpret<f64>(this.bits);
    if (this.kind == Is.Int) return <f64>(<i64>this.bits);
    return this.kind == Is.Uint ? <f64>this.bits : otherwise;
  }

  isBool(): bool {
    return this.kind == Is.Bool;
  }

  /** The boolean, or `otherwise` where it is none. */
  boolOr(otherwise: bool): bool {
    return this.kind == Is.Bool ? this.bits != 0 : otherwise;
  }

  /** How many items or entries. -1: neither list nor object. */
  len(): i32 {
    return this.kind >= Is.List ? this.list.length : -1;
  }

  /** The value under this key. `null`: no object, or no such key. */
  get(key: string): Json | null {
    const at = this.names.indexOf(key);
    return at < 0 ? null : this.list[at];
  }

  /** `null`: no list, or a shorter one. */
  item(index: i32): Json | null {
    return this.kind == Is.List && index >= 0 && index < this.list.length ? this.list[index] : null;
  }

  /** The items of a list; of anything else, none. */
  items(): Json[] {
    return this.kind == Is.List ? this.list : [];
  }

  /** The keys of an object; of anything else, none. */
  keys(): string[] {
    return this.names;
  }

  /** The values of an object in the order of its keys; of anything else, none. */
  values(): Json[] {
    return this.kind == Is.Object ? this.list : [];
  }

  /** Equal kinds and values; numbers by their value, objects whatever the order of their keys. */
  equals(other: Json): bool {
    if (this.isNumber() && other.isNumber()) {
      if (this.kind != Is.Float && other.kind != Is.Float) {
        return this.bits == other.bits && (this.kind == other.kind || <i64>this.bits >= 0);
      }
      return this.floatOr(0) == other.floatOr(0);
    }
    if (this.kind != other.kind) return false;
    if (this.kind == Is.Text) return this.string == other.string;
    if (this.kind < Is.List) return this.bits == other.bits;
    if (this.list.length != other.list.length) return false;
    for (let at = 0; at < this.list.length; at++) {
      const there = this.kind == Is.List ? other.list[at] : other.get(this.names[at]);
      if (there === null || !this.list[at].equals(there)) return false;
    }
    return true;
  }

  /** As JSON text. */
  toString(): string {
    return write(this);
  }

  /** Appends JSON text to `out`. */
  write(out: string[]): void {
    switch (this.kind) {
      case Is.Null:
        out.push("null");
        break;
      case Is.Bool:
        out.push(this.bits ? "true" : "false");
        break;
      case Is.Int:
        out.push((<i64>this.bits).toString());
        break;
      case Is.Uint:
        out.push(this.bits.toString());
        break;
      case Is.Float: {
        const number = reinterpret<f64>(this.bits);
        out.push(isFinite(number) ? number.toString() : "null");
        break;
      }
      case Is.Text:
        out.push(quote(this.string));
        break;
      case Is.List: {
        out.push("[");
        for (let at = 0; at < this.list.length; at++) {
          if (at > 0) out.push(",");
          this.list[at].write(out);
        }
        out.push("]");
        break;
      }
      default: {
        out.push("{");
        for (let at = 0; at < this.list.length; at++) {
          if (at > 0) out.push(",");
          out.push(quote(this.names[at]));
          out.push(":");
          this.list[at].write(out);
        }
        out.push("}");
      }
    }
  }

  /** Packs it at `base + at`, where a slot is; texts and containers go to the end of `into`. */
  packInto(into: Packer, at: u32): void {
    switch (this.kind) {
      case Is.Null:
        return into.slot(at, Kind.Null, 0, 0);
      case Is.Bool:
        return into.slot(at, this.bits ? Kind.True : Kind.False, 0, 0);
      case Is.Int:
      case Is.Uint: {
        const signed = <i64>this.bits;
        if (this.kind == Is.Uint && signed < 0) return into.slot(at, Kind.U64, 0, into.eight(this.bits));
        if (signed == <i64>(<i32>signed)) return into.slot(at, Kind.I32, 0, <u32>signed);
        return into.slot(at, Kind.I64, 0, into.eight(this.bits));
      }
      case Is.Float:
        return into.slot(at, Kind.F64, 0, into.eight(this.bits));
      case Is.Text: {
        const from = into.text(this.string);
        return into.slot(at, Kind.Text, into.end - from, from);
      }
      case Is.List: {
        const count = this.list.length;
        const from = into.room(<u32>count * <u32>SLOT);
        into.slot(at, Kind.Array, count, from);
        for (let index = 0; index < count; index++) this.list[index].packInto(into, from + <u32>index * <u32>SLOT);
        return;
      }
      default: {
        const count = this.list.length;
        const from = into.room(<u32>count * <u32>ENTRY);
        into.slot(at, Kind.Object, count, from);
        for (let index = 0; index < count; index++) {
          const entry = from + <u32>index * <u32>ENTRY;
          const key = into.text(this.names[index]);
          store<u32>(into.base + entry, key);
          store<u32>(into.base + entry, into.end - key, 4);
          this.list[index].packInto(into, entry + <u32>SLOT);
        }
      }
    }
  }
}

export function write(json: Json): string {
  const out: string[] = [];
  json.write(out);
  return out.join("");
}

const HEX = "0123456789abcdef";

/** A text as JSON writes it. */
export function quote(text: string): string {
  let plain = true;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit == 0x22 || unit == 0x5c) {
      plain = false;
      break;
    }
  }
  if (plain) return '"' + text + '"';
  const out: string[] = ['"'];
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x20 && unit != 0x22 && unit != 0x5c) continue;
    out.push(text.substring(from, at));
    if (unit == 0x22) out.push('\\"');
    else if (unit == 0x5c) out.push("\\\\");
    else if (unit == 0x0a) out.push("\\n");
    else if (unit == 0x0d) out.push("\\r");
    else if (unit == 0x09) out.push("\\t");
    else out.push("\\u00" + HEX.charAt(unit >> 4) + HEX.charAt(unit & 15));
    from = at + 1;
  }
  out.push(text.substring(from));
  out.push('"');
  return out.join("");
}

/** A packed value as one of its own. */
export function fromPacked(base: usize, slot: usize): Json {
  switch (kind(slot)) {
    case Kind.Null:
      return Json.null();
    case Kind.False:
      return Json.of(false);
    case Kind.True:
      return Json.of(true);
    case Kind.I32:
    case Kind.I64:
      return Json.of(int(base, slot));
    case Kind.U64:
      return Json.of(uint(base, slot));
    case Kind.F64:
      return Json.of(float(base, slot));
    case Kind.Array: {
      const list = Json.list();
      for (let at: u32 = 0; at < length(slot); at++) list.push(fromPacked(base, item(base, slot, at)));
      return list;
    }
    case Kind.Object: {
      const object = Json.object();
      for (let at: u32 = 0; at < length(slot); at++) {
        const entry = entryAt(base, slot, at);
        object.set(decode(base + load<u32>(entry), load<u32>(entry, 4)), fromPacked(base, entry + SLOT));
      }
      return object;
    }
    default:
      return Json.of(text(base, slot));
  }
}

/** Bytes before the texts and containers of a record. */
const HEADER: u32 = 16;

/** Writes a packed record. */
class Packer {
  base: usize = heap.alloc(1024);
  private capacity: u32 = 1024;
  end: u32 = HEADER;

  /** Offset of so many bytes at the end. */
  room(bytes: u32): u32 {
    const from = this.end;
    this.end += bytes;
    if (this.end > this.capacity) {
      this.capacity = max(this.capacity * 2, this.end);
      this.base = heap.realloc(this.base, this.capacity);
    }
    return from;
  }

  slot(at: u32, kind: Kind, length: u32, payload: u32): void {
    store<u32>(this.base + at, length << 4 | kind);
    store<u32>(this.base + at, payload, 4);
  }

  eight(bits: u64): u32 {
    const from = this.room(8);
    store<u64>(this.base + from, bits);
    return from;
  }

  text(text: string): u32 {
    const utf8 = String.UTF8.encode(text);
    const from = this.room(utf8.byteLength);
    memory.copy(this.base + from, changetype<usize>(utf8), utf8.byteLength);
    return from;
  }
}

/** The address of a packed record, which is never freed: for tests. */
export function pack(json: Json): usize {
  const packer = new Packer();
  json.packInto(packer, 0);
  store<u32>(packer.base, packer.end, 8);
  store<u32>(packer.base, 0, 12);
  return packer.base;
}

/** JSON text, RFC 8259. */
class Parser {
  private at: i32 = 0;
  private wrong: bool = false;

  constructor(private text: string) {}

  whole(): Json | null {
    const json = this.value(0);
    this.space();
    return this.wrong || this.at < this.text.length ? null : json;
  }

  private peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1;
  }

  private space(): void {
    for (;;) {
      const unit = this.peek();
      if (unit != 0x20 && unit != 0x0a && unit != 0x0d && unit != 0x09) return;
      this.at++;
    }
  }

  /** Whether the next character is this one, which is then behind us. */
  private eat(unit: i32): bool {
    if (this.peek() != unit) return false;
    this.at++;
    return true;
  }

  private word(word: string): bool {
    if (this.text.substr(this.at, word.length) != word) return false;
    this.at += word.length;
    return true;
  }

  private fail(): Json {
    this.wrong = true;
    return Json.null();
  }

  private value(depth: i32): Json {
    if (depth > DEPTH_MAX) return this.fail();
    this.space();
    switch (this.peek()) {
      case 0x22:
        return Json.of(this.string());
      case 0x5b:
        return this.items(depth);
      case 0x7b:
        return this.entries(depth);
      case 0x74:
        return this.word("true") ? Json.of(true) : this.fail();
      case 0x66:
        return this.word("false") ? Json.of(false) : this.fail();
      case 0x6e:
        return this.word("null") ? Json.null() : this.fail();
      default:
        return this.number();
    }
  }

  private items(depth: i32): Json {
    const list = Json.list();
    this.at++;
    this.space();
    if (this.eat(0x5d)) return list;
    while (!this.wrong) {
      list.push(this.value(depth + 1));
      this.space();
      if (this.eat(0x5d)) return list;
      if (!this.eat(0x2c)) return this.fail();
    }
    return list;
  }

  private entries(depth: i32): Json {
    const object = Json.object();
    this.at++;
    this.space();
    if (this.eat(0x7d)) return object;
    while (!this.wrong) {
      this.space();
      if (this.peek() != 0x22) return this.fail();
      const key = this.string();
      this.space();
      if (!this.eat(0x3a)) return this.fail();
      object.set(key, this.value(depth + 1));
      this.space();
      if (this.eat(0x7d)) return object;
      if (!this.eat(0x2c)) return this.fail();
    }
    return object;
  }

  private digits(): i32 {
    const from = this.at;
    while (this.peek() >= 0x30 && this.peek() <= 0x39) this.at++;
    return this.at - from;
  }

  private number(): Json {
    const from = this.at;
    const negative = this.eat(0x2d);
    const first = this.at;
    const leading = this.digits();
    if (leading == 0 || (leading > 1 && this.text.charCodeAt(first) == 0x30)) return this.fail();
    let whole = true;
    if (this.eat(0x2e)) {
      whole = false;
      if (this.digits() == 0) return this.fail();
    }
    if (this.eat(0x65) || this.eat(0x45)) {
      whole = false;
      if (!this.eat(0x2b)) this.eat(0x2d);
      if (this.digits() == 0) return this.fail();
    }
    // 19 digits fit 64 bits for certain; 20 are compared as text.
    if (whole && (leading < 20 || (leading == 20 && !negative && this.text.substring(first, this.at) <= "18446744073709551615"))) {
      const size = U64.parseInt(this.text.substring(first, this.at));
      if (!negative) return Json.of(size);
      if (size <= <u64>i64.MAX_VALUE + 1) return Json.of(<i64>(0 - size));
    }
    const number = parseFloat(this.text.substring(from, this.at));
    return isFinite(number) ? Json.of(number) : this.fail();
  }

  private hex(): i32 {
    let unit = 0;
    for (let count = 0; count < 4; count++) {
      const digit = this.peek();
      this.at++;
      if (digit >= 0x30 && digit <= 0x39) unit = unit << 4 | digit - 0x30;
      else if ((digit | 0x20) >= 0x61 && (digit | 0x20) <= 0x66) unit = unit << 4 | (digit | 0x20) - 0x57;
      else {
        this.wrong = true;
        return 0;
      }
    }
    return unit;
  }

  private string(): string {
    let from = ++this.at;
    let out = "";
    while (!this.wrong) {
      const unit = this.peek();
      if (unit < 0x20) {
        this.wrong = true;
        break;
      }
      if (unit != 0x22 && unit != 0x5c) {
        this.at++;
        continue;
      }
      out += this.text.substring(from, this.at);
      this.at++;
      if (unit == 0x22) return out;
      const escaped = this.peek();
      this.at++;
      switch (escaped) {
        case 0x22:
        case 0x5c:
        case 0x2f:
          out += String.fromCharCode(escaped);
          break;
        case 0x62:
          out += "\b";
          break;
        case 0x66:
          out += "\f";
          break;
        case 0x6e:
          out += "\n";
          break;
        case 0x72:
          out += "\r";
          break;
        case 0x74:
          out += "\t";
          break;
        case 0x75:
          out += String.fromCharCode(this.hex());
          break;
        default:
          this.wrong = true;
      }
      from = this.at;
    }
    return out;
  }
}
