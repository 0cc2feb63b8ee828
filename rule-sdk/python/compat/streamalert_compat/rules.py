"""A component's own side: the rules of a repository."""

import sys

import wit_world.exports
from streamalert_sdk import log
from streamalert_sdk.finding import Finding
from streamalert_sdk.guest import begin, wit, wit_condition, wit_finding, write
from streamalert_sdk.record import clean, dumps, loads
from streamalert_sdk.runtime import fail
from wit_world.imports import records

from . import hits, host, lines
from .load import is_output, loaded

REPOSITORY = loaded()

#: Bytes of JSON whose records are kept until the batch ends; as dicts they take some eight times as much.
_KEPT_BYTES = 2 << 20


class Detection(wit_world.exports.Detection):
    def describe(self):
        _begin()
        return [
            wit.RuleInfo(
                name=described.name,
                description=clean(described.description),
                logs=described.logs,
                when=[wit_condition(condition) for condition in described.when],
                options=dumps(described.options),
            )
            for described in REPOSITORY.rules
        ]

    def evaluate(self, rule, batch):
        _begin()
        described = REPOSITORY.rules[rule]
        findings = []
        for row in batch.rows:
            try:
                record = _record(batch.id, row)
                finding = judge(described.rule, record)
                if finding:
                    findings.append(wit_finding(row, finding))
            except BaseException as failure:
                fail(failure, write)
        sys.stdout.flush()
        return findings


def judge(rule, record):
    """What StreamAlert's rules engine did with one record and one rule."""
    if not rule.check_subkeys(record) or not rule.check_matchers(record) or not rule.process(record):
        return None
    context = rule.context if rule.initial_context is not None else None
    # They may change the context, too.
    outputs = dynamic_outputs(rule, record, context)
    if context is not None:
        # A key that the rule took out of its context would be there again: it is laid over what was declared.
        context = {**dict.fromkeys(rule.initial_context), **context}
    return Finding(context=context, outputs=outputs)


def dynamic_outputs(rule, record, context):
    found = []
    for function in rule.dynamic_outputs or ():
        try:
            answer = function(record, context) if context else function(record)
        except Exception as failure:
            host.failed(f"dynamic output {getattr(function, '__name__', function)} of {rule.name}", failure)
            continue
        for output in [answer] if isinstance(answer, str) else answer if isinstance(answer, list) else ():
            if is_output(output):
                found.append(REPOSITORY.output(output))
            else:
                log.warn(f"{rule.name}: {output!r} is no output")
    return found


class _Kept:
    """Records of the batch at hand: all rules of a repository see one and the same, as ever."""

    batch = None
    bytes = 0
    by_row = {}


def _record(batch, row):
    if _Kept.batch != batch:
        _Kept.batch, _Kept.bytes, _Kept.by_row = batch, 0, {}
    record = _Kept.by_row.get(row)
    if record is None:
        text = records.json(row)
        record = hits.as_sets(loads(text))
        if _Kept.bytes + len(text) <= _KEPT_BYTES:
            _Kept.bytes += len(text)
            _Kept.by_row[row] = record
    return record


_begun = False


def _begin():
    global _begun
    if not _begun:
        _begun = True
        begin()
        lines.to_the_log(write)
