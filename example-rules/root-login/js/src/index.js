import { rule, equals } from "streamalert-js";

export const rootLogin = rule(
  {
    name: "root_login",
    description: "Somebody logged in as root.",
    logs: ["cloudtrail:events"],
    when: [equals("eventName", "ConsoleLogin"), equals("userIdentity.type", "Root")],
    outputs: ["file:security"],
    severity: "high",
  },
  (record) => record.is("responseElements.ConsoleLogin", "Success"),
);
