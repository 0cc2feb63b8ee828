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

/** Where something lies in the payload. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

/** One line, without what ends it. */
export class Line {
  readonly bytes: Uint8Array;
  /** Of `bytes` in the payload. */
  readonly place: Place;
  /** As text; what is no UTF-8 becomes U+FFFD. */
  text(): string;
}

/** The lines of a payload, ended by `\n` or `\r\n`; the last may lack its end. */
export function lines(payload: Uint8Array): Iterable<Line>;

/** UTF-8 as text; what is none becomes U+FFFD. */
export function textOf(bytes: Uint8Array): string;

/**
 * A piece of the payload and what became of it. Parts do not overlap and do not leave the payload; several may be about the very same
 * piece, which then holds several records.
 */
export class Part implements Place {
  private constructor();
  /** A record of one of the parser's log types. */
  static record(place: Place, logType: string, record: { [key: string]: unknown }): Part;
  /** A record that is JSON already; of whichever log type fits. */
  static raw(place: Place, json: string): Part;
  /** Bytes that should be a record and are none. `reason` is for whoever reads the dead letter. */
  static error(place: Place, reason: string): Part;
  readonly offset: number;
  readonly length: number;
  /** The record's text; `null` if it is none. */
  readonly json: string | null;
  /** Why it is no record; `null` if it is one. */
  readonly reason: string | null;
}

export interface ParserOptions {
  /** What clusters call it. Without it, the name of the function. */
  name?: string;
  /** For whoever chooses a parser. */
  description?: string;
  /** The log types it makes records of, as the files of `conf/schemas` have them; an object, or its JSON text. */
  schemas: string | { [logType: string]: unknown };
  /** `"lines"`, as if left out: any number of whole lines; `"whole"`: an object as large as it is. */
  takes?: "lines" | "whole";
  /** Knows the parser's objects by their first bytes. Without it, only a cluster that names the parser gives it anything. */
  sniff?: (head: Uint8Array) => boolean;
}

/** Bytes in, parts out. What it throws is why nothing can be made of the payload. */
export type Parse = (payload: Uint8Array) => Iterable<Part>;

/** Declares the parser of a package with `"streamalert": { "world": "parser" }`, and gives its function back for tests. */
export function parser(options: ParserOptions, parse: Parse): Parse;

/** An alert. Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes. */
export class Alert {
  /** For tests. */
  constructor(fields?: { [key: string]: unknown });
  static parse(json: string): Alert;
  readonly id: string;
  readonly ruleName: string;
  /** The finding's title, or the rule's name where it has none. */
  readonly title: string;
  readonly severity: Severity;
  /** The rule's, for whoever gets the alert. */
  readonly description: string;
  /** When it was raised: RFC 3339, UTC. */
  readonly created: string;
  /** The same in seconds since 1970. */
  readonly createdAt: number | null;
  /** The time the log itself names, as written there. */
  readonly eventTime: string | null;
  readonly cluster: string;
  /** Full log type, `cloudtrail:events`. */
  readonly logSource: string;
  readonly source: { service: string; resource: string; object: string };
  /** What the rule says beside the record. */
  readonly context: { [key: string]: Json };
  /** The record it was raised on. Integers that a number would round are bigints. */
  readonly record: any;
  readonly references: string[];
  readonly tags: string[];
  /** Alerts of one rule with one key belong together. */
  readonly dedupKey: string | null;
  /** All outputs it goes to, `service:descriptor` each. */
  readonly outputs: string[];
  /** It was raised by a rule that is still on trial. */
  readonly staged: boolean;
  /** Any field by its name; `null` if there is none. */
  get(name: string): any;
  readonly fields: { [key: string]: any };
}

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
export type Publish = (alert: Alert, publication: { [key: string]: any }, target: Target) => { [key: string]: unknown };

/** Declares a publisher under the name that rules call it by. In a package with `"streamalert": { "world": "publisher" }`. */
export function publisher(about: { name?: string; description?: string }, publish: Publish): Publish;

/** What the operator says of each descriptor. Required, unless `optional()`. */
export class Setting {
  private constructor();
  /** Lies in the secret store: webhook URLs, tokens, passwords. */
  static secret(name: string, description: string): Setting;
  /** Lies in the configuration, for all to read. */
  static plain(name: string, description: string): Setting;
  optional(): Setting;
}

/** Settings with their values, secret ones among them; shown, they are names. */
export class Settings {
  constructor(values?: { [name: string]: string });
  /** The value without blanks around it; `null`: not given, or blank. */
  get(name: string): string | null;
}

/** What is wrong with a setting; `setting` is empty if it is about several. Must not repeat the value of a secret one. */
export class Fault {
  constructor(setting: string, message: string);
  readonly setting: string;
  readonly message: string;
}

export interface OutputOptions {
  /** The first half of `service:descriptor`. */
  service: string;
  /** For whoever chooses an output. */
  description?: string;
  settings?: Setting[];
  /** Hosts it calls: `api.example.com`, `*.example.com` for all below, `{url}` for the host of the URL in the setting `url`. */
  hosts?: string[];
  /** Deliveries a second that the service takes. */
  rate?: number;
  /** The service takes a parcel once, however often it is sent. */
  idempotent?: boolean;
  /** What is wrong with these settings, beyond what is checked before: required ones are there, and those of `hosts` are URLs. */
  validate?: (settings: Settings) => Fault[] | undefined | null;
}

/** One alert for one descriptor. */
export class Parcel {
  private constructor();
  /** For tests: the first attempt to deliver this alert, published as it is. What it does not say is that of a sample. */
  static sample(output: { service: string }, alert?: { [key: string]: unknown }, settings?: { [name: string]: string }): Parcel;
  readonly service: string;
  /** The second half of `service:descriptor`. */
  descriptor: string;
  /** The same for each attempt, and like no other: hand it to the service wherever that has a place for one. */
  idempotencyKey: string;
  /** 1 at first. */
  attempt: number;
  /** Seconds since 1970; a guest has no clock. */
  now: number;
  alert: Alert;
  /** The alert as the publishers left it. */
  publication: { [key: string]: any };
  /** What the last attempt left by `progress`. */
  progress: string | null;
  /** A setting, be it secret or not. `null`: not given, or blank. */
  setting(name: string): string | null;
  /** A setting that was required, so that it is there; empty if it is not. */
  required(name: string): string;
  readonly settings: Settings;
  /** `service:descriptor`. */
  readonly output: string;
  /** What a publisher says to this output: the publication's `@service.field`; `null`: nothing. */
  magic(field: string): any;
  /** The same where it is a text that says something. */
  magicText(field: string): string | null;
  /** What a publisher says to another output. */
  magicOf(service: string, field: string): any;
  /** The publication without what is said to outputs: all that people should see. */
  shown(): { [key: string]: any };
}

/** A request under construction; each method gives it back, so that they can be chained. */
export class Request {
  private constructor();
  static get(url: string): Request;
  static post(url: string): Request;
  static put(url: string): Request;
  static patch(url: string): Request;
  static delete(url: string): Request;
  static head(url: string): Request;
  method: string;
  url: string;
  headers: [string, string][];
  body: Uint8Array;
  /** One name may come several times. The host refuses `Host`, `Content-Length`, `Connection`, `Transfer-Encoding`, and line breaks. */
  header(name: string, value: string): this;
  /** Puts `name=value` behind the URL, both encoded. */
  query(name: string, value: string): this;
  /** The body, as JSON. */
  json(body: unknown): this;
  /** The body, as a form. */
  form(pairs: { [name: string]: string } | Iterable<[string, string]>): this;
  /** The body, of this content type. */
  bytes(contentType: string, body: string | Uint8Array): this;
  basic(user: string, password: string): this;
  bearer(token: string): this;
  headerValue(name: string): string | null;
  /** For tests. */
  bodyText(): string;
  /** For tests; `null` if it is no JSON. */
  bodyJson(): any;
}

/** An answer, of whatever status. */
export class Response {
  constructor(status: number, headers?: [string, string][], body?: Uint8Array, truncated?: boolean);
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: Uint8Array;
  /** The body was longer than the host allows. */
  readonly truncated: boolean;
  /** 2xx. */
  readonly isSuccess: boolean;
  header(name: string): string | null;
  text(): string;
  /** `null` if it is no JSON, or was cut. */
  json(): any;
  /** Seconds the service asks to wait. */
  readonly retryAfter: number | null;
}

/** Why there is no answer. */
export class Failure {
  constructor(kind: FailureKind, message: string, sent?: boolean);
  readonly kind: FailureKind;
  /** For people; holds no secret. */
  readonly message: string;
  /** The service may have seen the request, or a part of it. */
  readonly sent: boolean;
}

export type FailureKind = "forbidden" | "unreachable" | "tls" | "timeout" | "broken";

/** What sends requests: the host, or a `FakeHttp` in tests. */
export interface Http {
  send(request: Request): Response | Failure;
}

/** For tests: answers requests in turn and remembers them. A request beyond the script fails the test. */
export class FakeHttp implements Http {
  readonly requests: Request[];
  answer(status: number, body?: string | Uint8Array): this;
  json(status: number, body: unknown): this;
  /** A header of the answer before. */
  header(name: string, value: string): this;
  /** The next request does not get through. */
  fail(kind: FailureKind): this;
  then(outcome: Response | Failure): this;
  /** How many answers nobody has asked for yet. */
  readonly left: number;
  send(request: Request): Response | Failure;
}

/** What came of an attempt. */
export class Disposition {
  private constructor();
  readonly kind: "delivered" | "retry" | "reject";
  /** Seconds to wait, if it is a retry; the host may wait longer. */
  after(seconds: number | null): Disposition;
  /** What the next attempt finds in `parcel.progress`, if it is a retry. */
  progress(done: string): Disposition;
}

/** The service has it. The text says where, for people: a URL, an id. */
export function delivered(place?: string | null): Disposition;
/** Not now, for this reason. */
export function retry(reason: string): Disposition;
/** Never: the service refuses it, so that trying again is no use. The operator is told. */
export function reject(reason: string): Disposition;
/**
 * The usual reading of an answer: 2xx is delivered; 408, 425, 429 and 5xx are tried again after what the service asks for; so is a request
 * that did not get through, unless it was forbidden; all else is refused for good.
 */
export function answer(result: Response | Failure): Disposition;
/** The answer if it is 2xx; otherwise the output ends here, with what `answer` makes of it. */
export function accepted(result: Response | Failure): Response;

/** One attempt. */
export type Deliver = (parcel: Parcel, http: Http) => Disposition;

/** Declares the output of a package with `"streamalert": { "world": "output" }`, and gives its function for tests, with its checks. */
export function output(
  options: OutputOptions,
  deliver: Deliver,
): Deliver & { service: string; validate(settings: Settings | { [name: string]: string }): Fault[] };

/** The text if it fits, otherwise its beginning and `…`, together no longer than `max`. A letter and its accents are not parted. */
export function shorten(text: string, max: number, unit?: "chars" | "bytes" | "utf16"): string;
/** Without control characters and without what turns the direction of text around; line breaks and tabs become blanks. */
export function plain(text: string): string;
/** The text as it may stand in HTML and XML, in an attribute too. */
export function escapeHtml(text: string): string;
/** The text as it may stand anywhere in a URL: all but letters, digits and `-._~` as `%XX`. */
export function percent(text: string): string;
/** Base64 as most have it, padded; of a text, its UTF-8. */
export function base64(given: string | Uint8Array): string;

/** A URL, taken apart just enough. The host reads it again and is stricter. */
export class Url {
  private constructor();
  /** Or throws why it is none, without any of its text: a webhook's URL is a secret. */
  static parse(text: string): Url;
  /** Why a text is no URL; `null`: it is one. */
  static fault(text: string): string | null;
  readonly isHttps: boolean;
  readonly host: string;
  readonly port: number | null;
  readonly path: string;
  readonly origin: string;
}

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
