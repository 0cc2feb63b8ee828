// The same publishers in every language: tests/it/worlds_by_language.rs.

import { Json } from "streamalert-as";
import { Alert, Target, publisher, refuse } from "streamalert-as/publishing";
import { misbehave } from "./misbehave";

publisher("edge_brief", "Without the record, and with a text of one line.", (alert: Json, publication: Json, target: Target): Json => {
  const about = new Alert(alert);
  return publication.delete("record").set(target.magic("text"), about.title + " (" + about.severity + ")");
});

publisher("edge_seen", "What an alert says of itself.", (alert: Json, publication: Json, target: Target): Json => {
  const about = new Alert(alert);
  const createdAt = about.createdAt;
  const seen = Json.object()
    .set("id", about.id)
    .set("rule_name", about.ruleName)
    .set("title", about.title)
    .set("severity", about.severity)
    .set("description", about.description)
    .set("created", about.created)
    .set("created_at", createdAt < 0 ? Json.null() : Json.of(createdAt))
    .set("event_time", orNull(about.eventTime))
    .set("cluster", about.cluster)
    .set("log_source", about.logSource)
    .set("service", about.sourcePart("service"))
    .set("object", about.sourcePart("object"))
    .set("context", about.context)
    .set("record", about.record)
    .set("tags", Json.of(about.tags))
    .set("references", Json.of(about.references))
    .set("dedup_key", orNull(about.dedupKey))
    .set("outputs", Json.of(about.outputs))
    .set("staged", about.staged)
    .set("other", about.get("other"))
    .set("output", target.service + " and " + target.descriptor);
  return publication.set("seen", seen);
});

publisher("edge_refuse", "Refuses.", (_alert: Json, _publication: Json, _target: Target): Json => refuse("the alert names no rule"));

publisher("edge_loop", "Misbehaves.", (_alert: Json, publication: Json, _target: Target): Json => as("loop", publication));
publisher("edge_deep", "Misbehaves.", (_alert: Json, publication: Json, _target: Target): Json => as("deep", publication));
publisher("edge_grow", "Misbehaves.", (_alert: Json, publication: Json, _target: Target): Json => as("grow", publication));
publisher("edge_fail", "Misbehaves.", (_alert: Json, publication: Json, _target: Target): Json => as("fail", publication));

function as(word: string, publication: Json): Json {
  misbehave(word);
  return publication;
}

function orNull(text: string): Json {
  return text == "" ? Json.null() : Json.of(text);
}
