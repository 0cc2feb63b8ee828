// Looking for keys and values at any depth of a record.

import { Json } from "../json";
import { Field } from "../record";
import { matches } from "./text";

/** What the pipeline adds to a record about its values; they would be found twice. */
const NORMALIZATION = "streamalert_normalization";

export function getKeys(data: Field, key: string, max: i32): Field[] {
  const found: Field[] = [];
  const waiting: Field[] = [data];
  for (let next = 0; next < waiting.length && found.length < max; next++) {
    const field = waiting[next];
    const here = field.get(key);
    if (here !== null) found.push(here);
    const keys = field.keys();
    const inside = field.isList() ? field.items() : field.values();
    for (let at = 0; at < inside.length; at++) {
      if (inside[at].len() > 0 && (at >= keys.length || keys[at] != NORMALIZATION)) waiting.push(inside[at]);
    }
  }
  return found;
}

/** A question about one value. */
abstract class Question {
  abstract fits(field: Field): bool;

  /** Whether the field itself or anything in it fits. */
  any(field: Field): bool {
    if (this.fits(field)) return true;
    const inside = field.isList() ? field.items() : field.values();
    for (let at = 0; at < inside.length; at++) {
      if (this.any(inside[at])) return true;
    }
    return false;
  }
}

class Equal extends Question {
  constructor(private value: Json) {
    super();
  }

  fits(field: Field): bool {
    return field.value().equals(this.value);
  }
}

class Substring extends Question {
  constructor(private needles: string[], private orEmpty: bool) {
    super();
  }

  fits(field: Field): bool {
    const text = field.text();
    if (text === null || (!text.length && !this.orEmpty)) return false;
    for (let at = 0; at < this.needles.length; at++) {
      if (text.includes(this.needles[at])) return true;
    }
    return false;
  }
}

class Pattern extends Question {
  constructor(private patterns: string[]) {
    super();
  }

  fits(field: Field): bool {
    const text = field.text();
    if (text === null || !text.length) return false;
    for (let at = 0; at < this.patterns.length; at++) {
      if (matches(text, this.patterns[at])) return true;
    }
    return false;
  }
}

export function hasValue(data: Field, value: Json): bool {
  return new Equal(value).any(data);
}

export function hasValueWithSubstring(data: Field, needle: string): bool {
  return new Substring([needle], true).any(data);
}

export function hasValueFromList(data: Field, patterns: string[]): bool {
  return new Pattern(patterns).any(data);
}

export function hasValueFromSubstringList(data: Field, needles: string[]): bool {
  return new Substring(needles, false).any(data);
}
