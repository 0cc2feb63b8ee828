// What the host gives, in a component.

import lookup from "streamalert:plugin/lookup@0.1.0";
import log from "streamalert:plugin/log@0.1.0";
import records from "streamalert:plugin/records@0.1.0";

export { lookup, log, records };
/** There are no tests in here. */
export const fakes = new Map();
