// What a file of rules, a parser, publishers or an output needs: `import { rule, equals, Finding } from "streamalert-js";`

export { Alert } from "./alert.js";
export { Fault, Parcel, Setting, Settings, output } from "./delivery.js";
export { Disposition, accepted, answer, delivered, reject, retry } from "./disposition.js";
export { Finding } from "./finding.js";
export * as helpers from "./helpers.js";
export { Failure, FakeHttp, Request, Response } from "./http.js";
export { log } from "./log.js";
export { lookup } from "./lookup.js";
export { Line, Part, lines, parser, textOf } from "./parsing.js";
export { Target, publisher } from "./publishing.js";
export { Record } from "./record.js";
export { contains, equals, exists, prefix, rule, suffix } from "./rule.js";
export { escapeHtml, plain, shorten } from "./text.js";
export { Url, base64, percent } from "./url.js";
