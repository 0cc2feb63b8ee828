import assert from "node:assert/strict";
import test from "node:test";
import { Record } from "streamalert-js";
import { rootLogin } from "../src/index.js";

test("only logins that succeed are told", () => {
  assert.ok(rootLogin(Record.fromJson({ responseElements: { ConsoleLogin: "Success" } })));
  assert.ok(!rootLogin(Record.fromJson({ responseElements: { ConsoleLogin: "Failure" } })));
  assert.ok(!rootLogin(Record.fromJson({ responseElements: null })));
});
