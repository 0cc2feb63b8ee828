"""The alert, with a name for everything in it."""

from .finding import SEVERITIES
from .helpers.time import parse_time
from .record import loads


class Source:
    """Where the log came from: `s3`, `kinesis`, `file`; bucket, stream, folder; key, path."""

    __slots__ = ("object", "resource", "service")

    def __init__(self, given):
        given = given if isinstance(given, dict) else {}
        for name in self.__slots__:
            setattr(self, name, given[name] if isinstance(given.get(name), str) else "")


class Alert:
    """An alert. Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes."""

    __slots__ = ("fields",)

    def __init__(self, fields=None):
        #: All of it, as `json.loads` gives it.
        self.fields = fields if isinstance(fields, dict) else {}

    @classmethod
    def parse(cls, text):
        """From its JSON."""
        return cls(loads(text))

    @property
    def id(self):
        return self._text("id")

    @property
    def rule_name(self):
        return self._text("rule_name")

    @property
    def title(self):
        """The finding's title, or the rule's name where it has none."""
        return self._text("title") or self.rule_name

    @property
    def severity(self):
        """info, low, medium, high or critical."""
        name = self._text("severity").lower()
        return name if name in SEVERITIES else "medium"

    @property
    def description(self):
        """The rule's, for whoever gets the alert."""
        return self._text("rule_description")

    @property
    def created(self):
        """When it was raised: RFC 3339, UTC."""
        return self._text("created")

    @property
    def created_at(self):
        """The same in seconds since 1970; None: it does not say."""
        return parse_time(self.created)

    @property
    def event_time(self):
        """The time the log itself names, as written there; None: it names none."""
        return self._text("event_time") or None

    @property
    def cluster(self):
        return self._text("cluster")

    @property
    def log_source(self):
        """Full log type, `cloudtrail:events`."""
        return self._text("log_source")

    @property
    def source(self):
        return Source(self.get("source"))

    @property
    def context(self):
        """What the rule says beside the record."""
        context = self.get("context")
        return context if isinstance(context, dict) else {}

    @property
    def record(self):
        """The record it was raised on."""
        return self.get("record")

    @property
    def references(self):
        return self._texts("references")

    @property
    def tags(self):
        return self._texts("tags")

    @property
    def dedup_key(self):
        """Alerts of one rule with one key belong together; None: it has none."""
        return self._text("dedup_key") or None

    @property
    def outputs(self):
        """All outputs it goes to, `service:descriptor` each."""
        return self._texts("outputs")

    @property
    def staged(self):
        """It was raised by a rule that is still on trial."""
        return self.get("staged") is True

    def get(self, name):
        """Any field by its name; None if there is none."""
        return self.fields.get(name)

    def _text(self, name):
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def _texts(self, name):
        value = self.fields.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def sample_alert():
    """The alert that tests begin with; all of its fields are there."""
    return {
        "id": "3f9c1e0b7a5d4826",
        "rule_name": "root_login",
        "title": "Root logged in without MFA",
        "severity": "high",
        "rule_description": "Somebody logged in as root.",
        "created": "2026-01-02T03:04:05Z",
        "event_time": "2026-01-02T03:03:59Z",
        "cluster": "prod",
        "log_source": "cloudtrail:events",
        "log_type": "json",
        "source": {"service": "s3", "resource": "logs", "object": "2026/01/02/a.json.gz"},
        "position": {"offset": 0, "length": 120, "index": 0},
        "outputs": ["sample:sample"],
        "publishers": None,
        "merge": None,
        "dedup_key": None,
        "tags": ["aws"],
        "references": ["https://example.com/runbooks/root"],
        "context": {"account": "123456789012"},
        "record": {
            "eventName": "ConsoleLogin",
            "sourceIPAddress": "198.51.100.7",
            "userIdentity": {"type": "Root"},
        },
        "staged": False,
        "component_digest": "",
        "host_version": "0.1.0",
        "fuel": 0,
    }
