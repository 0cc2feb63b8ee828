// Requests that the host makes for an output.

import { stringify } from "./json.js";
import { wellFormed } from "./log.js";
import { bytesOf, textOf } from "./parsing.js";
import { Url, base64, percent } from "./url.js";

const value = (headers, name) => headers.find(([known]) => known.toLowerCase() === name.toLowerCase())?.[1] ?? null;

/** A request under construction. */
export class Request {
  constructor(method, url) {
    this.method = method;
    this.url = url;
    this.headers = [];
    this.body = new Uint8Array(0);
  }

  static get(url) {
    return new Request("GET", url);
  }

  static post(url) {
    return new Request("POST", url);
  }

  static put(url) {
    return new Request("PUT", url);
  }

  static patch(url) {
    return new Request("PATCH", url);
  }

  static delete(url) {
    return new Request("DELETE", url);
  }

  static head(url) {
    return new Request("HEAD", url);
  }

  header(name, value) {
    this.headers.push([String(name), String(value)]);
    return this;
  }

  query(name, value) {
    this.url += `${this.url.includes("?") ? "&" : "?"}${percent(name)}=${percent(value)}`;
    return this;
  }

  json(body) {
    return this.bytes("application/json", wellFormed(stringify(body)));
  }

  form(pairs) {
    const all = Symbol.iterator in Object(pairs) ? [...pairs] : Object.entries(pairs);
    return this.bytes("application/x-www-form-urlencoded", all.map(([name, value]) => `${percent(name)}=${percent(value)}`).join("&"));
  }

  bytes(contentType, body) {
    this.headers = this.headers.filter(([name]) => name.toLowerCase() !== "content-type");
    this.body = typeof body === "string" ? bytesOf(body) : body;
    return this.header("Content-Type", contentType);
  }

  basic(user, password) {
    return this.header("Authorization", `Basic ${base64(`${user}:${password}`)}`);
  }

  bearer(token) {
    return this.header("Authorization", `Bearer ${token}`);
  }

  headerValue(name) {
    return value(this.headers, name);
  }

  /** For tests. */
  bodyText() {
    return textOf(this.body);
  }

  /** For tests; null if it is no JSON. */
  bodyJson() {
    return asJson(this.bodyText());
  }

  /** Without what may be secret: webhooks have it in the URL, others in headers. */
  toJSON() {
    const host = Url.fault(this.url) === null ? Url.parse(this.url).host : "";
    return `${this.method} ${host} (${this.body.length} bytes)`;
  }

  toString() {
    return this.toJSON();
  }
}

function asJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** An answer, of whatever status. */
export class Response {
  constructor(status, headers = [], body = new Uint8Array(0), truncated = false) {
    this.status = status;
    this.headers = headers;
    this.body = body;
    this.truncated = truncated;
  }

  /** 2xx. */
  get isSuccess() {
    return this.status >= 200 && this.status < 300;
  }

  header(name) {
    return value(this.headers, name);
  }

  text() {
    return textOf(this.body);
  }

  /** `null` if it is no JSON, or was cut. */
  json() {
    return asJson(this.text());
  }

  /** Seconds the service asks to wait: `Retry-After` as a number, or as a date that is later than the answer's own. */
  get retryAfter() {
    const MOST = 0xffffffff;
    const after = this.header("retry-after")?.trim();
    if (!after) return null;
    if (/^\d+(\.\d*)?$|^\.\d+$/.test(after)) return Math.min(Math.ceil(Number(after)), MOST);
    const [now, then] = [this.header("date") ?? "", after].map(httpDate);
    return now === null || then === null ? null : Math.min(Math.max(then - now, 0), MOST);
  }
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Seconds since 1970 of a date as HTTP writes it. */
function httpDate(text) {
  const parts = /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/.exec(text.trim());
  if (!parts || !MONTHS.includes(parts[2])) return null;
  return Date.UTC(parts[3], MONTHS.indexOf(parts[2]), parts[1], parts[4], parts[5], parts[6]) / 1000;
}

/** Why there is no answer: `kind` is forbidden, unreachable, tls, timeout or broken. */
export class Failure {
  constructor(kind, message, sent = false) {
    this.kind = kind;
    this.message = message;
    this.sent = sent;
  }
}

const MESSAGES = {
  forbidden: "the host is not permitted",
  unreachable: "connection refused",
  tls: "the certificate does not hold",
  timeout: "the time for the delivery is up",
  broken: "the connection broke",
};

/** For tests: answers requests in turn and remembers them. A request beyond the script fails the test. */
export class FakeHttp {
  #script = [];
  requests = [];

  answer(status, body = "") {
    return this.then(new Response(status, [], typeof body === "string" ? bytesOf(body) : body));
  }

  json(status, body) {
    return this.answer(status, JSON.stringify(body)).header("Content-Type", "application/json");
  }

  header(name, value) {
    const last = this.#script.at(-1);
    if (!(last instanceof Response)) throw new Error(`there is no answer to put the header ${name} into`);
    last.headers.push([name, value]);
    return this;
  }

  fail(kind) {
    if (!Object.hasOwn(MESSAGES, kind)) throw new Error(`there is no failure ${kind}; it is one of ${Object.keys(MESSAGES).join(", ")}`);
    return this.then(new Failure(kind, MESSAGES[kind], kind === "timeout" || kind === "broken"));
  }

  then(outcome) {
    this.#script.push(outcome);
    return this;
  }

  /** How many answers nobody has asked for yet. */
  get left() {
    return this.#script.length;
  }

  send(request) {
    this.requests.push(request);
    if (!this.#script.length) throw new Error(`request ${this.requests.length} has no answer in the script`);
    return this.#script.shift();
  }
}

