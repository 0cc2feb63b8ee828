import { Json } from "streamalert-as";
import { Line, Part, lines, parser } from "streamalert-as/parsing";

parser(
  {
    name: "@ident@",
    // What `streamalert inspect` shows: say what the parser reads, and what it makes of it.
    description: "Lines like `time|user|action`; a record for each.",
    schemas: '{"@ident@:event": {"parser": "json", "schema": {"time": "integer", "user": "string", "action": "string"}}}',
  },
  @camel@Parser,
);

export function @camel@Parser(payload: Uint8Array): Part[] {
  const parts: Part[] = [];
  const all = lines(payload);
  for (let at = 0; at < all.length; at++) {
    // A blank line means nothing and is in no part.
    if (all[at].text().trim() != "") parts.push(part(all[at]));
  }
  return parts;
}

function part(line: Line): Part {
  const fields = line.text().split("|");
  // What is no record becomes a dead letter with these bytes.
  if (fields.length != 3) return Part.error(line.place, fields.length.toString() + " fields instead of 3");
  const time = Json.parse(fields[0].trim());
  if (time === null || !time.isInt()) return Part.error(line.place, "the time: " + fields[0] + " is no number");
  const record = Json.object().set("time", time).set("user", fields[1].trim()).set("action", fields[2].trim());
  return Part.record(line.place, "@ident@:event", record);
}
