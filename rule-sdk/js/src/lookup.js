// Tables that the operator keeps beside the rules.

import { fakes, lookup as host } from "./host.js";
import { log, wellFormed } from "./log.js";

function find(table, key) {
  return host.get(wellFormed(table), wellFormed(key));
}

export const lookup = {
  get(table, key) {
    const text = find(table, key);
    if (text === null || text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      log.error(`lookup table ${table}, key ${key}: ${error.message}`);
      return undefined;
    }
  },

  contains(table, key) {
    const text = find(table, key);
    return text !== null && text !== undefined;
  },

  fake(table, entries) {
    fakes.set(table, entries);
  },

  forgetFakes() {
    fakes.clear();
  },
};
