import assert from "node:assert/strict";
import test from "node:test";
import { Alert, Target } from "streamalert-js";
import { @camel@Publisher } from "../src/index.@ending@";

test("a line takes the place of the record", () => {
  const alert = new Alert({ title: "Root logged in", severity: "high" });
  const after = @camel@Publisher(alert, { id: "1", record: { a: 1 } }, new Target("slack:security"));
  assert.deepEqual(after, { id: "1", "@slack.text": "Root logged in (high)" });
});
