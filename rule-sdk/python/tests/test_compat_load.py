"""What is made of a repository's decorators, without a component."""

import importlib
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "compat")]

from streamalert.shared.publisher import AlertPublisherRepository
from streamalert.shared.rule import Rule
from streamalert_compat import hits
from streamalert_compat.load import Repository
from streamalert_sdk import equals, exists

KNOWN = {
    "log_types": ["a:x", "a:y", "b"],
    "datatypes": ["ip", "user"],
    "services": {"jira-v2": "jira"},
    "outputs": {"jira:old": "jira:new"},
    "publishers": ["add_record", "DefaultPublisher"],
    "merge_minutes_max": 100,
}


class Loading(unittest.TestCase):
    def load(self, **files):
        """A repository of these modules."""
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        before = dict(Rule._rules), dict(AlertPublisherRepository._publishers), list(sys.path)
        Rule._rules.clear()
        for name, text in files.items():
            (Path(place.name) / f"{name}.py").write_text(textwrap.dedent(text))
        sys.path.insert(0, place.name)
        importlib.invalidate_caches()

        def restore():
            for name in files:
                sys.modules.pop(name, None)
            for kept, now in zip(before[:2], (Rule._rules, AlertPublisherRepository._publishers), strict=True):
                now.clear()
                now.update(kept)
            sys.path[:] = before[2]

        self.addCleanup(restore)
        return Repository(
            {"modules": [{"module": name, "file": f"rules/{name}.py"} for name in files], "known": KNOWN}
        ).load()

    def one(self, text):
        repository = self.load(one_rule=f"from streamalert.shared.rule import rule, disable\n{textwrap.dedent(text)}")
        self.assertEqual((repository.broken, repository.left_out), ([], []))
        (described,) = repository.rules
        return described

    def test_options_become_those_of_today(self):
        described = self.one(
            """
            @rule(logs=["a:x", "a:z"], outputs=["jira-v2:soc", "jira:old", "slack"], req_subkeys={"d": ["k", "l.m"]},
                  context={"set": {2, 1}}, merge_by_keys=["u"], merge_window_mins=500)
            def r(rec, context):
                '''What it is.

                    Indented.
                '''
                return rec["d"]["k"] == "v"
            """
        )
        self.assertEqual((described.name, described.logs), ("r", ["a:x"]))
        self.assertEqual(described.description, "What it is.\n\nIndented.")
        self.assertEqual(described.when, [equals("d.k", ["v"]), exists("d.l\\.m")])
        self.assertEqual(
            described.options,
            {"outputs": ["jira:new", "jira:soc"], "context": {"set": [1, 2]}, "merge": {"by": ["u"], "minutes": 100}},
        )
        for part in ("no schema defines a:z", "passed over: slack", "500 minutes; 100 are the most"):
            self.assertTrue(any(part in note for note in described.notes), (part, described.notes))

    def test_chains_of_publishers_begin_with_nothing(self):
        text = """
            from streamalert.shared.publisher import DefaultPublisher, Register
            @Register
            def own(alert, publication):
                return publication
            @rule(logs=["b"], publishers={publishers})
            def r(rec):
                return True
        """
        theirs = "publishers.community.generic.add_record"
        for given, made in [
            ("own", ["blank", "one_rule.own"]),
            (f"[own, '{theirs}']", ["blank", "one_rule.own", theirs]),
            ("[DefaultPublisher, own]", ["default", "one_rule.own"]),
            ("'stream_alert.shared.publisher.DefaultPublisher'", ["default"]),
            ("['who.knows']", None),
            ("{'slack': own, 'slack:a': [own], 'jira-v2:b': own}", {
                "slack": ["blank", "one_rule.own"], "slack:a": ["one_rule.own"], "jira:b": ["blank", "one_rule.own"]}),
        ]:  # fmt: skip
            with self.subTest(given):
                described = self.one(text.replace("{publishers}", given))
                self.assertEqual(described.options.get("publishers"), made)
                self.doCleanups()

    def test_rules_without_logs(self):
        repository = self.load(
            typed="""
                from streamalert.shared.normalize import Normalizer
                from streamalert.shared.rule import rule

                @rule(datatypes=["ip", "never"])
                def by_value(rec):
                    return "x" in (Normalizer.get_values_for_normalized_type(rec, "ip") or ())

                @rule(datatypes=["ip"])
                def without(rec):
                    return not Normalizer.get_values_for_normalized_type(rec, "ip")

                @rule(datatypes=["ip"])
                def otherwise(rec):
                    return rec.get("z") == 1

                @rule(datatypes=["never"])
                def nothing(rec):
                    return bool(Normalizer.get_values_for_normalized_type(rec, "never"))
            """
        )
        rules = {described.name: described for described in repository.rules}
        self.assertEqual((rules["by_value"].logs, rules["by_value"].options), ([], {"datatypes": ["ip"]}))
        # Asked about every record, as ever.
        for name in ("without", "otherwise"):
            self.assertEqual((rules[name].logs, rules[name].options), (KNOWN["log_types"], {}))
        self.assertEqual([left["rule"] for left in repository.left_out], ["nothing"])

    def test_what_is_broken_or_off_is_told_and_costs_nobody_else(self):
        repository = self.load(
            good="""
                from streamalert.shared.rule import disable, rule

                @rule(logs=["b"])
                def good_one(rec):
                    return True

                @disable
                @rule(logs=["b"])
                def off(rec):
                    return True

                @rule(logs=["nowhere"])
                def lost(rec):
                    return True
            """,
            half="""
                from streamalert.shared.rule import rule

                @rule(logs=["b"])
                def before(rec):
                    return True

                raise ValueError("no more")
            """,
            syntax="def (:",
            again="""
                from streamalert.shared.rule import rule

                @rule(logs=["b"])
                def good_one(rec):
                    return False
            """,
        )
        self.assertEqual([described.name for described in repository.rules], ["good_one"])
        self.assertEqual([left["rule"] for left in repository.left_out], ["off", "lost"])
        self.assertEqual(
            [broken["file"] for broken in repository.broken], ["rules/half.py", "rules/syntax.py", "rules/again.py"]
        )
        told = " ".join(broken["why"] for broken in repository.broken)
        for part in ("ValueError: no more", "SyntaxError", "Rule [good_one] already defined"):
            self.assertIn(part, told)

    def test_a_rule_that_writes_takes_conditions_from_those_that_read(self):
        repository = self.load(
            writes="""
                from streamalert.shared.rule import rule

                def enrich(rec):
                    rec["kind"] = "x"

                @rule(logs=["a:x"])
                def writer(rec):
                    enrich(rec)
                    return False

                @rule(logs=["a:x", "b"])
                def reader(rec):
                    return rec["kind"] == "x"

                @rule(logs=["a:y"])
                def elsewhere(rec):
                    return rec["kind"] == "x"
            """
        )
        self.assertEqual([described.name for described in repository.rules], ["writer", "reader", "elsewhere"])
        self.assertEqual([bool(described.when) for described in repository.rules], [False, False, True])
        self.assertIn("writer writes into the same records", repository.rules[1].notes[-1])


class Judging(unittest.TestCase):
    def test_what_fails_counts_as_no_and_is_told_once(self):
        from streamalert.shared.rule import Rule as Declared
        from streamalert_compat import host
        from streamalert_sdk import log

        told, kept = [], log.write
        log.write = lambda level, message: told.append(message)
        self.addCleanup(setattr, log, "write", kept)

        def fragile(rec):
            return rec["a"]["b"]

        rule = Declared(fragile, logs=["b"], matchers=[lambda rec: rec["m"]])
        self.addCleanup(Declared._rules.pop, "fragile")
        host._told.clear()
        self.assertFalse(
            rule.check_matchers({}) or rule.process({}) or rule.process({"a": {}}) or rule.process({"a": 1})
        )
        self.assertTrue(rule.process({"a": {"b": 1}}))
        self.assertEqual(len(told), 3)
        self.assertIn("matcher <lambda> of fragile failed, which counts as no and is told once: KeyError: 'm'", told[0])

    def test_required_keys(self):
        from streamalert.shared.rule import Rule as Declared

        rule = Declared(lambda rec: True, logs=["b"], req_subkeys={"a": ["x", "y"]})
        self.addCleanup(Declared._rules.pop, "<lambda>")
        for record, fits in [
            ({"a": {"x": None, "y": 0}}, True),
            ({"a": {"x": 1}}, False),
            ({"a": ["x", "y"]}, False),
            ({"a": "xy"}, False),
            ({}, False),
        ]:
            self.assertEqual(rule.check_subkeys(record), fits, record)


class Description(unittest.TestCase):
    def test_docstrings_have_fields(self):
        from streamalert.shared.description import RuleDescriptionParser

        told = RuleDescriptionParser.present(
            """
            author:       north
            description:  Two lines
                          of text

                          and a third.
            reference:    https://example.com/a
                          /b
            """
        )
        self.assertEqual(told["author"], "north")
        self.assertEqual(told["description"], "Two lines of text\nand a third.")
        self.assertEqual(dict(told["fields"]), {"reference": "https://example.com/a/b"})
        self.assertEqual(RuleDescriptionParser.present("Just text.")["description"], "Just text.")
        self.assertEqual(RuleDescriptionParser.present(None)["description"], "")


class OldNames(unittest.TestCase):
    def test_the_package_was_called_otherwise_before(self):
        from stream_alert.shared.publisher import Register
        from stream_alert.shared.rule import rule
        from streamalert.shared import publisher as now
        from streamalert.shared import rule as today

        self.assertIs(rule, today.rule)
        self.assertIs(Register, now.Register)


class Hits(unittest.TestCase):
    def test_rules_find_values_and_not_who_said_so(self):
        found = [{"value": "192.0.2.1", "source": "isac"}, {"value": "192.0.2.1", "source": "ours"}, {"value": "192.0.2.2", "source": "isac"}]
        record = hits.as_sets({"a": 1, hits.KEY: {"ip": found}})
        self.assertEqual(record, {"a": 1, hits.KEY: {"ip": {"192.0.2.1", "192.0.2.2"}}})
        self.assertEqual(hits.as_sets({"a": 1}), {"a": 1})
