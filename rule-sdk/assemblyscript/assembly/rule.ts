// What a file of rules declares.

import { Finding, Severity } from "./finding";
import { Json } from "./json";
import { Record } from "./record";

/** Which alerts of a rule are told as one. */
export class Merge {
  /** Fields that must be equal, at any depth. Empty: alerts of one dedup key. */
  by: string[] = [];
  minutes: i32 = 0;
  /** `arrival`, or `event` for the time the log names. */
  on: string = "";
  /** `wait`, or `send` to send the first at once. */
  first: string = "";
  /** The most in one; 0: as many as the host permits. */
  max: i32 = 0;
  /** Tells nobody of fewer; 0: of any number. */
  threshold: i32 = 0;
}

/** What is said of a rule. Whatever is left out has the host's default. */
export class RuleOptions {
  /** Unique over all rules that are loaded together. */
  name: string = "";
  /** For whoever gets the alert. */
  description: string = "";
  /** Log types; a source alone stands for all of its types. */
  logs: string[] = [];
  /** Normalized names, of which a record must have a value at least of one. */
  datatypes: string[] = [];
  /** All of these must hold, or the rule is not asked. */
  when: Condition[] = [];
  /** `service:descriptor` each. */
  outputs: string[] = [];
  /** Names; or one text, a JSON object of names by output. */
  publishers: string[] = [];
  merge: Merge | null = null;
  /** A JSON object as text, which goes with each alert. */
  context: string = "";
  severity: Severity = "";
  tags: string[] = [];
  references: string[] = [];
  /** Files of test events. */
  tests: string[] = [];
}

export const enum Test {
  Equals,
  Prefix,
  Suffix,
  Contains,
  Exists,
}

/** One condition: data, not code, so that the host tests it for all rules at once. */
export class Condition {
  constructor(public readonly path: string, public readonly test: Test, public readonly values: Json[]) {}
}

function literals<T>(value: T): Json[] {
  const json = Json.of(value);
  return json.isList() ? json.items() : [json];
}

/** The value at `path` is this text, number or boolean, or one of an array of such. */
export function equals<T>(path: string, value: T): Condition {
  return new Condition(path, Test.Equals, literals(value));
}

/** The text at `path` begins with this text, or one of these. */
export function prefix<T>(path: string, text: T): Condition {
  return new Condition(path, Test.Prefix, literals(text));
}

/** The text at `path` ends with this text, or one of these. */
export function suffix<T>(path: string, text: T): Condition {
  return new Condition(path, Test.Suffix, literals(text));
}

/** This text, or one of these, occurs in the text at `path`. */
export function contains<T>(path: string, text: T): Condition {
  return new Condition(path, Test.Contains, literals(text));
}

/** Anything is at `path`, a null too. */
export function exists(path: string): Condition {
  return new Condition(path, Test.Exists, []);
}

/** A rule and its function. */
export class Rule {
  constructor(
    public readonly options: RuleOptions,
    /** Where the function object lies: its place in the table of functions stands first. */
    private readonly judge: usize,
    private readonly saysMore: bool,
  ) {}

  /** `null`: nothing to report. */
  evaluate(record: Record): Finding | null {
    return changetype<Finding | null>(this.evaluateAt(changetype<usize>(record)));
  }

  /** The same with addresses; 0: nothing to report. Functions of both kinds take an address and answer a number. */
  evaluateAt(record: usize): usize {
    const answer = call_indirect<usize>(load<u32>(this.judge), record);
    return answer && !this.saysMore ? changetype<usize>(PLAIN) : answer;
  }
}

/** What `true` stands for. */
const PLAIN = new Finding();

/** All rules of this component, in the order of their declarations. */
export const rules: Rule[] = [];

/** Declares a rule. Its function returns `bool`, `Finding`, or `Finding | null`. */
export function rule<F>(options: RuleOptions, judge: F): void {
  if (!isFunction<F>()) ERROR("a rule is a function: rule({ … }, (record: Record): bool => …)");
  if (isBoolean<ReturnType<F>>()) rules.push(new Rule(options, changetype<usize>(judge), false));
  else if (isManaged<ReturnType<F>>()) rules.push(new Rule(options, changetype<usize>(judge), true));
  else ERROR("a rule returns bool, Finding, or Finding | null");
}

/** Everything that the contract has no field of its own for, as a JSON object. */
export function optionsJson(options: RuleOptions): string {
  const json = Json.object();
  if (options.datatypes.length) json.set("datatypes", options.datatypes);
  if (options.outputs.length) json.set("outputs", options.outputs);
  const publishers = options.publishers;
  if (publishers.length == 1 && publishers[0].trimStart().startsWith("{")) {
    json.set("publishers", object(options, "publishers", publishers[0]));
  } else if (publishers.length == 1) json.set("publishers", publishers[0]);
  else if (publishers.length) json.set("publishers", publishers);
  const merge = options.merge;
  if (merge !== null) {
    const inner = Json.object().set("minutes", merge.minutes);
    if (merge.by.length) inner.set("by", merge.by);
    if (merge.on.length) inner.set("on", merge.on);
    if (merge.first.length) inner.set("first", merge.first);
    if (merge.max) inner.set("max", merge.max);
    if (merge.threshold) inner.set("threshold", merge.threshold);
    json.set("merge", inner);
  }
  if (options.context.length) json.set("context", object(options, "context", options.context));
  if (options.severity.length) json.set("severity", options.severity);
  if (options.tags.length) json.set("tags", options.tags);
  if (options.references.length) json.set("references", options.references);
  if (options.tests.length) json.set("tests", options.tests);
  return json.toString();
}

function object(options: RuleOptions, option: string, text: string): Json {
  const json = Json.parse(text);
  if (json === null || !json.isObject()) {
    throw new Error("rule " + options.name + ", " + option + ': must be a JSON object, as in \'{"team": "cloud"}\': ' + text);
  }
  return json;
}
