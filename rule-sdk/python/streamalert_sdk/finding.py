"""What a rule reports."""

SEVERITIES = ("info", "low", "medium", "high", "critical")


class Finding:
    """A report about one record, for rules that say more than yes. Every part may be left out; the rule's options apply
    then.

    title: instead of the rule's name.
    severity: one of SEVERITIES, instead of the rule's own.
    dedup_key: alerts of this rule with one key belong together.
    context: laid over the rule's own context; a dict of anything that is JSON.
    outputs: further outputs, each written `service:descriptor`.
    """

    __slots__ = ("context", "dedup_key", "outputs", "severity", "title")

    def __init__(self, title=None, *, severity=None, dedup_key=None, context=None, outputs=()):
        if severity is not None and severity not in SEVERITIES:
            raise ValueError(f"there is no severity {severity!r}; it is one of {', '.join(SEVERITIES)}")
        if context is not None and not isinstance(context, dict):
            raise TypeError(f"the context of a finding is a dict, not {type(context).__name__}")
        self.title = title
        self.severity = severity
        self.dedup_key = dedup_key
        self.context = dict(context or {})
        self.outputs = [outputs] if isinstance(outputs, str) else list(outputs)

    def __eq__(self, other):
        if not isinstance(other, Finding):
            return NotImplemented
        return all(getattr(self, part) == getattr(other, part) for part in self.__slots__)

    __hash__ = None

    def __repr__(self):
        parts = ((name, getattr(self, name)) for name in ("title", "severity", "dedup_key", "context", "outputs"))
        return f"Finding({', '.join(f'{name}={value!r}' for name, value in parts if value not in (None, {}, []))})"
