// The alert, with a name for everything in it.

import { objectOf } from "./json.js";
import { parseTime } from "./helpers.js";

const SEVERITIES = ["info", "low", "medium", "high", "critical"];

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes. */
export class Alert {
  #fields;

  constructor(fields = {}) {
    this.#fields = isObject(fields) ? fields : {};
  }

  static parse(json) {
    return new Alert(objectOf(json));
  }

  get id() {
    return this.#text("id");
  }

  get ruleName() {
    return this.#text("rule_name");
  }

  /** The finding's title, or the rule's name where it has none. */
  get title() {
    return this.#text("title") || this.ruleName;
  }

  get severity() {
    const name = this.#text("severity").toLowerCase();
    return SEVERITIES.includes(name) ? name : "medium";
  }

  get description() {
    return this.#text("rule_description");
  }

  get created() {
    return this.#text("created");
  }

  get createdAt() {
    return parseTime(this.created);
  }

  get eventTime() {
    return this.#text("event_time") || null;
  }

  get cluster() {
    return this.#text("cluster");
  }

  get logSource() {
    return this.#text("log_source");
  }

  get source() {
    const source = isObject(this.get("source")) ? this.get("source") : {};
    const text = (name) => (typeof source[name] === "string" ? source[name] : "");
    return { service: text("service"), resource: text("resource"), object: text("object") };
  }

  get context() {
    return isObject(this.get("context")) ? this.get("context") : {};
  }

  get record() {
    return this.get("record");
  }

  get references() {
    return this.#texts("references");
  }

  get tags() {
    return this.#texts("tags");
  }

  get dedupKey() {
    return this.#text("dedup_key") || null;
  }

  get outputs() {
    return this.#texts("outputs");
  }

  get staged() {
    return this.get("staged") === true;
  }

  get(name) {
    return (Object.hasOwn(this.#fields, name) ? this.#fields[name] : null) ?? null;
  }

  get fields() {
    return this.#fields;
  }

  toJSON() {
    return this.#fields;
  }

  #text(name) {
    const value = this.get(name);
    return typeof value === "string" ? value : "";
  }

  #texts(name) {
    const value = this.get(name);
    return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  }
}

/** The alert that tests begin with; all of its fields are there. */
export const sampleAlert = () => ({
  id: "3f9c1e0b7a5d4826",
  rule_name: "root_login",
  title: "Root logged in without MFA",
  severity: "high",
  rule_description: "Somebody logged in as root.",
  created: "2026-01-02T03:04:05Z",
  event_time: "2026-01-02T03:03:59Z",
  cluster: "prod",
  log_source: "cloudtrail:events",
  log_type: "json",
  source: { service: "s3", resource: "logs", object: "2026/01/02/a.json.gz" },
  position: { offset: 0, length: 120, index: 0 },
  outputs: ["sample:sample"],
  publishers: null,
  merge: null,
  dedup_key: null,
  tags: ["aws"],
  references: ["https://example.com/runbooks/root"],
  context: { account: "123456789012" },
  record: { eventName: "ConsoleLogin", sourceIPAddress: "198.51.100.7", userIdentity: { type: "Root" } },
  staged: false,
  component_digest: "",
  host_version: "0.1.0",
  fuel: 0,
});
