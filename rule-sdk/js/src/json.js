// JSON beyond what JavaScript has: BigInt goes out as digits, what the host gives comes in even if a number is beyond a double.

import { wellFormed } from "./log.js";

/** `int` may give a BigInt, which JSON does not know. */
export function numbers(_key, value) {
  return typeof value === "bigint" ? (JSON.rawJSON ? JSON.rawJSON(String(value)) : Number(value)) : value;
}

/** An object as JSON text. */
export function reading(value) {
  const object = value !== null && typeof value === "object" && !Array.isArray(value);
  const text = object ? JSON.stringify(value, numbers) : undefined;
  if (text === undefined) throw new TypeError(`a record is an object, not ${Array.isArray(value) ? "a list" : String(value)}`);
  return wellFormed(text);
}

/** Whether there may be a number in it that a double does not hold. */
const WIDE = /\d{16}|\d[eE]\+?\d\d\d/;

/** An integer that a number would round becomes a BigInt, and what is beyond a double the text that it was. */
function exactly(_key, value, context) {
  if (typeof value !== "number" || Number.isSafeInteger(value) || context?.source === undefined) return value;
  if (/^-?\d+$/.test(context.source)) return BigInt(context.source);
  return Number.isFinite(value) ? value : context.source;
}

/** An object from its JSON text. */
export function objectOf(text) {
  const value = WIDE.test(text) ? JSON.parse(text, exactly) : JSON.parse(text);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new SyntaxError("this is no JSON object");
  return value;
}
