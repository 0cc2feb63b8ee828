import { Part, lines, log, parser, type Line } from "streamalert-js";
import { misbehave } from "../../misbehave.js";

const schemas = {
  "edge:event": { parser: "json", schema: { time: "integer", user: "string", action: "string" } },
};

/** The same parser in every language: tests/it/worlds_by_language.rs. */
export const edge = parser(
  {
    name: "edge",
    description: "Lines like `time|user|action`; a record for each.",
    schemas,
    sniff: (head) => head[0] === 0x23 && head[1] === 0x65,
  },
  (payload) => {
    const parts: Part[] = [];
    for (const line of lines(payload)) parts.push(...read(line));
    return parts;
  },
);

function read(line: Line): Part[] {
  const text = line.text().trim();
  if (text === "" || text === "#edge") return [];
  if (text === "refuse") throw new Error("this payload is refused");
  if (text.startsWith("log ")) {
    log.info(text.slice(4));
    return [];
  }
  if (text.startsWith("raw ")) return [Part.raw(line.place, text.slice(4))];
  misbehave(text);
  const fields = text.split("|");
  if (fields.length !== 3) return [Part.error(line.place, `${fields.length} fields instead of 3`)];
  const [time, user, action] = fields;
  if (!/^-?\d+$/.test(time)) return [Part.error(line.place, `the time: ${time} is no number`)];
  const record = Part.record(line.place, "edge:event", { time: BigInt(time), user, action });
  // Several parts may be about the very same piece.
  return action === "twice" ? [record, record] : [record];
}
