// Exports `detection` for all rules that were declared. The build gives these functions the names of the contract.

import { packed } from "./abi";
import { Finding, severityNumber } from "./finding";
import { Json } from "./json";
import { block, lowerOptionalText, lowerText, lowerTexts, release } from "./lower";
import { recordOf } from "./packed";
import { Record, watch } from "./record";
import { Condition, Test, optionsJson, rules } from "./rule";

export { cabi_realloc } from "./abi";

/** Bytes of the contract's records in memory. */
const RULE_INFO: usize = 40;
const CONDITION: usize = 20;
const VALUE: usize = 16;
const FINDING: usize = 52;

/** A list that is answered: its address and length. */
const ANSWER: usize = memory.data(8, 4);

/** The rows of the last call: the host asks one rule after the other about the same rows. */
let frame: usize = 0;
let batch: u64 = 0;
/** The row at work, and what was found: known by their addresses, so they are kept from the collector here. */
const record = new Record(0);
let reported: Finding = new Finding();

function lowerValue(at: usize, value: Json): void {
  if (value.isBool()) {
    store<u8>(at, 1);
    store<u8>(at, value.boolOr(false) ? 1 : 0, 8);
  } else if (value.isInt()) {
    store<u8>(at, 2);
    store<i64>(at, value.intOr(0), 8);
  } else if (value.isNumber()) {
    store<u8>(at, 3);
    store<f64>(at, value.floatOr(0), 8);
  } else {
    store<u8>(at, 4);
    lowerText(at + 8, value.textOr(value.toString()));
  }
}

function lowerCondition(at: usize, condition: Condition): void {
  lowerText(at, condition.path);
  store<u8>(at, <u8>condition.test, 8);
  const values = condition.values;
  if (condition.test == Test.Equals) {
    const from = block(<usize>values.length * VALUE);
    for (let index = 0; index < values.length; index++) lowerValue(from + <usize>index * VALUE, values[index]);
    store<usize>(at, from, 12);
    store<u32>(at, values.length, 16);
  } else if (condition.test != Test.Exists) {
    lowerTexts(at + 12, values.map<string>((value: Json) => value.textOr(value.toString())));
  }
}

export function describe(): usize {
  const from = block(<usize>rules.length * RULE_INFO);
  for (let index = 0; index < rules.length; index++) {
    const at = from + <usize>index * RULE_INFO;
    const options = rules[index].options;
    lowerText(at, options.name);
    lowerText(at + 8, options.description);
    lowerTexts(at + 16, options.logs);
    const when = block(<usize>options.when.length * CONDITION);
    for (let place = 0; place < options.when.length; place++) {
      lowerCondition(when + <usize>place * CONDITION, options.when[place]);
    }
    store<usize>(at, when, 24);
    store<u32>(at, options.when.length, 28);
    lowerText(at + 32, optionsJson(options));
  }
  store<usize>(ANSWER, from);
  store<u32>(ANSWER, rules.length, 4);
  return ANSWER;
}

function lowerFinding(at: usize, row: u32, finding: Finding): void {
  store<u32>(at, row);
  lowerOptionalText(at + 4, finding.title);
  const severity = finding.getSeverity();
  if (severity !== null) {
    store<u8>(at, 1, 16);
    store<u8>(at, <u8>severityNumber(severity), 17);
  }
  lowerOptionalText(at + 20, finding.getDedupKey());
  const context = finding.getContext();
  if (context !== null) lowerOptionalText(at + 32, context.toString());
  const outputs = finding.getOutputs();
  if (outputs.length) lowerTexts(at + 44, outputs);
}

export function evaluate(number: u32, id: u64, rows: usize, count: u32, explain: u32): usize {
  if (!frame || id != batch) {
    if (frame) heap.free(frame);
    frame = packed();
    batch = id;
  }
  const rule = rules[number];
  let found: usize = 0;
  let findings: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const row = load<u32>(rows + (<usize>index << 2));
    const base = recordOf(frame, row);
    if (!base) continue;
    if (explain) watch(row);
    record.move(base);
    const finding = rule.evaluateAt(changetype<usize>(record));
    if (!finding) continue;
    reported = changetype<Finding>(finding);
    // Rows come in order and have one finding at most: there is room for the rest.
    if (!found) found = block(<usize>(count - index) * FINDING);
    lowerFinding(found + <usize>findings * FINDING, row, reported);
    findings++;
  }
  watch(-1);
  if (rows) heap.free(rows);
  store<usize>(ANSWER, found);
  store<u32>(ANSWER, findings, 4);
  return ANSWER;
}

/** The host has read the answer. */
export function cabi_post_describe(_answer: usize): void {
  release();
}

export function cabi_post_evaluate(_answer: usize): void {
  release();
}
