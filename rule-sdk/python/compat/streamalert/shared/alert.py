"""An alert as publishers see it."""

from datetime import UTC, datetime, timedelta


class AlertCreationError(Exception):
    """An alert that lacks something."""


class Alert:
    DATETIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"

    def __init__(self, rule_name, record, outputs, **parts):
        self.rule_name = rule_name
        self.record = record
        self.outputs = outputs
        self.alert_id = parts.get("alert_id") or ""
        self.attempts = int(parts.get("attempts") or 0)
        self.cluster = parts.get("cluster") or None
        self.context = parts.get("context") or {}
        self.created = parts.get("created") or datetime(1970, 1, 1)
        self.dispatched = parts.get("dispatched") or datetime(1970, 1, 1)
        self.log_source = parts.get("log_source") or None
        self.log_type = parts.get("log_type") or None
        self.merge_by_keys = parts.get("merge_by_keys") or []
        self.merge_window = parts.get("merge_window") or timedelta()
        self.outputs_sent = parts.get("outputs_sent") or set()
        self.publishers = parts.get("publishers") or {}
        self.rule_description = parts.get("rule_description") or None
        self.source_entity = parts.get("source_entity") or None
        self.source_service = parts.get("source_service") or None
        self.staged = parts.get("staged") or False

    @classmethod
    def of_today(cls, alert):
        """From an alert as the host tells it."""
        source, merge = alert.get("source") or {}, alert.get("merge") or {}
        return cls(
            alert["rule_name"],
            alert["record"],
            set(alert.get("outputs") or ()),
            alert_id=alert["id"],
            cluster=alert.get("cluster"),
            context=alert.get("context"),
            created=_time(alert.get("created")),
            log_source=alert.get("log_source"),
            log_type=alert.get("log_type"),
            merge_by_keys=merge.get("by"),
            merge_window=timedelta(minutes=merge.get("minutes") or 0),
            publishers=alert.get("publishers"),
            rule_description=alert.get("rule_description"),
            source_entity=source.get("resource"),
            source_service=source.get("service"),
            staged=alert.get("staged"),
        )

    def __lt__(self, other):
        return self.created < other.created

    def __str__(self):
        return f"<Alert {self.alert_id} triggered from {self.rule_name}>"

    @property
    def merge_enabled(self):
        return bool(self.merge_by_keys and self.merge_window)

    def output_dict(self):
        """The default publication, as StreamAlert had it."""
        return {
            "cluster": self.cluster or "",
            "context": self.context or {},
            "created": self.created.strftime(self.DATETIME_FORMAT),
            "id": self.alert_id,
            "log_source": self.log_source or "",
            "log_type": self.log_type or "",
            "outputs": sorted(self.outputs),
            "publishers": self.publishers or {},
            "record": self.record,
            "rule_description": self.rule_description or "",
            "rule_name": self.rule_name or "",
            "source_entity": self.source_entity or "",
            "source_service": self.source_service or "",
            "staged": self.staged,
        }


def _time(text):
    """Without a time zone, as it was: all of them were UTC."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) if text else None
    except ValueError:
        return None
