// What the host gives, in a component. A world does not have them all: what is not used is left out.

import http from "streamalert:plugin/http@0.1.0";
import log from "streamalert:plugin/log@0.1.0";
import lookup from "streamalert:plugin/lookup@0.1.0";
import records from "streamalert:plugin/records@0.1.0";
import secrets from "streamalert:plugin/secrets@0.1.0";

export { http, log, lookup, records, secrets };
/** There are no tests in here. */
export const fakes = new Map();
