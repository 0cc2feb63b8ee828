"""The same publishers in every language: tests/it/worlds_by_language.rs."""

from misbehave import misbehave
from streamalert_sdk import publisher


@publisher
def edge_brief(alert, publication, target):
    """Without the record, and with a text of one line."""
    publication.pop("record", None)
    publication[target.magic("text")] = f"{alert.title} ({alert.severity})"
    return publication


@publisher
def edge_seen(alert, publication, target):
    """What an alert says of itself."""
    publication["seen"] = {
        "id": alert.id,
        "rule_name": alert.rule_name,
        "title": alert.title,
        "severity": alert.severity,
        "description": alert.description,
        "created": alert.created,
        "created_at": alert.created_at,
        "event_time": alert.event_time,
        "cluster": alert.cluster,
        "log_source": alert.log_source,
        "service": alert.source.service,
        "object": alert.source.object,
        "context": alert.context,
        "record": alert.record,
        "tags": alert.tags,
        "references": alert.references,
        "dedup_key": alert.dedup_key,
        "outputs": alert.outputs,
        "staged": alert.staged,
        "other": alert.get("other"),
        "output": f"{target.service} and {target.descriptor}",
    }
    return publication


@publisher
def edge_refuse(alert, publication, target):
    """Refuses."""
    raise ValueError("the alert names no rule")


def misbehaving(word):
    def publish(alert, publication, target):
        """Misbehaves."""
        misbehave(word)
        return publication

    return publish


for word in ("loop", "deep", "grow", "fail"):
    publisher(misbehaving(word), name=f"edge_{word}")
