import { rule, equals, Record } from "streamalert-as";

rule(
  {
    name: "root_login",
    description: "Somebody logged in as root.",
    logs: ["cloudtrail:events"],
    when: [equals("eventName", "ConsoleLogin"), equals("userIdentity.type", "Root")],
    outputs: ["slack:security"],
    severity: "high",
  },
  (record: Record): bool => record.is("responseElements.ConsoleLogin", "Success"),
);
