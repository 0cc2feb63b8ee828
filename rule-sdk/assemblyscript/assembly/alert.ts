// The alert, with a name for everything in it.

import { parseTime } from "./helpers/time";
import { Json } from "./json";

const SEVERITIES = ["info", "low", "medium", "high", "critical"];

/** Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes. Empty: it does not say. */
export class Alert {
  /** From what a publisher is given. */
  constructor(public readonly json: Json) {}

  get id(): string {
    return this.text("id");
  }

  get ruleName(): string {
    return this.text("rule_name");
  }

  /** The finding's title, or the rule's name where it has none. */
  get title(): string {
    const title = this.text("title");
    return title == "" ? this.ruleName : title;
  }

  get severity(): string {
    const name = this.text("severity").toLowerCase();
    return SEVERITIES.includes(name) ? name : "medium";
  }

  /** The rule's, for whoever gets the alert. */
  get description(): string {
    return this.text("rule_description");
  }

  /** When it was raised: RFC 3339, UTC. */
  get created(): string {
    return this.text("created");
  }

  /** The same in seconds since 1970; -1: it does not say. */
  get createdAt(): i64 {
    const seconds = parseTime(this.created);
    return seconds === null ? -1 : seconds.value;
  }

  /** The time the log itself names, as written there. */
  get eventTime(): string {
    return this.text("event_time");
  }

  get cluster(): string {
    return this.text("cluster");
  }

  /** Full log type, `cloudtrail:events`. */
  get logSource(): string {
    return this.text("log_source");
  }

  /** `service`, `resource` or `object` of where the log came from. */
  sourcePart(name: string): string {
    const part = this.get("source").get(name);
    return part === null ? "" : part.textOr("");
  }

  /** What the rule says beside the record. */
  get context(): Json {
    const context = this.get("context");
    return context.isObject() ? context : Json.object();
  }

  /** The record it was raised on. */
  get record(): Json {
    return this.get("record");
  }

  get references(): string[] {
    return this.texts("references");
  }

  get tags(): string[] {
    return this.texts("tags");
  }

  /** Alerts of one rule with one key belong together. */
  get dedupKey(): string {
    return this.text("dedup_key");
  }

  /** All outputs it goes to, `service:descriptor` each. */
  get outputs(): string[] {
    return this.texts("outputs");
  }

  /** It was raised by a rule that is still on trial. */
  get staged(): bool {
    return this.get("staged").boolOr(false);
  }

  /** Any field by its name; a null if there is none. */
  get(name: string): Json {
    const field = this.json.get(name);
    return field === null ? Json.null() : field;
  }

  private text(name: string): string {
    return this.get(name).textOr("");
  }

  private texts(name: string): string[] {
    const texts: string[] = [];
    const items = this.get(name).items();
    for (let at = 0; at < items.length; at++) {
      const text = items[at].text();
      if (text !== null) texts.push(text);
    }
    return texts;
  }
}
