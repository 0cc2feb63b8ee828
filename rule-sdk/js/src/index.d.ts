/** How bad it is, after the reader has to decide what to look at first. */
export type Severity = "info" | "low" | "medium" | "high" | "critical";

/** Anything that is JSON. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * A log record. Values are found by path: `userIdentity.arn`, with `\.` for a dot inside a key (in a string: `"\\."`) and a
 * number for an item of a list, `resources.0.type`.
 *
 * Nothing is converted: a text of digits is no integer, and the integer 1 is not `true`. A record is only good until the rule
 * returns.
 */
export class Record {
  private constructor();

  /** A record for tests. */
  static fromJson(value: unknown): Record;
  /** A record for tests from JSON text. */
  static parse(text: string): Record;

  /** The text at `path`. `null`: nothing there, or something else than text. */
  text(path: string): string | null;
  /** The text at `path`, or `otherwise` where `text` has none. */
  textOr(path: string, otherwise: string): string;
  /** The integer at `path`; a bigint where a number would lose digits. `null`: nothing there, no integer (1.0 is none), or above 2^63 - 1. */
  int(path: string): number | bigint | null;
  /** The integer at `path`; a bigint where a number would lose digits. `null`: nothing there, no integer (1.0 is none), or a negative one. */
  uint(path: string): number | bigint | null;
  /** The number at `path`. `null`: nothing there, or no number. */
  float(path: string): number | null;
  /** The boolean at `path`. `null`: nothing there, or no boolean. */
  bool(path: string): boolean | null;
  /** Whether anything is at `path`, a null too. */
  exists(path: string): boolean;
  /** Whether a null is at `path`; `false` when nothing is there. */
  isNull(path: string): boolean;
  /** How many items the list, or entries the object, at `path` has. `null`: nothing there, or neither list nor object. */
  len(path: string): number | null;
  /** Whether the text at `path` is `text`; `false` when nothing is there. */
  is(path: string, text: string): boolean;
  /** Whether the text at `path` is one of these; `false` when nothing is there. */
  isAny(path: string, texts: readonly string[]): boolean;
  /** The texts of the list at `path`, passing over other items; a text counts as a list of one. */
  texts(path: string): string[];
  /** The items of the list at `path`. Nothing there, or no list: no items. */
  items(path: string): Json[];
  /** What is at `path`. `undefined`: nothing there. Integers beyond 2^53 are rounded; `int` is exact. */
  value(path: string): Json | undefined;
  /** The whole record. */
  toValue(): Json;
  /** The whole record as JSON text. */
  json(): string;
}

/** A report about one record, for rules that say more than yes. Every part may be left out; the rule's options apply then. */
export class Finding {
  /** Without a title it goes by the rule's name. */
  constructor(title?: string);
  /** What was said of it, for tests. */
  readonly parts: {
    title: string | null;
    severity: Severity | null;
    dedupKey: string | null;
    context: { [key: string]: unknown };
    outputs: string[];
  };
  /** Instead of the rule's own. */
  severity(severity: Severity): this;
  /** Alerts of this rule with the same key belong together. */
  dedupKey(key: string | number): this;
  /** Adds one entry to what goes with the alert; the same key again replaces it. Anything that is JSON; `undefined` becomes null. */
  context(key: string, value: unknown): this;
  /** Sends the alert to one more output, written `service:descriptor`. */
  output(output: string): this;
}

/** One condition of `when`. */
export interface Condition {
  readonly path: string;
  readonly test: object;
}

type Literal = string | number | boolean;

/** The value at `path` is this one, or one of these. */
export function equals(path: string, values: Literal | readonly Literal[]): Condition;
/** The text at `path` begins with this one, or one of these. */
export function prefix(path: string, texts: string | readonly string[]): Condition;
/** The text at `path` ends with this one, or one of these. */
export function suffix(path: string, texts: string | readonly string[]): Condition;
/** This text, or one of these, occurs in the text at `path`. */
export function contains(path: string, texts: string | readonly string[]): Condition;
/** Anything is at `path`, a null too. */
export function exists(path: string): Condition;

export interface RuleOptions {
  /** Unique over all rules that are loaded together. Without it, the name of the function. */
  name?: string;
  /** For whoever gets the alert. */
  description?: string;
  /** Log types; a source alone stands for all of its types. */
  logs?: string | string[];
  /** Normalized names, of which a record must have a value at least of one. */
  datatypes?: string | string[];
  /** All of these must hold, or the rule is not asked. */
  when?: Condition[];
  /** `service:descriptor` each. */
  outputs?: string | string[];
  /** A name, a list of names, or names by output. */
  publishers?: string | string[] | { [output: string]: string | string[] };
  merge?: {
    /** Fields that must be equal, at any depth. Without it: alerts of one dedup key. */
    by?: string | string[];
    minutes: number;
    on?: "arrival" | "event";
    first?: "wait" | "send";
    max?: number;
    threshold?: number;
  };
  /** Goes with each alert. */
  context?: { [key: string]: unknown };
  severity?: Severity;
  tags?: string | string[];
  references?: string | string[];
  /** Files of test events. */
  tests?: string | string[];
}

/** What a rule may return: `true` or a `Finding` reports the record. */
export type Verdict = boolean | Finding | null | undefined;

/** Declares a rule, and gives its function back for tests. */
export function rule(options: RuleOptions, judge: (record: Record) => Verdict): (record: Record) => Verdict;

/** What a publication is for. */
export class Target {
  /** From `service:descriptor`. */
  constructor(output: string);
  readonly service: string;
  readonly descriptor: string;
  /** The key by which a publisher speaks to an output of this service: `@service.field`. */
  magic(field: string): string;
}

/** The alert, the publication so far and what it is for; the answer is the publication. What it throws is why it cannot be shaped. */
export type Publish = (alert: { [key: string]: Json }, publication: { [key: string]: Json }, target: Target) => { [key: string]: unknown };

/** Declares a publisher under the name that rules call it by. In a package with `"streamalert": { "world": "publisher" }`. */
export function publisher(about: { name?: string; description?: string }, publish: Publish): Publish;

/** Lines for whoever runs the pipeline. `console.log` and its kin write there, too. */
export const log: {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
};

/** Tables that the operator keeps beside the rules. */
export const lookup: {
  /** What is stored under `key`. `undefined` when the table has no such key or there is no such table. */
  get(table: string, key: string): Json | undefined;
  /** Whether the table has this key, whatever is stored there. */
  contains(table: string, key: string): boolean;
  /** For tests: what a table holds from now on. */
  fake(table: string, entries: { [key: string]: unknown }): void;
  /** For tests: forgets all fake tables. */
  forgetFakes(): void;
};

type Text = string | null | undefined;

/** StreamAlert's helpers. `null` in the place of a text is always "no". `data` is a record, or any value of one. */
export namespace helpers {
  function startsWithAny(text: Text, needles: readonly string[]): boolean;
  function endsWithAny(text: Text, needles: readonly string[]): boolean;
  function containsAny(text: Text, needles: readonly string[]): boolean;
  /** `*` any characters, `?` one, `[a-z]` one of these, `[!a]` any but these; there is no escape: `[*]` is a star. */
  function matchesAny(text: Text, patterns: readonly string[]): boolean;
  /** The same part by part of a path; a pattern that does not begin with `/` matches from the right. */
  function pathMatchesAny(path: Text, patterns: readonly string[]): boolean;
  /** JSON text as a value. An empty object for what is no JSON. */
  function safeJson(text: Text): Json;
  /** All values under `key` at any depth, the outermost first, `max` at most. */
  function getKeys(data: unknown, key: string, max?: number): Json[];
  /** The first of `getKeys`; `undefined`: there is no such key. */
  function getFirstKey(data: unknown, key: string): Json | undefined;
  /** Whether some value, at any depth, equals this one. Keys do not count. */
  function hasValue(data: unknown, value: Json): boolean;
  function hasValueWithSubstring(data: unknown, needle: string): boolean;
  function hasValueFromList(data: unknown, patterns: readonly string[]): boolean;
  function hasValueFromSubstringList(data: unknown, needles: readonly string[]): boolean;
  /** Networks are written `10.0.0.0/8`, `2001:db8::/32`, or as a single address. */
  function inNetwork(ip: Text, networks: readonly string[]): boolean;
  function validIp(ip: Text): boolean;
  function isPublicIp(ip: Text): boolean;
  function isPrivateIp(ip: Text): boolean;
  /** Networks read once, for a constant in a rule file. */
  class Networks {
    constructor(networks: readonly string[]);
    contain(ip: Text): boolean;
  }
  /** Whether `time` lies within the last `hours` before `now`, the ends included; both in seconds since 1970. */
  function lastHour(time: number | null, now: number | null, hours?: number): boolean;
  /** Seconds since 1970 of an RFC 3339 text. `null`: no such text, or one without a time zone. */
  function parseTime(text: Text): number | null;
  /** The time at `path` in seconds since 1970: an RFC 3339 text, or a number of seconds. */
  function eventTime(record: Record, path: string): number | null;
  /** How many seconds after the time at `from` the time at `to` lies. */
  function secondsBetween(record: Record, from: string, to: string): number | null;
}
