import assert from "node:assert/strict";
import test from "node:test";
import { @camel@Parser } from "../src/index.@ending@";

test("a line becomes a record or says why not", () => {
  const [good, bad] = @camel@Parser(new TextEncoder().encode("17|ada|login\n\nnonsense\n"));
  assert.equal(good.json, '{"time":17,"user":"ada","action":"login"}');
  assert.deepEqual([bad.offset, bad.length, bad.reason], [14, 8, "1 fields instead of 3"]);
});
