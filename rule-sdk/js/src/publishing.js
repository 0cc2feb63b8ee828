// Publishers shape an alert for an output. A component is rules or publishers; package.json says which by
// `"streamalert": { "world": "publisher" }`.

/** All publishers of this component, in the order of their declarations. */
export const publishers = [];

/** What a publication is for. */
export class Target {
  constructor(output) {
    const colon = output.indexOf(":");
    this.service = colon < 0 ? output : output.slice(0, colon);
    this.descriptor = colon < 0 ? "" : output.slice(colon + 1);
  }

  magic(field) {
    return `@${this.service}.${field}`;
  }
}

export function publisher({ name, description = "" }, publish) {
  publishers.push({ info: { name: name ?? publish.name, description }, publish });
  return publish;
}
