"""Declaring a rule."""

import inspect
import json
import math

from .finding import SEVERITIES
from .record import dumps

#: What `rule` declared, in the order of the files.
RULES = []

_MERGE = ("by", "minutes", "on", "first", "max", "threshold")
_MERGE_MEMBERS = range(2, 1001)
_I64 = range(-(2**63), 2**63)


class RuleError(Exception):
    """A declaration that the host would refuse: all that is wrong with it."""


class Condition:
    """One condition of the prefilter: `test` is equals, prefix, suffix, contains or exists."""

    __slots__ = ("path", "test", "values")

    def __init__(self, path, test, values=()):
        self.path = path
        self.test = test
        self.values = tuple(values)

    def __eq__(self, other):
        if not isinstance(other, Condition):
            return NotImplemented
        told = [(self.path, self.test), (other.path, other.test)]
        return told[0] == told[1] and list(map(repr, self.values)) == list(map(repr, other.values))

    __hash__ = None

    def __repr__(self):
        values = ", ".join(map(repr, (self.path, *([list(self.values)] if self.values else []))))
        return f"{self.test}({values})"


def equals(path, values):
    """The value at `path` equals this, or one of these: texts, integers, floats, booleans."""
    return Condition(path, "equals", _several(values))


def prefix(path, texts):
    """The text at `path` begins with this, or one of these."""
    return Condition(path, "prefix", _several(texts))


def suffix(path, texts):
    """The text at `path` ends with this, or one of these."""
    return Condition(path, "suffix", _several(texts))


def contains(path, texts):
    """In the text at `path` this occurs, or one of these."""
    return Condition(path, "contains", _several(texts))


def exists(path):
    """Anything is at `path`, a null too."""
    return Condition(path, "exists")


class Rule:
    """One rule, as the decorator wrote it down."""

    __slots__ = ("description", "judge", "logs", "module", "name", "options", "when")

    def __init__(self, name, module, description, logs, when, options, judge):
        self.name = name
        self.module = module
        self.description = description
        self.logs = logs
        self.when = when
        self.options = options
        self.judge = judge


def rules():
    """All rules by name: the host knows a rule by its place."""
    return sorted(RULES, key=lambda rule: (rule.name, rule.module))


def rule(
    *,
    logs=(),
    datatypes=(),
    when=(),
    outputs=None,
    publishers=None,
    merge=None,
    context=None,
    severity=None,
    tags=None,
    references=None,
    tests=None,
):
    """Makes a rule of a function that takes a record. The function stays as it is, so that tests can call it.

    logs: log types, such as "cloudtrail:events"; a source alone stands for all its types.
    datatypes: normalized names, `ocsf:…` and `ecs:…`, of which a record must have one.
    when: conditions that must all hold, or the function is not asked: a list of equals, prefix, suffix, contains,
        exists, or a dict of paths and what they equal.
    outputs: `service:descriptor` each.
    publishers: a name, a list of names, or a dict of these by output.
    merge: a dict of by, minutes, on, first, max, threshold.
    context: a dict that goes with every alert.
    severity: info, low, medium, high, critical.
    tags, references, tests: texts.

    Where a list is taken, a single text will do.
    """
    wrong = []
    logs = _texts("logs", logs, wrong)
    conditions = _conditions(when, wrong)
    options = {}
    if datatypes != ():
        options["datatypes"] = _texts("datatypes", datatypes, wrong)
    if not logs and not options.get("datatypes"):
        wrong.append('needs `logs`, the log types it looks at, as in logs=["cloudtrail:events"], or `datatypes`')
    if outputs is not None:
        options["outputs"] = _texts("outputs", outputs, wrong)
        for output in options["outputs"]:
            service, colon, descriptor = output.partition(":")
            if not (service and colon and descriptor):
                wrong.append(f'an output is written service:descriptor, as in "slack:security", not {output!r}')
    if publishers is not None:
        options["publishers"] = _publishers(publishers, wrong)
    if merge is not None:
        options["merge"] = _merge(merge, wrong)
    if context is not None:
        options["context"] = _json_object("context", context, wrong)
    if severity is not None:
        options["severity"] = severity
        if severity not in SEVERITIES:
            wrong.append(f"there is no severity {severity!r}; it is one of {', '.join(SEVERITIES)}")
    for name, given in (("tags", tags), ("references", references), ("tests", tests)):
        if given is not None:
            options[name] = _texts(name, given, wrong)

    def declare(function):
        if not callable(function) or not hasattr(function, "__name__"):
            raise RuleError("@rule(…) stands above a function that takes a record")
        if wrong:
            raise RuleError(f"rule {function.__name__}: {'; '.join(wrong)}")
        description = inspect.cleandoc(function.__doc__ or "")
        RULES.append(
            Rule(function.__name__, function.__module__, description, logs, conditions, dumps(options), function)
        )
        return function

    return declare


def _several(values):
    return tuple(values) if isinstance(values, (list, tuple, set, frozenset)) else (values,)


def _texts(name, given, wrong):
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, (list, tuple, set, frozenset)) or not all(isinstance(text, str) for text in texts):
        wrong.append(f"`{name}` takes a list of texts, not {given!r}")
        return []
    texts = sorted(texts) if isinstance(texts, (set, frozenset)) else list(texts)
    if any(not text.strip() for text in texts):
        wrong.append(f"`{name}` has an empty text")
    return texts


def _conditions(when, wrong):
    if isinstance(when, dict):
        when = [equals(path, values) for path, values in when.items()]
    elif isinstance(when, Condition):
        when = [when]
    if not isinstance(when, (list, tuple)) or not all(isinstance(condition, Condition) for condition in when):
        wrong.append(f'`when` takes a list, as in when=[equals("eventName", "ConsoleLogin")], or a dict, not {when!r}')
        return ()
    for condition in when:
        if not isinstance(condition.path, str) or not condition.path:
            wrong.append(f"the path of {condition!r} is no text, or empty")
        if condition.test == "exists":
            continue
        if not condition.values:
            wrong.append(f"{condition!r} never holds: it has no values")
        fits = _is_value if condition.test == "equals" else lambda value: isinstance(value, str)
        for value in condition.values:
            if not fits(value):
                takes = "texts, integers of 64 bits, floats, booleans" if condition.test == "equals" else "texts"
                wrong.append(f"{condition.test} of {condition.path!r} takes {takes}, not {value!r}")
    return tuple(when)


def _is_value(value):
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (str, bool)) or (isinstance(value, int) and value in _I64)


def _publishers(given, wrong):
    def names(given):
        return isinstance(given, str) or (isinstance(given, list) and all(isinstance(name, str) for name in given))

    if not (
        names(given)
        or (isinstance(given, dict) and all(isinstance(key, str) and names(of) for key, of in given.items()))
    ):
        wrong.append(f"`publishers` takes a name, a list of names, or a dict of these by output, not {given!r}")
    return given


def _merge(given, wrong):
    if not isinstance(given, dict):
        wrong.append('`merge` takes a dict, as in merge={"by": ["userIdentity.arn"], "minutes": 30}')
        return {}
    merge = {}
    for key, value in given.items():
        if key not in _MERGE:
            wrong.append(f"`merge` has no `{key}`; it takes {', '.join(_MERGE)}")
        elif key == "by":
            merge[key] = _texts("merge by", value, wrong)
            if not merge[key]:
                wrong.append("`merge` by needs at least one key; without `by`, alerts of one dedup key are merged")
        elif key in ("on", "first"):
            words = ("arrival", "event") if key == "on" else ("wait", "send")
            if value not in words:
                wrong.append(f"`merge` {key} is one of {', '.join(words)}, not {value!r}")
            merge[key] = value
        else:
            least = 1 if key == "minutes" else _MERGE_MEMBERS.start
            fits = type(value) is int and value >= least and (key == "minutes" or value in _MERGE_MEMBERS)
            if not fits:
                wrong.append(f"`merge` {key} takes a whole number from {least} on, not {value!r}")
            merge[key] = value
    if "minutes" not in given:
        wrong.append('`merge` needs `minutes`, as in merge={"by": ["userIdentity.arn"], "minutes": 30}')
    return merge


def _json_object(name, given, wrong):
    if not isinstance(given, dict):
        wrong.append(f"`{name}` takes a dict, not {given!r}")
        return {}
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError) as error:
        wrong.append(f"`{name}` is no JSON: {error}")
    return given
