// Whose fault it is that something was thrown.

import { log, wellFormed } from "./log.js";

/** Mistakes in the code; SyntaxError is none of them, since JSON.parse throws it about what it was given. */
const MISTAKES = ["TypeError", "RangeError", "ReferenceError", "InternalError", "EvalError", "URIError"];

/**
 * What was thrown as the reason that the contract's `err` carries. A mistake of the author's is no reason: it goes to the log with
 * its stack, and the call ends in a trap, as it does in other languages.
 */
export function reason(error, about) {
  if (error instanceof Error && MISTAKES.includes(error.name)) fault(error, about);
  return wellFormed(error instanceof Error ? error.message : String(error));
}

/** Ends the call; a trap carries no text, so it goes into the log first. */
export function fault(error, about) {
  log.error(`${about}: ${error}${error?.stack ? `\n${error.stack}` : ""}`);
  trap();
}

/** Where the contract has an `err`, all but a text ends in a trap. */
function trap() {
  throw 0;
}
