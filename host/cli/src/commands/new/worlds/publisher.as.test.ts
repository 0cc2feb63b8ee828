import { Json } from "streamalert-as";
import { Target } from "streamalert-as/publishing";
import { assertEqual, test } from "streamalert-as/testing";
import { @camel@Publisher } from "../assembly/index";

test("a line takes the place of the record", () => {
  const alert = Json.parse('{"title": "Root logged in", "severity": "high"}')!;
  const after = @camel@Publisher(alert, Json.parse('{"id": "1", "record": {"a": 1}}')!, new Target("slack:security"));
  assertEqual(after.toString(), '{"id":"1","@slack.text":"Root logged in (high)"}');
});
