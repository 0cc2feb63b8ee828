// Much is made and thrown away; nothing that is still needed may go with it.

import { cabi_realloc, liftText } from "streamalert-as/abi";
import { cabi_post_evaluate } from "streamalert-as/component";
import { Finding, Json, Record, rule, rules } from "streamalert-as";
import { assertEqual, test } from "streamalert-as/testing";

rule({ name: "wasteful", logs: ["a"] }, (record: Record): Finding => {
  let text = "";
  for (let turn = 0; turn < 50; turn++) text += record.textOr("who." + "name".substring(0, 4), "") + turn.toString();
  return new Finding(text).context("n", Json.list().push(text.length)).dedupKey(text.substring(0, 4));
});

test("findings stay as they are while others are made", () => {
  const record = Record.parse('{"who": {"name": "é日😀x"}}');
  const all: Finding[] = [];
  for (let turn = 0; turn < 200; turn++) all.push(rules[0].evaluate(record)!);
  for (let turn = 0; turn < all.length; turn++) {
    assertEqual(all[turn].title, all[0].title);
    assertEqual(all[turn].getContext()!.toString(), '{"n":[' + all[0].title!.length.toString() + "]}");
  }
  assert(memory.size() < 200, "the memory does not grow without end");
});

function write(text: string): usize {
  const bytes = <usize>text.length << 1;
  const at = cabi_realloc(cabi_realloc(0, 0, 2, bytes + 64), bytes + 64, 2, bytes);
  memory.copy(at, changetype<usize>(text), bytes);
  return at;
}

test("what the host writes stays until it is read", () => {
  for (let turn = 0; turn < 100; turn++) {
    const one = write("one");
    const two = write("two é");
    const three = write("three".repeat(1000));
    __collect();
    assertEqual(liftText(one, 3) + liftText(two, 5), "onetwo é");
    assertEqual(liftText(three, 5000).length, 5000);
  }
  cabi_post_evaluate(0);
});
