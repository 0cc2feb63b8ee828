import { Part, lines, parser } from "streamalert-js";
import schemas from "../schemas.json";

export const @camel@Parser = parser(
  {
    name: "@ident@",
    // What `streamalert inspect` shows: say what the parser reads, and what it makes of it.
    description: "Lines like `time|user|action`; a record for each.",
    schemas,
  },
  (payload) => {
    const parts = [];
    for (const line of lines(payload)) {
      // A blank line means nothing and is in no part.
      if (line.text().trim() !== "") parts.push(part(line));
    }
    return parts;
  },
);

function part(line) {
  const fields = line.text().split("|").map((field) => field.trim());
  // What is no record becomes a dead letter with these bytes.
  if (fields.length !== 3) return Part.error(line.place, `${fields.length} fields instead of 3`);
  const [time, user, action] = fields;
  if (!/^\d+$/.test(time)) return Part.error(line.place, `the time: ${time} is no number`);
  return Part.record(line.place, "@ident@:event", { time: Number(time), user, action });
}
