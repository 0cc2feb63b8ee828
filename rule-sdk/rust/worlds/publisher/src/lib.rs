//! The same publishers in every language: tests/it/worlds_by_language.rs.

#[path = "../../misbehave.rs"]
mod misbehave;

use streamalert_output_sdk::prelude::*;

type Published = Result<Map<String, Value>, String>;

fn brief(alert: &Alert, mut publication: Map<String, Value>, target: &Target) -> Published {
    publication.remove("record");
    publication.insert(target.magic("text"), format!("{} ({})", alert.title(), alert.severity()).into());
    Ok(publication)
}

fn seen(alert: &Alert, mut publication: Map<String, Value>, target: &Target) -> Published {
    let seen = json!({
        "id": alert.id(), "rule_name": alert.rule_name(), "title": alert.title(), "severity": alert.severity().name(),
        "description": alert.description(), "created": alert.created(), "created_at": alert.created_at(),
        "event_time": alert.event_time(), "cluster": alert.cluster(), "log_source": alert.log_source(),
        "service": alert.source().service, "object": alert.source().object, "context": alert.context(),
        "record": alert.record(), "tags": alert.tags(), "references": alert.references(), "dedup_key": alert.dedup_key(),
        "outputs": alert.outputs(), "staged": alert.staged(), "other": alert.get("other"),
        "output": format!("{} and {}", target.service, target.descriptor),
    });
    publication.insert("seen".into(), seen);
    Ok(publication)
}

fn refuse(_: &Alert, _: Map<String, Value>, _: &Target) -> Published {
    Err("the alert names no rule".into())
}

fn misbehaves(word: &str, publication: Map<String, Value>) -> Published {
    misbehave::misbehave(word);
    Ok(publication)
}

export_publishers! {
    /// Without the record, and with a text of one line.
    "edge_brief" => brief,
    /// What an alert says of itself.
    "edge_seen" => seen,
    /// Refuses.
    "edge_refuse" => refuse,
    /// Misbehaves.
    "edge_loop" => |_, publication, _| misbehaves("loop", publication),
    /// Misbehaves.
    "edge_deep" => |_, publication, _| misbehaves("deep", publication),
    /// Misbehaves.
    "edge_grow" => |_, publication, _| misbehaves("grow", publication),
    /// Misbehaves.
    "edge_fail" => |_, publication, _| misbehaves("fail", publication),
}
