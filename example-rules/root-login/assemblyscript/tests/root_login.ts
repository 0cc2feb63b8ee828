import { Record } from "streamalert-as";
import { test } from "streamalert-as/testing";
import { rootLogin } from "../assembly/index";

test("only logins that succeed are told", () => {
  assert(rootLogin(Record.parse('{"responseElements": {"ConsoleLogin": "Success"}}')));
  assert(!rootLogin(Record.parse('{"responseElements": {"ConsoleLogin": "Failure"}}')));
  assert(!rootLogin(Record.parse('{"responseElements": null}')));
});
