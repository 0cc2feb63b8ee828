// What a rule reports.

import { Json } from "./json";

/** How bad it is, after the reader has to decide what to look at first: `info`, `low`, `medium`, `high` or `critical`. */
export type Severity = string;

const SEVERITIES: Severity[] = ["info", "low", "medium", "high", "critical"];

/** Its place from the least on. */
export function severityNumber(severity: Severity): i32 {
  const number = SEVERITIES.indexOf(severity);
  if (number < 0) throw new Error("there is no severity " + severity + "; it is one of " + SEVERITIES.join(", "));
  return number;
}

/** Most findings name no outputs: they share this. */
const NONE: string[] = [];

/** A report about one record, for rules that say more than yes. Every part may be left out; the rule's options apply then. */
export class Finding {
  private _severity: Severity | null = null;
  private _dedupKey: string | null = null;
  private _context: Json | null = null;
  private _outputs: string[] = NONE;

  /** A finding under this title. Without one it goes by the rule's name. */
  constructor(public readonly title: string | null = null) {}

  /** Instead of the rule's own: `info`, `low`, `medium`, `high` or `critical`. */
  severity(severity: Severity): this {
    severityNumber(severity);
    this._severity = severity;
    return this;
  }

  /** Alerts of this rule with the same key belong together. */
  dedupKey(key: string): this {
    this._dedupKey = key;
    return this;
  }

  /** Adds one entry to what goes with the alert; the same key again replaces it. */
  context<T>(key: string, value: T): this {
    const context = this._context;
    if (context !== null) context.set(key, value);
    else this._context = Json.object().set(key, value);
    return this;
  }

  /** Sends the alert to one more output, written `service:descriptor`. */
  output(output: string): this {
    if (this._outputs === NONE) this._outputs = [];
    this._outputs.push(output);
    return this;
  }

  /** What was said of it, for tests. */
  getSeverity(): Severity | null {
    return this._severity;
  }

  getDedupKey(): string | null {
    return this._dedupKey;
  }

  getContext(): Json | null {
    return this._context;
  }

  getOutputs(): string[] {
    return this._outputs;
  }
}
