// Exports `publishing` for all publishers that were declared.

import { console, wellFormed } from "./log.js";
import { Target, publishers } from "./publishing.js";

globalThis.console = console;

export const publishing = {
  describe: () => publishers.map((publisher) => publisher.info),

  publish(number, alert, publication, output) {
    let answer;
    try {
      answer = publishers[number].publish(JSON.parse(alert), JSON.parse(publication), new Target(output));
    } catch (error) {
      // The contract's `err`, of which the text is for people.
      throw wellFormed(error instanceof Error ? error.message : String(error));
    }
    if (answer === null || typeof answer !== "object") throw "a publisher returns the publication, an object";
    return JSON.stringify(answer);
  },
};
