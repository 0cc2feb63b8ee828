"""The component's side of the contract: exports `detection` for all rules that were declared."""

import sys

import wit_world.exports
from wit_world.exports import detection as wit
from wit_world.imports import log as host_log
from wit_world.imports import lookup as host_lookup
from wit_world.imports import records
from wit_world.imports.types import (
    Severity,
    Value_Absent,
    Value_Boolean,
    Value_Float,
    Value_Integer,
    Value_Json,
    Value_Text,
)

from . import log, lookup, runtime
from .finding import SEVERITIES, Finding
from .path import ABSENT, walk
from .record import NumberText, Record, clean, dumps, exactly, loads
from .rule import rules

#: Rules by their place in `describe`.
_RULES = []

_SEVERITIES = {name: Severity[name.upper()] for name in SEVERITIES}
_TESTS = {
    "prefix": wit.Test_Prefix,
    "suffix": wit.Test_Suffix,
    "contains": wit.Test_Contains,
}
#: Digits of the integers between 2^63 and 2^64, which the host tells as text.
_WIDE = (19, 20)
#: What a number begins with.
_NUMBER = tuple("-0123456789")

write = runtime.written(host_log.write, {level.name.lower(): level for level in host_log.Level})


class Detection(wit_world.exports.Detection):
    def describe(self):
        _begin()
        return [
            wit.RuleInfo(
                name=rule.name,
                description=clean(rule.description),
                logs=rule.logs,
                when=[wit_condition(condition) for condition in rule.when],
                options=rule.options,
            )
            for rule in _RULES
        ]

    def evaluate(self, rule, batch):
        if not _RULES:
            _begin()
        judge = _RULES[rule].judge
        findings = []
        for row in batch.rows:
            try:
                verdict = judge(GuestRecord(row))
                if verdict:
                    findings.append(wit_finding(row, verdict))
            except BaseException as failure:
                # The host asks again row by row, so only this one is lost.
                runtime.fail(failure, write)
        sys.stdout.flush()
        return findings


def _begin():
    _RULES[:] = rules()
    begin()


def begin():
    """Once in an instance, at its first call."""
    log.write, lookup.find = write, _find
    runtime.begin(write)


class GuestRecord(Record):
    """A row of the batch. The host is asked for each value: in Python that costs less than the packed buffer."""

    __slots__ = ("_found", "_path", "_row")

    def __init__(self, row):
        self._row = row
        self._path = None

    def _get(self, path):
        """What the host says of `path`. The last answer is kept, since a rule often asks for one value in two ways."""
        if path != self._path:
            self._found = records.get(self._row, path)
            self._path = path
        return self._found

    def _find(self, path):
        found = self._get(path)
        kind = type(found)
        if kind is Value_Text:
            text = found.value
            # Digits may be a text, or an integer of 64 bits without a sign: the host tells both as text.
            return self._exactly(path) if len(text) in _WIDE and text.isdecimal() else text
        if kind is Value_Absent:
            return ABSENT
        return loads(found.value) if kind is Value_Json else found.value

    def _exactly(self, path):
        return walk(exactly(records.json(self._row)), path)

    def float(self, path):
        value = super().float(path)
        if value is None:
            found = self._get(path)
            # A number that no double holds comes as text.
            if type(found) is Value_Text and found.value.startswith(_NUMBER):
                value = self._exactly(path)
                return float(value) if type(value) is NumberText else None
        return value

    def exists(self, path):
        return type(self._get(path)) is not Value_Absent

    def is_null(self, path):
        found = self._get(path)
        return type(found) is Value_Json and found.value == "null"

    def to_value(self):
        return loads(records.json(self._row))

    def json(self):
        return records.json(self._row)


def wit_condition(condition):
    if condition.test == "exists":
        test = wit.Test_Exists()
    elif condition.test == "equals":
        test = wit.Test_Equals([_wit_value(value) for value in condition.values])
    else:
        test = _TESTS[condition.test](list(condition.values))
    return wit.Condition(condition.path, test)


def _wit_value(value):
    if isinstance(value, bool):
        return Value_Boolean(value)
    if isinstance(value, int):
        return Value_Integer(value)
    return Value_Float(value) if isinstance(value, float) else Value_Text(value)


def wit_finding(row, verdict):
    if type(verdict) is not Finding:
        return wit.Finding(row, None, None, None, None, [])
    return wit.Finding(
        row,
        None if verdict.title is None else clean(str(verdict.title)),
        None if verdict.severity is None else _SEVERITIES[verdict.severity],
        None if verdict.dedup_key is None else clean(str(verdict.dedup_key)),
        dumps(verdict.context) if verdict.context else None,
        [clean(str(output)) for output in verdict.outputs],
    )


def _find(table, key):
    return host_lookup.get(clean(table), clean(key))
