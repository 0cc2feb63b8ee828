// Publishers shape an alert for an output: `import { publisher } from "streamalert-as/publishing";`. A component is rules or
// publishers; package.json says which by `"streamalert": { "world": "publisher" }`.

import { Json } from "./json";

export { Alert } from "./alert";

/** What a publication is for. */
export class Target {
  readonly service: string;
  readonly descriptor: string;

  /** From `service:descriptor`. */
  constructor(output: string) {
    const colon = output.indexOf(":");
    this.service = colon < 0 ? output : output.substring(0, colon);
    this.descriptor = colon < 0 ? "" : output.substring(colon + 1);
  }

  /** The key by which a publisher speaks to an output of this service: `@service.field`. */
  magic(field: string): string {
    return "@" + this.service + "." + field;
  }
}

/** The alert, the publication so far and what it is for; the answer is the publication. */
export type Publish = (alert: Json, publication: Json, target: Target) => Json;

export class Publisher {
  constructor(
    public readonly name: string,
    public readonly description: string,
    public readonly publish: Publish,
  ) {}
}

/** All publishers of this component, in the order of their declarations. */
export const publishers: Publisher[] = [];

/** Declares a publisher under the name that rules call it by. */
export function publisher(name: string, description: string, publish: Publish): void {
  publishers.push(new Publisher(name, description, publish));
}

let refusal: string | null = null;

/** What a publisher returns when the alert cannot be shaped: the delivery is tried again later. */
export function refuse(reason: string): Json {
  refusal = reason;
  return Json.object();
}

/** What was refused since it was last asked. */
export function takeRefusal(): string | null {
  const reason = refusal;
  refusal = null;
  return reason;
}
