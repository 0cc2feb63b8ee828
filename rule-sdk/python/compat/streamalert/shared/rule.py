"""Declaring a rule, as StreamAlert 3 had it."""

from copy import deepcopy

from streamalert.shared.logger import get_logger
from streamalert_compat import host

LOGGER = get_logger(__name__)

#: What a decorator may say. Others it passed over in silence; whoever imports a repository is told of them.
OPTIONS = (
    "context",
    "datatypes",
    "dynamic_outputs",
    "logs",
    "matchers",
    "merge_by_keys",
    "merge_window_mins",
    "outputs",
    "publishers",
    "req_subkeys",
)


class RuleCreationError(Exception):
    """A declaration that makes no sense."""


def rule(**opts):
    def declare(function):
        return Rule(function, **opts)

    return declare


def disable(rule_instance):
    rule_instance.disabled = True
    return rule_instance


class Rule:
    DEFAULT_RULE_DESCRIPTION = "No rule description provided"

    _rules = {}

    def __init__(self, func, **options):
        self.func = func
        self.name = func.__name__
        self.datatypes = options.get("datatypes")
        self.logs = options.get("logs")
        self.matchers = options.get("matchers")
        self.merge_by_keys = options.get("merge_by_keys")
        self.merge_window_mins = options.get("merge_window_mins") or 0
        self.outputs = options.get("outputs")
        self.dynamic_outputs = options.get("dynamic_outputs")
        self.publishers = options.get("publishers")
        self.req_subkeys = options.get("req_subkeys")
        self.initial_context = options.get("context")
        self.context = None
        self.disabled = False
        self.description = func.__doc__ or self.DEFAULT_RULE_DESCRIPTION
        self.unknown = sorted(set(options) - set(OPTIONS))
        if not (self.logs or self.datatypes):
            raise RuleCreationError(
                f"Invalid rule [{self.name}] - rule must have either 'logs' or 'datatypes' declared"
            )
        if self.name in Rule._rules:
            raise RuleCreationError(f"Rule [{self.name}] already defined")
        Rule._rules[self.name] = self

    def __repr__(self):
        return f"<Rule: {self.name}; outputs: {self.outputs}; disabled: {self.disabled}>"

    @property
    def outputs_set(self):
        return set(self.outputs or [])

    def check_subkeys(self, record):
        """Whether the record has the objects, and the keys in them, that the rule requires."""
        return all(
            isinstance(record.get(key), dict) and all(inner in record[key] for inner in keys)
            for key, keys in (self.req_subkeys or {}).items()
        )

    def check_matchers(self, record):
        """Whether all matchers take the record; one that fails does not."""
        return all(self._matches(matcher, record) for matcher in self.matchers or ())

    def _matches(self, matcher, record):
        try:
            return matcher(record)
        except Exception as failure:
            host.failed(f"matcher {getattr(matcher, '__name__', matcher)} of {self.name}", failure)
        return False

    def process(self, record):
        """Whether the rule reports the record; one that fails does not."""
        try:
            if self.initial_context is None:
                return self.func(record)
            self.context = deepcopy(self.initial_context)
            return self.func(record, self.context)
        except Exception as failure:
            host.failed(f"rule {self.name}", failure)
        return False

    @classmethod
    def disabled_rules(cls):
        return {name for name, rule in cls._rules.items() if rule.disabled}

    @classmethod
    def disable(cls, name):
        cls._rules[name].disabled = True

    @classmethod
    def get_rule(cls, rule_name):
        return cls._rules.get(rule_name)

    @classmethod
    def rule_names(cls):
        return list(cls._rules)

    @classmethod
    def rules_with_datatypes(cls):
        return [rule for rule in cls._rules.values() if rule.datatypes and not rule.disabled]

    @classmethod
    def rules_for_log_type(cls, log_type):
        return [
            rule for rule in cls._rules.values() if (rule.logs is None or log_type in rule.logs) and not rule.disabled
        ]
