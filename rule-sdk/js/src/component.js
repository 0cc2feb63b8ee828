// Exports `detection` for all rules that were declared.

import { Finding } from "./finding.js";
import { bigintsAreJson, stringify } from "./json.js";
import { console, log, wellFormed } from "./log.js";
import { Record, forget } from "./record.js";
import { rules } from "./rule.js";

globalThis.console = console;
bigintsAreJson();

if (!rules.length) {
  throw new Error(
    'this package declares no rule; one of a parser, publishers or an output says in package.json which: "streamalert": { "world": "parser" }',
  );
}

let batch = null;

function lower(row, answer) {
  const { title, severity, dedupKey, context, outputs } = answer instanceof Finding ? answer.parts : new Finding().parts;
  return {
    row,
    title: title === null ? null : wellFormed(String(title)),
    severity,
    dedupKey: dedupKey === null ? null : wellFormed(dedupKey),
    context: Object.keys(context).length ? stringify(context) : null,
    outputs: outputs.map((output) => wellFormed(String(output))),
  };
}

export const detection = {
  describe: () => rules.map((rule) => rule.info),

  evaluate(number, { id, rows, explain }) {
    if (explain || id !== batch) forget();
    batch = id;
    const { judge, info } = rules[number];
    const findings = [];
    for (const row of rows) {
      let answer;
      try {
        answer = judge(Record.of(row));
      } catch (error) {
        // A trap carries no text: this puts it into the log first.
        log.error(`${info.name}: ${error}${error?.stack ? `\n${error.stack}` : ""}`);
        throw error;
      }
      if (answer === true || answer instanceof Finding) findings.push(lower(row, answer));
      else if (answer !== false && answer !== null && answer !== undefined) {
        const message = `${info.name}: a rule returns true, false, null or a Finding, not ${String(answer)}`;
        log.error(message);
        throw new TypeError(message);
      }
    }
    return findings;
  },
};
