// What a file of rules declares.

import { checkSeverity } from "./finding.js";

/** All rules of this component, in the order of their declarations. */
export const rules = [];

const KNOWN = [
  "name", "description", "logs", "datatypes", "when", "outputs", "publishers", "merge", "context", "severity", "tags",
  "references", "tests",
];
/** Those that go into the contract's JSON; the others have fields of their own. */
const JSON_OPTIONS = KNOWN.filter((option) => !["name", "description", "logs", "when"].includes(option));
const LISTS = ["datatypes", "outputs", "tags", "references", "tests"];

const list = (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]);
const condition = (tag) => (path, values) => ({ path, test: { tag, val: list(values) } });

export const equals = condition("equals");
export const prefix = condition("prefix");
export const suffix = condition("suffix");
export const contains = condition("contains");
export const exists = (path) => ({ path, test: { tag: "exists" } });

export function rule(options, judge) {
  const name = options.name ?? judge.name;
  const wrong = (what) => {
    throw new TypeError(`rule ${name}: ${what}`);
  };
  if (typeof judge !== "function") wrong("the second argument is a function of the record");
  for (const option of Object.keys(options)) {
    if (!KNOWN.includes(option)) wrong(`there is no option ${option}; the options are ${KNOWN.join(", ")}`);
  }
  if (options.severity !== undefined) checkSeverity(options.severity);
  const json = {};
  for (const option of JSON_OPTIONS) {
    const value = options[option];
    if (value !== undefined) json[option] = LISTS.includes(option) ? list(value) : value;
  }
  if (json.merge?.by !== undefined) json.merge = { ...json.merge, by: list(json.merge.by) };
  const info = {
    name,
    description: options.description ?? "",
    logs: list(options.logs),
    when: (options.when ?? []).map((condition) => ({
      path: condition.path,
      test: condition.test.tag === "equals" ? { tag: "equals", val: condition.test.val.map(literal) } : condition.test,
    })),
    options: JSON.stringify(json),
  };
  rules.push({ info, judge });
  return judge;
}

function literal(value) {
  switch (typeof value) {
    case "boolean":
      return { tag: "boolean", val: value };
    case "number":
      return { tag: Number.isInteger(value) ? "integer" : "float", val: value };
    case "string":
      return { tag: "text", val: value };
    default:
      throw new TypeError(`a condition compares with a text, a number or a boolean, not with ${JSON.stringify(value)}`);
  }
}
