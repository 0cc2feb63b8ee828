// Lines for whoever runs the pipeline.

import { log as host } from "./host.js";

const write = (level) => (message) => host.write(level, wellFormed(String(message)));

export const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };

/** `console` of a component: what it is given stands in one line. */
const line = (write) => (...parts) => write(parts.map((part) => (typeof part === "string" ? part : shown(part))).join(" "));

function shown(value) {
  if (value instanceof Error) return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

export const console = {
  debug: line(log.debug), trace: line(log.debug), log: line(log.info), info: line(log.info), warn: line(log.warn), error: line(log.error),
};

/** Half a character, as cutting a text may leave, cannot cross the border: it becomes U+FFFD. */
export function wellFormed(text) {
  return text.toWellFormed ? text.toWellFormed() : text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}
