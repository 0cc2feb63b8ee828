// JSON beyond what JavaScript has: BigInt goes out as digits, what the host gives comes in even if a number is beyond a double.

import { wellFormed } from "./log.js";

/** Stands before the digits of a BigInt until the text is written, where JSON cannot be told to take them as they are. */
const MARK = "\0bigint:";

/** As JSON text. `int` may give a BigInt, which JSON does not know. */
export function stringify(value) {
  try {
    // Without a function that is asked about each value it takes half the time.
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  let marked = false;
  const text = JSON.stringify(value, (_key, value) => {
    if (typeof value !== "bigint") return value;
    if (JSON.rawJSON) return JSON.rawJSON(String(value));
    marked = true;
    return `${MARK}${value}`;
  });
  return marked ? text.replace(/"\\u0000bigint:(-?\d+)"/g, "$1") : text;
}

/** In a component, which has all of JavaScript to itself: no fault has to be caught and nothing done twice. */
export function bigintsAreJson() {
  BigInt.prototype.toJSON = function () {
    return JSON.rawJSON(String(this));
  };
}

/** An object as JSON text. */
export function reading(value) {
  const object = value !== null && typeof value === "object" && !Array.isArray(value);
  const text = object ? stringify(value) : undefined;
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
