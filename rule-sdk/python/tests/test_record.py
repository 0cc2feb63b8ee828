import unittest

from streamalert_sdk import Record
from streamalert_sdk.record import dumps, loads


class Reading(unittest.TestCase):
    def setUp(self):
        self.record = Record.from_json(
            {
                "who": {"name": "eve", "a.b": "dotted", "no": None},
                "ports": [22, "80", {"k": [True]}],
                "n": 7,
                "wide": 2**64 - 1,
                "wider": 2**64,
                "half": 0.5,
                "one": 1.0,
                "yes": True,
            }
        )

    def test_values_are_found_by_path(self):
        record = self.record
        self.assertEqual(record.text("who.name"), "eve")
        self.assertEqual(record.text("who.a\\.b"), "dotted")
        self.assertEqual(record.int("ports.0"), 22)
        self.assertIs(record.bool("ports.2.k.0"), True)
        for path in ("who.email", "ports.3", "ports.-1", "ports.x", "n.x", "", "ports.99999999999999999999"):
            self.assertFalse(record.exists(path), path)
            self.assertIsNone(record.value(path))
            self.assertEqual(record.value(path, "else"), "else")

    def test_nothing_is_converted(self):
        record = self.record
        self.assertIsNone(record.int("ports.1"))
        self.assertIsNone(record.int("one"))
        self.assertIsNone(record.int("yes"))
        self.assertIsNone(record.bool("n"))
        self.assertIsNone(record.text("n"))
        self.assertEqual(record.float("n"), 7.0)
        self.assertIsNone(record.float("yes"))
        self.assertIsNone(record.float("ports.1"))

    def test_integers_have_64_bits(self):
        record = self.record
        self.assertEqual((record.int("wide"), record.uint("wide")), (None, 2**64 - 1))
        self.assertEqual((record.int("wider"), record.uint("wider"), record.text("wider")), (None, None, str(2**64)))
        self.assertEqual(record.float("wider"), float(2**64))
        self.assertIsNone(Record.from_json({"n": -1}).uint("n"))

    def test_a_null_is_there(self):
        self.assertTrue(self.record.exists("who.no") and self.record.is_null("who.no"))
        self.assertIsNone(self.record.value("who.no", "else"))
        self.assertFalse(self.record.is_null("who.email"))

    def test_lists_and_objects(self):
        record = self.record
        self.assertEqual((record.len("ports"), record.len("who"), record.len("n")), (3, 3, None))
        self.assertEqual(record.texts("ports"), ["80"])
        self.assertEqual(record.texts("who.name"), ["eve"])
        self.assertEqual(record.items("ports"), [22, "80", {"k": [True]}])
        self.assertEqual((record.texts("n"), record.items("n"), record.items("nothing")), ([], [], []))

    def test_texts_are_compared(self):
        record = self.record
        self.assertTrue(record.is_("who.name", "eve") and record.is_any("who.name", ["adam", "eve"]))
        self.assertFalse(record.is_("who.name", "Eve") or record.is_any("who.email", [None, "x"]) or record.is_("n", 7))
        self.assertEqual((record.text_or("who.name", "-"), record.text_or("n", "-")), ("eve", "-"))


class Json(unittest.TestCase):
    def test_what_logs_do_to_python_does_not_stop_a_rule(self):
        # Half of a surrogate pair, and words that JSON does not have, come out of JSON within a log.
        self.assertEqual(
            dumps(loads('{"title": "\\ud800", "n": [NaN, -Infinity]}')), r'{"title":"\ud800","n":["nan","-inf"]}'
        )
        self.assertEqual(dumps({"set": {"b", "a"}, 1: (2,), "o": object, "n": 10**30}).count("class"), 1)
        self.assertEqual(loads("9" * 5000), "9" * 5000)
        self.assertEqual(loads(f"[{2**80}, 1e5]"), [2**80, 1e5])

    def test_numbers_as_the_host_tells_them(self):
        record = Record.parse('{"huge": 1e400, "tiny": 1e-400, "big": 123456789012345678901234567890, "zero": -0}')
        self.assertEqual(record.text("huge"), "1e400")
        self.assertEqual(record.float("tiny"), 0.0)
        self.assertEqual(record.text("big"), "123456789012345678901234567890")
        self.assertEqual(record.float("big"), 123456789012345678901234567890.0)
        self.assertEqual(record.int("zero"), 0)
