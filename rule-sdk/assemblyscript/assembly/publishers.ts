// Exports `publishing` for all publishers that were declared. The build gives these functions the names of the contract.

import { liftText } from "./abi";
import { Json } from "./json";
import { block, lowerText, release } from "./lower";
import { Target, publishers, takeRefusal } from "./publishing";

export { cabi_realloc } from "./abi";

/** Bytes of a publisher's name and description. */
const PUBLISHER_INFO: usize = 16;
/** A list, or a result with a text. */
const ANSWER: usize = memory.data(12, 4);

export function describe(): usize {
  const from = block(<usize>publishers.length * PUBLISHER_INFO);
  for (let at = 0; at < publishers.length; at++) {
    lowerText(from + <usize>at * PUBLISHER_INFO, publishers[at].name);
    lowerText(from + <usize>at * PUBLISHER_INFO + 8, publishers[at].description);
  }
  store<usize>(ANSWER, from);
  store<u32>(ANSWER, publishers.length, 4);
  return ANSWER;
}

export function publish(
  number: u32,
  alert: usize,
  alertLength: u32,
  publication: usize,
  publicationLength: u32,
  output: usize,
  outputLength: u32,
): usize {
  const publish = publishers[number].publish;
  const first = object("alert", liftText(alert, alertLength));
  const second = object("publication", liftText(publication, publicationLength));
  const answer = publish(first, second, new Target(liftText(output, outputLength)));
  const refusal = takeRefusal();
  store<u32>(ANSWER, refusal === null ? 0 : 1);
  lowerText(ANSWER + 4, refusal === null ? answer.toString() : refusal);
  return ANSWER;
}

function object(what: string, text: string): Json {
  const json = Json.parse(text);
  if (json === null) throw new Error("the " + what + " is no JSON");
  return json;
}

export function cabi_post_describe(_answer: usize): void {
  release();
}

export function cabi_post_publish(_answer: usize): void {
  release();
}
