import { publisher } from "streamalert-js";
import { misbehave } from "../../misbehave.js";

publisher({ name: "edge_brief", description: "Without the record, and with a text of one line." }, (alert, publication, target) => {
  const { record, ...rest } = publication;
  return { ...rest, [target.magic("text")]: `${alert.title} (${alert.severity})` };
});

publisher({ name: "edge_seen", description: "What an alert says of itself." }, (alert, publication, target) => ({
  ...publication,
  seen: {
    id: alert.id, rule_name: alert.ruleName, title: alert.title, severity: alert.severity, description: alert.description,
    created: alert.created, created_at: alert.createdAt, event_time: alert.eventTime, cluster: alert.cluster, log_source: alert.logSource,
    service: alert.source.service, object: alert.source.object, context: alert.context, record: alert.record, tags: alert.tags,
    references: alert.references, dedup_key: alert.dedupKey, outputs: alert.outputs, staged: alert.staged, other: alert.get("other"),
    output: `${target.service} and ${target.descriptor}`,
  },
}));

publisher({ name: "edge_refuse", description: "Refuses." }, () => {
  throw new Error("the alert names no rule");
});

for (const word of ["loop", "deep", "grow", "fail"]) {
  publisher({ name: `edge_${word}`, description: "Misbehaves." }, (_alert, publication) => {
    misbehave(word);
    return publication;
  });
}
