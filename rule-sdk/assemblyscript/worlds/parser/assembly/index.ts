// The same parser in every language: tests/it/worlds_by_language.rs.

import { Json, log } from "streamalert-as";
import { Line, Part, lines, parser, refuse } from "streamalert-as/parsing";
import { misbehave } from "./misbehave";

parser(
  {
    name: "edge",
    description: "Lines like `time|user|action`; a record for each.",
    schemas: '{"edge:event": {"parser": "json", "schema": {"time": "integer", "user": "string", "action": "string"}}}',
    sniff: (head: Uint8Array): bool => head.length > 1 && head[0] == 0x23 && head[1] == 0x65,
  },
  (payload: Uint8Array): Part[] => {
    const parts: Part[] = [];
    const all = lines(payload);
    for (let at = 0; at < all.length; at++) {
      if (!read(all[at], parts)) return refuse("this payload is refused");
    }
    return parts;
  },
);

/** Whether the payload can be read on. */
function read(line: Line, parts: Part[]): bool {
  const text = line.text().trim();
  if (text == "" || text == "#edge") return true;
  if (text == "refuse") return false;
  if (text.startsWith("log ")) {
    log.info(text.substring(4));
    return true;
  }
  if (text.startsWith("raw ")) {
    parts.push(Part.raw(line.place, text.substring(4)));
    return true;
  }
  misbehave(text);
  const fields = text.split("|");
  if (fields.length != 3) {
    parts.push(Part.error(line.place, fields.length.toString() + " fields instead of 3"));
    return true;
  }
  const time = number(fields[0]);
  if (time === null) {
    parts.push(Part.error(line.place, "the time: " + fields[0] + " is no number"));
    return true;
  }
  const record = Part.record(line.place, "edge:event", Json.object().set("time", time).set("user", fields[1]).set("action", fields[2]));
  parts.push(record);
  // Several parts may be about the very same piece.
  if (fields[2] == "twice") parts.push(record);
  return true;
}

/** An integer of 64 bits. */
function number(text: string): Json | null {
  const json = Json.parse(text);
  return json !== null && json.isInt() ? json : null;
}
