// Lines for whoever runs the pipeline.

import { log as host } from "./host.js";

const write = (level) => (message) => host.write(level, wellFormed(String(message)));

export const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };

/** Half a character, as cutting a text may leave, cannot cross the border: it becomes U+FFFD. */
export function wellFormed(text) {
  return text.toWellFormed ? text.toWellFormed() : text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}
