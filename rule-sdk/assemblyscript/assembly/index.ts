// What a file of rules needs: `import { rule, equals, Record, Finding } from "streamalert-as";`

export { Finding, Severity } from "./finding";
export { helpers, Networks } from "./helpers/index";
export { Json } from "./json";
export { log } from "./log";
export { lookup } from "./lookup";
export { Box, Field, Record } from "./record";
export { Condition, Merge, Rule, RuleOptions, contains, equals, exists, prefix, rule, rules, suffix } from "./rule";
