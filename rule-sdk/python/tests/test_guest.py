"""A component's own side, with a host that is played."""

import io
import json
import sys
import unittest
from pathlib import Path

BINDINGS = Path(__file__).parents[1] / "bindings" / "rule"


class Guest(unittest.TestCase):
    """In each test rules are declared, and a record is told as the host tells it."""

    def setUp(self):
        sys.path.insert(0, str(BINDINGS))
        import streamalert_sdk.guest as guest
        from streamalert_sdk import log, lookup, rule
        from wit_world.imports import types

        sys.path.remove(str(BINDINGS))
        self.guest, self.rule, self.types = guest, rule, types
        kept = (list(guest.rules()), sys.stdout, sys.stderr, list(sys.path), log.write, lookup.find)
        guest._RULES.clear()
        sys.modules["streamalert_sdk.rule"].RULES.clear()
        self.logged = []
        guest.write = lambda level, message: self.logged.append((level.upper(), message))
        guest.records.get = lambda row, path: self.told[path]
        guest.records.json = lambda row: self.json

        def restore():
            sys.modules["streamalert_sdk.rule"].RULES[:] = kept[0]
            sys.stdout, sys.stderr, sys.path[:] = kept[1], kept[2], kept[3]
            log.write, lookup.find = kept[4], kept[5]

        self.addCleanup(restore)

    def evaluate(self, rows=(0,)):
        component = self.guest.Detection()
        component.describe()
        return component.evaluate(0, self.guest.wit.BatchInfo(id=1, rows=list(rows), explain=False))

    def test_what_is_declared_is_described(self):
        from streamalert_sdk import contains, equals, exists

        @self.rule(logs="t", when=[equals("a", ["x", 1, True, 0.5]), contains("b", "y"), exists("c")], tags=["one"])
        def described(record):
            """Says é."""

        (info,) = self.guest.Detection().describe()
        wit, types = self.guest.wit, self.types
        self.assertEqual((info.name, info.description, info.logs), ("described", "Says é.", ["t"]))
        self.assertEqual(json.loads(info.options), {"tags": ["one"]})
        values = [types.Value_Text("x"), types.Value_Integer(1), types.Value_Boolean(True), types.Value_Float(0.5)]
        self.assertEqual(
            info.when,
            [
                wit.Condition("a", wit.Test_Equals(values)),
                wit.Condition("b", wit.Test_Contains(["y"])),
                wit.Condition("c", wit.Test_Exists()),
            ],
        )

    def test_values_are_what_the_host_tells(self):
        types = self.types
        self.told = {
            "text": types.Value_Text("x"),
            "int": types.Value_Integer(7),
            "float": types.Value_Float(0.5),
            "bool": types.Value_Boolean(False),
            "null": types.Value_Json("null"),
            "list": types.Value_Json('["a", 1]'),
            "absent": types.Value_Absent(),
            "digits": types.Value_Text("18446744073709551615"),
            "wide": types.Value_Text("18446744073709551615"),
            "huge": types.Value_Text("1e400"),
        }
        self.json = '{"digits": "18446744073709551615", "wide": 18446744073709551615, "huge": 1e400}'
        record = self.guest.GuestRecord(0)
        self.assertEqual((record.text("text"), record.int("int"), record.float("float")), ("x", 7, 0.5))
        self.assertEqual((record.bool("bool"), record.texts("list"), record.len("list")), (False, ["a"], 2))
        self.assertTrue(record.exists("null") and record.is_null("null") and not record.exists("absent"))
        self.assertEqual((record.text("digits"), record.uint("digits")), ("18446744073709551615", None))
        self.assertEqual((record.text("wide"), record.uint("wide")), (None, 2**64 - 1))
        self.assertEqual(
            (record.text("huge"), record.float("huge"), record.float("text")), ("1e400", float("inf"), None)
        )

    def test_what_is_true_is_a_finding(self):
        from streamalert_sdk import Finding

        answers = [True, False, None, Finding("T\ud800", severity="low", context={"n": float("nan")}, outputs="a:b")]

        @self.rule(logs="t")
        def answers_by_row(record):
            return answers[record._row]

        found = self.evaluate(rows=range(4))
        wit = self.guest.wit
        said = wit.Finding(3, "T\\ud800", self.types.Severity.LOW, None, '{"n":"nan"}', ["a:b"])
        self.assertEqual(found, [wit.Finding(0, None, None, None, None, []), said])

    def test_print_goes_to_the_log(self):
        @self.rule(logs="t")
        def prints(record):
            print("one\ntwo", end="")
            print("odd", file=sys.stderr)

        self.evaluate()
        self.assertEqual(self.logged, [("INFO", "one"), ("WARN", "odd"), ("INFO", "two")])

    def test_a_failure_is_told_before_it_ends_in_a_trap(self):
        @self.rule(logs="t")
        def fails(record):
            return {}["nothing"]

        class Trap(Exception):
            pass

        def abort():
            raise Trap

        kept = self.guest.runtime.os.abort
        self.guest.runtime.os.abort = abort
        self.addCleanup(setattr, self.guest.runtime.os, "abort", kept)
        with self.assertRaises(Trap):
            self.evaluate()
        ((level, message),) = self.logged
        self.assertEqual(level, "ERROR")
        self.assertRegex(message, r"^KeyError: 'nothing' in fails \(test_guest.py, line \d+\)$")


class Streams(unittest.TestCase):
    def test_log_lines_go_to_standard_error_outside_of_a_component(self):
        from streamalert_sdk import log

        kept, sys.stderr = sys.stderr, io.StringIO()
        self.addCleanup(setattr, sys, "stderr", kept)
        log.warn("careful")
        self.assertEqual(sys.stderr.getvalue(), "warn: careful\n")
