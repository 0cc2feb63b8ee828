// Reading a log record.

import { records } from "./host.js";
import { exact } from "./packed.js";
import { walk } from "./path.js";

const INT_MAX = 2n ** 63n - 1n;

/** The packed buffer of the batch at work, if it was needed. */
let packed = null;

/** Another batch comes: what was fetched of the last one is not true of it. */
export function forget() {
  packed = null;
}

/** A row of the host's. What was read last is kept: rules ask `exists` and then `text`, and a text may be large. */
class HostRow {
  #path;
  #value;

  constructor(row) {
    this.row = row;
  }

  get(path) {
    if (path !== this.#path) {
      this.#value = records.get(this.row, path);
      this.#path = path;
    }
    return this.#value;
  }

  json() {
    return records.json(this.row);
  }

  exact(path) {
    packed ??= records.packed();
    return exact(packed, this.row, path);
  }
}

/** A value of a test, told apart in the same way as by the host. */
class TestRow {
  constructor(value) {
    this.value = value;
  }

  get(path) {
    const found = walk(this.value, path);
    switch (typeof found) {
      case "undefined":
        return { tag: "absent" };
      case "boolean":
        return { tag: "boolean", val: found };
      case "string":
        return { tag: "text", val: found };
      case "number":
        return { tag: Number.isInteger(found) ? "integer" : "float", val: found };
      case "bigint":
        return found > INT_MAX ? { tag: "text", val: String(found) } : { tag: "integer", val: Number(found) };
      default:
        return { tag: "json", val: this.json(found) };
    }
  }

  json(value = this.value) {
    return JSON.stringify(value, (_key, inner) => (typeof inner === "bigint" ? Number(inner) : inner));
  }

  exact(path) {
    const found = walk(this.value, path);
    return typeof found === "bigint" ? found : Number.isInteger(found) ? BigInt(found) : null;
  }
}

export class Record {
  #row;

  constructor(row) {
    this.#row = row;
  }

  /** For the component. */
  static of(row) {
    return new Record(new HostRow(row));
  }

  static fromJson(value) {
    return new Record(new TestRow(value));
  }

  static parse(text) {
    return Record.fromJson(JSON.parse(text));
  }

  text(path) {
    const { tag, val } = this.#row.get(path);
    if (tag !== "text") return null;
    // An integer above the signed range comes as text, too.
    return isLong(val) && typeof this.#row.exact(path) === "bigint" ? null : val;
  }

  textOr(path, otherwise) {
    return this.text(path) ?? otherwise;
  }

  int(path) {
    const { tag, val } = this.#row.get(path);
    if (tag !== "integer") return null;
    return Number.isSafeInteger(val) ? val : this.#row.exact(path);
  }

  uint(path) {
    const { tag, val } = this.#row.get(path);
    if (tag === "integer") {
      if (val < 0) return null;
      return Number.isSafeInteger(val) ? val : this.#row.exact(path);
    }
    if (tag !== "text" || !isLong(val)) return null;
    const found = this.#row.exact(path);
    return typeof found === "bigint" ? found : null;
  }

  float(path) {
    const { tag, val } = this.#row.get(path);
    if (tag === "integer" || tag === "float") return Number(val);
    if (tag !== "text" || !/^-?\d[\d.eE+-]*$/.test(val)) return null;
    return this.#row.exact(path) === null ? null : Number(val);
  }

  bool(path) {
    const { tag, val } = this.#row.get(path);
    return tag === "boolean" ? val : null;
  }

  exists(path) {
    return this.#row.get(path).tag !== "absent";
  }

  isNull(path) {
    const { tag, val } = this.#row.get(path);
    return tag === "json" && val === "null";
  }

  len(path) {
    const value = this.value(path);
    if (value === null || typeof value !== "object") return null;
    return Array.isArray(value) ? value.length : Object.keys(value).length;
  }

  is(path, text) {
    return this.text(path) === text;
  }

  isAny(path, texts) {
    const found = this.text(path);
    return found !== null && texts.includes(found);
  }

  texts(path) {
    const value = this.value(path);
    if (typeof value === "string") return [value];
    return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  }

  items(path) {
    const value = this.value(path);
    return Array.isArray(value) ? value : [];
  }

  value(path) {
    const { tag, val } = this.#row.get(path);
    if (tag === "absent") return undefined;
    if (tag === "json") return JSON.parse(val);
    if (tag === "text" && isLong(val)) {
      const found = this.#row.exact(path);
      return typeof found === "bigint" ? Number(found) : val;
    }
    return val;
  }

  toValue() {
    return JSON.parse(this.#row.json());
  }

  json() {
    return this.#row.json();
  }

  toJSON() {
    return this.toValue();
  }
}

/** Whether a text may be an integer above the signed range. */
function isLong(text) {
  return (text.length === 19 || text.length === 20) && /^\d+$/.test(text);
}
