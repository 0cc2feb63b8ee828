// Exports `parsing` for the one parser that was declared.

import { fault, reason } from "./faults.js";
import { bigintsAreJson } from "./json.js";
import { console } from "./log.js";
import { Part, parsers } from "./parsing.js";

globalThis.console = console;
bigintsAreJson();

if (parsers.length !== 1) {
  const declared = parsers.length ? parsers.map(({ info }) => info.name).join(", ") : "none";
  throw new Error(`a package with "streamalert": { "world": "parser" } declares one parser; this one declares ${declared}`);
}
const [{ info, parse, sniff }] = parsers;

function checked(parts) {
  if (!(Symbol.iterator in Object(parts)) || typeof parts === "string") throw new TypeError("a parser returns a list of Part");
  const list = Array.isArray(parts) ? parts : [...parts];
  for (const part of list) {
    if (!(part instanceof Part)) throw new TypeError(`a parser returns a list of Part, and not ${JSON.stringify(part)} in it`);
  }
  return list;
}

export const parsing = {
  describe: () => info,

  sniff(head) {
    try {
      return sniff !== undefined && sniff(head) === true;
    } catch (error) {
      return fault(error, `${info.name}, sniff`);
    }
  },

  parse(payload) {
    try {
      return checked(parse(payload));
    } catch (error) {
      // The contract's `err`, of which the text is for people.
      throw reason(error, info.name);
    }
  },
};
