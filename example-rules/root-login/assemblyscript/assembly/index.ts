import { rule, equals, Record } from "streamalert-as";

rule(
  {
    name: "root_login",
    description: "Somebody logged in as root.",
    logs: ["cloudtrail:events"],
    when: [equals("eventName", "ConsoleLogin"), equals("userIdentity.type", "Root")],
    outputs: ["file:security"],
    severity: "high",
  },
  rootLogin,
);

export function rootLogin(record: Record): bool {
  return record.is("responseElements.ConsoleLogin", "Success");
}
