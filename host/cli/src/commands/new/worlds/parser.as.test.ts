import { assertEqual, test } from "streamalert-as/testing";
import { @camel@Parser } from "../assembly/index";

test("a line becomes a record or says why not", () => {
  const parts = @camel@Parser(Uint8Array.wrap(String.UTF8.encode("17|ada|login\n\nnonsense\n")));
  assertEqual(parts[0].json!, '{"time":17,"user":"ada","action":"login"}');
  assertEqual(parts[1].reason!, "1 fields instead of 3");
  assertEqual(parts[1].place.offset, 14);
});
