import json
import unittest

from streamalert_sdk import Finding, Record, RuleError, contains, equals, exists, prefix, rule, suffix
from streamalert_sdk import rule as declare
from streamalert_sdk.rule import RULES, rules


class Declaring(unittest.TestCase):
    def setUp(self):
        self.before = list(RULES)
        RULES.clear()
        self.addCleanup(lambda: RULES.__setitem__(slice(None), self.before))

    def refused(self, words, **options):
        with self.assertRaises(RuleError) as raised:

            @declare(**{"logs": "t", **options})
            def some_rule(record):
                return True

        for word in words if isinstance(words, list) else [words]:
            self.assertIn(word, str(raised.exception))
        self.assertEqual(RULES, [])

    def test_a_function_stays_a_function(self):
        @rule(
            logs="cloudtrail:events",
            when=[equals("eventName", "ConsoleLogin"), prefix("agent", ["a", "b"]), exists("x")],
            outputs="slack:security",
            severity="high",
            merge={"by": "user", "minutes": 30},
            context={"team": "cloud"},
        )
        def root_login(record):
            """Somebody logged in
            as root.
            """
            return record.is_("type", "Root")

        self.assertTrue(root_login(Record.from_json({"type": "Root"})))
        (declared,) = rules()
        self.assertEqual((declared.name, declared.logs), ("root_login", ["cloudtrail:events"]))
        self.assertEqual(declared.description, "Somebody logged in\nas root.")
        self.assertEqual([condition.test for condition in declared.when], ["equals", "prefix", "exists"])
        self.assertEqual(
            json.loads(declared.options),
            {
                "outputs": ["slack:security"],
                "merge": {"by": ["user"], "minutes": 30},
                "context": {"team": "cloud"},
                "severity": "high",
            },
        )

    def test_a_dict_of_conditions_is_short_for_equals(self):
        @rule(logs=["t"], when={"kind": ["a", "b"], "code": 401})
        def short(record):
            return True

        self.assertEqual(list(rules()[0].when), [equals("kind", ["a", "b"]), equals("code", [401])])

    def test_rules_come_by_name(self):
        for name in ("b", "a", "c"):
            function = lambda record: True  # noqa: E731
            function.__name__ = name
            declare(logs="t")(function)
        self.assertEqual([declared.name for declared in rules()], ["a", "b", "c"])

    def test_mistakes_are_named_all_at_once(self):
        self.refused("needs `logs`", logs=[])
        self.refused(["some_rule", "`logs` takes a list of texts", "no severity 'awful'"], logs=[1], severity="awful")
        self.refused("an output is written service:descriptor", outputs=["slack"])
        self.refused("never holds: it has no values", when=[equals("a", [])])
        self.refused("contains of 'a' takes texts, not 1", when=[contains("a", 1)])
        self.refused("equals of 'a' takes", when=[equals("a", None)])
        self.refused("equals of 'a' takes", when=[equals("a", float("nan"))])
        self.refused("equals of 'a' takes", when={"a": 2**63})
        self.refused("is no text, or empty", when=[suffix("", "x")])
        self.refused("`when` takes a list", when="eventName")
        self.refused("`merge` needs `minutes`", merge={"by": ["user"]})
        self.refused(["`merge` has no `minuts`", "needs `minutes`"], merge={"minuts": 3})
        self.refused("`merge` max takes a whole number", merge={"minutes": 3, "max": 1})
        self.refused("`merge` on is one of arrival, event", merge={"minutes": 3, "on": "monday"})
        self.refused("`context` is no JSON", context={"a": {1}})
        self.refused("`publishers` takes", publishers=[1])
        with self.assertRaises(TypeError):
            declare(logs="t", outptus=[])


class Findings(unittest.TestCase):
    def test_parts_can_be_read(self):
        finding = Finding("Root", severity="critical", context={"account": "1"}, outputs="pagerduty:soc")
        self.assertEqual((finding.title, finding.severity, finding.outputs), ("Root", "critical", ["pagerduty:soc"]))
        self.assertEqual(
            finding, Finding("Root", severity="critical", context={"account": "1"}, outputs=["pagerduty:soc"])
        )
        self.assertEqual(repr(Finding("x", dedup_key="k")), "Finding(title='x', dedup_key='k')")

    def test_what_means_nothing_is_refused(self):
        with self.assertRaises(ValueError):
            Finding(severity="awful")
        with self.assertRaises(TypeError):
            Finding(context=["x"])
