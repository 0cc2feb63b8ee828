// Tables that the operator keeps beside the rules: allow lists, asset inventories, owners.

import * as abi from "./abi";
import { Json } from "./json";
import { log } from "./log";

/** Tables that a test made up; `null` outside of tests. */
let fakes: Map<string, Json> | null = null;

function find(table: string, key: string): string | null {
  const made = fakes;
  if (made === null) return abi.lookup(table, key);
  if (!made.has(table)) return null;
  const found = made.get(table).get(key);
  return found === null ? null : found.toString();
}

export namespace lookup {
  /** What is stored under `key`. `null` when the table has no such key or there is no such table; a stored null is a `Json`. */
  export function get(table: string, key: string): Json | null {
    const text = find(table, key);
    if (text === null) return null;
    const json = Json.parse(text);
    if (json === null) log.error("lookup table " + table + ", key " + key + ": no JSON");
    return json;
  }

  /** Whether the table has this key, whatever is stored there; `false` also when there is no such table. */
  export function contains(table: string, key: string): bool {
    return find(table, key) !== null;
  }

  /** For tests: what table `table` holds from now on, as the text of a JSON object of keys and values. */
  export function fake(table: string, entries: string): void {
    const json = Json.parse(entries);
    if (json === null || !json.isObject()) throw new Error("lookup.fake: " + table + " is no JSON object: " + entries);
    const made = fakes === null ? new Map<string, Json>() : fakes!;
    fakes = made;
    made.set(table, json);
  }

  /** For tests: forgets all fake tables. */
  export function forgetFakes(): void {
    fakes = null;
  }
}
