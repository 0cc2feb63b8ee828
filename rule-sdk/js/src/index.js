// What a file of rules needs: `import { rule, equals, Finding } from "streamalert-js";`

export { Finding } from "./finding.js";
export * as helpers from "./helpers.js";
export { log } from "./log.js";
export { lookup } from "./lookup.js";
export { Target, publisher } from "./publishing.js";
export { Record } from "./record.js";
export { contains, equals, exists, prefix, rule, suffix } from "./rule.js";
