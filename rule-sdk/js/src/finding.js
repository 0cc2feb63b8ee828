// What a rule reports.

const SEVERITIES = ["info", "low", "medium", "high", "critical"];

export function checkSeverity(severity) {
  if (!SEVERITIES.includes(severity)) {
    throw new TypeError(`there is no severity ${JSON.stringify(severity)}; it is one of ${SEVERITIES.join(", ")}`);
  }
  return severity;
}

export class Finding {
  /** What was said of it, for tests. */
  parts = { title: null, severity: null, dedupKey: null, context: {}, outputs: [] };

  constructor(title = null) {
    this.parts.title = title;
  }

  severity(severity) {
    this.parts.severity = checkSeverity(severity);
    return this;
  }

  dedupKey(key) {
    this.parts.dedupKey = String(key);
    return this;
  }

  context(key, value) {
    this.parts.context[key] = value === undefined ? null : value;
    return this;
  }

  output(output) {
    this.parts.outputs.push(output);
    return this;
  }
}
