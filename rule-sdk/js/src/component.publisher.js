// Exports `publishing` for all publishers that were declared.

import { Alert } from "./alert.js";
import { reason } from "./faults.js";
import { bigintsAreJson, objectOf, reading } from "./json.js";
import { console } from "./log.js";
import { Target, publishers } from "./publishing.js";

globalThis.console = console;
bigintsAreJson();

if (!publishers.length) throw new Error('a package with "streamalert": { "world": "publisher" } declares publishers; this one has none');

export const publishing = {
  describe: () => publishers.map((publisher) => publisher.info),

  publish(number, alert, publication, output) {
    const { info, publish } = publishers[number];
    try {
      const answer = publish(Alert.parse(alert), objectOf(publication), new Target(output));
      if (answer === null || typeof answer !== "object" || Array.isArray(answer)) {
        throw new TypeError("a publisher returns the publication, an object");
      }
      return reading(answer);
    } catch (error) {
      // The contract's `err`, of which the text is for people.
      throw reason(error, info.name);
    }
  },
};
