import copy
import functools
import linecache
import random
import sys
import unittest
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "compat")]

from streamalert_compat import when
from streamalert_sdk import equals, exists, prefix, suffix
from streamalert_sdk.path import ABSENT, walk

NAMES = {"a", "b"}
GROWS = {"a"}
EVENTS = frozenset({"CreateUser", "DeleteUser"})
END = "end"
TYPES = ("command", "path")


class Kinds:
    MANY = ["x", "y"]

    @classmethod
    def of_class(cls, record):
        return record["a"] in cls.MANY and record["b"] == f"{END}.z" and record["c"].endswith("." + END)

    @staticmethod
    def static(record):
        return record["a"] == "x"


def grow():
    GROWS.add("b")


def helper(record):
    record["a"] = "x"


def hands_on(record, other):
    return plain(other) and helper(record)


def plain(record):
    return True


class Needed(unittest.TestCase):
    def check(self, function, *conditions):
        found = when.needed(function)
        self.assertEqual(sorted(map(repr, found)), sorted(map(repr, conditions)), function)

    def test_comparisons_with_constants(self):
        self.check(lambda r: r["a"] == "x", equals("a", ["x"]))
        self.check(lambda r: "x" == r["a"]["b"], equals("a.b", ["x"]))
        self.check(lambda r: r.get("a", {}).get("b.c") == "x", equals("a.b\\.c", ["x"]))
        self.check(lambda r: r["a"] in ("x", "y"), equals("a", ["x", "y"]))
        self.check(lambda r: r["a"] in NAMES, equals("a", ["a", "b"]))
        self.check(
            lambda r: r["a"] in EVENTS and r["b"] in Kinds.MANY, equals("a", sorted(EVENTS)), equals("b", ["x", "y"])
        )
        self.check(lambda r: r["a"].startswith(("x", "y")), prefix("a", ["x", "y"]))
        self.check(lambda r: r.get("a", "").endswith("x"), suffix("a", ["x"]))
        self.check(lambda r: bool(r["a"] == "x"), equals("a", ["x"]))
        self.check(lambda r: all((r["a"] == "x", r["b"] != "y")), equals("a", ["x"]))
        self.check(lambda r: any([r["a"] == "x", r["a"] == "y"]), equals("a", ["x", "y"]))

    def test_methods(self):
        self.check(Kinds.of_class, equals("a", ["x", "y"]), equals("b", ["end.z"]), suffix("c", [".end"]))
        self.check(Kinds.static, equals("a", ["x"]))
        self.check(functools.partial(plain))

        @functools.wraps(Kinds.static)
        def wrapped(record):
            return not Kinds.static(record)

        self.check(wrapped)

    def test_python_takes_true_for_1(self):
        self.check(lambda r: r["a"] == 1, equals("a", [1, True]))
        self.check(lambda r: r["a"] == True, equals("a", [1, True]))  # noqa: E712
        self.check(lambda r: r["a"] is True, equals("a", [True]))
        self.check(lambda r: r["a"] in (0, 2.5), equals("a", [0, 2.5, False]))
        self.check(lambda r: r["a"] == 2**63)
        self.check(lambda r: r["a"] == -7, equals("a", [-7]))

    def test_what_is_not_there_may_be_equal_too(self):
        self.check(lambda r: r.get("a", "x") == "x")
        self.check(lambda r: r.get("a", "x") in ("x", "y"))
        self.check(lambda r: r.get("a") in ("x", None))
        self.check(lambda r: r.get("a", "xyz").startswith("x"))
        self.check(lambda r: r.get("a", {"b": "x"})["b"] == "x")
        self.check(lambda r: r.get("a") != "x")
        self.check(lambda r: not r.get("a") == "x")

    def test_texts_have_items_too(self):
        self.check(lambda r: r["a"][0] == "x")
        self.check(lambda r: r["a"]["b"][0]["c"] == "x", exists("a.b"))
        self.check(lambda r: "x" in r["a"])
        self.check(lambda r: r["a"] in "xyz")

    def test_and_or_not(self):
        self.check(lambda r: r["a"] == "x" or r["a"] == "y", equals("a", ["x", "y"]))
        self.check(lambda r: r["a"] == "x" or r["b"] == "y")
        self.check(lambda r: not (r["a"] != "x" or r["b"] not in NAMES), equals("a", ["x"]), equals("b", ["a", "b"]))
        self.check(lambda r: (r["a"] == "x" or r["b"]) and r["c"] == "z", equals("c", ["z"]))
        self.check(lambda r: not r["a"]["b"], exists("a.b"))
        self.check(lambda r: r["a"]["b"] != "x" and r["c"].lower() == "y", exists("a.b"))
        self.check(lambda r: r["x"] == "y" if r["a"]["b"] else False, exists("a.b"))

    def test_guards_and_branches(self):
        def guarded(record):
            """Says something."""
            if record["a"] != "x":
                return False
            if not record["b"] in NAMES:
                return None
            for item in record["c"]:
                if item == "d":
                    return True
            return record["d"] == "not reached by all"

        self.check(guarded, equals("a", ["x"]), equals("b", ["a", "b"]))

        def branched(record):
            if record["name"] == "Put":
                return record["kind"] == "bucket"
            elif record["name"] == "Delete":
                return record["kind"] == "key"
            else:
                return False

        self.check(branched, equals("name", ["Delete", "Put"]), equals("kind", ["bucket", "key"]))

        def falls_through(record):
            found = False
            if record["name"] == "Put":
                found = record["kind"]
            return found and record["x"] == "y"

        self.check(falls_through, equals("x", ["y"]))

        def returns_early(record):
            if record["a"] == "x":
                return True
            return record["b"] == "y"

        self.check(returns_early)

        def raises(record):
            if record["a"] != "x":
                raise ValueError("no")
            return True

        self.check(raises, equals("a", ["x"]))

    def test_names_for_parts_of_the_record(self):
        def named(record):
            detail = record.get("detail", {})
            name = detail["eventName"]
            wanted = name in EVENTS
            return wanted and name == "CreateUser" and detail.get("user", {}).get("type") == "Root"

        self.check(named, equals("detail.eventName", ["CreateUser"]), equals("detail.user.type", ["Root"]))

        def renamed(record):
            record = record["detail"]
            name = record["name"]
            name = name.lower()
            return name == "x" and record["kind"] == "y"

        self.check(renamed, exists("detail.name"), equals("detail.kind", ["y"]))

    def test_what_may_change_the_record_ends_all_knowledge(self):
        self.check(lambda r: helper(r) or r["a"] == "x")
        self.check(lambda r: r["a"] == "x" and not helper(r) and r["b"] == "y", equals("a", ["x"]))
        self.check(lambda r: r.pop("b", None) == "x" and r["a"] == "x")
        self.check(lambda r: [helper(item) for item in [r]] and r["a"] == "x")
        self.check(lambda r: len(r["list"]) > 1 and r["a"] == "x", equals("a", ["x"]))

        self.check(lambda r: all([not helper(r), r["a"] == "x"]))

        def asks_and_changes(record):
            if helper(record):
                return False
            return record["a"] == "x"

        def names_and_changes(record):
            _ = helper(record)
            return record["a"] == "x"

        self.check(asks_and_changes)
        self.check(names_and_changes)

        def changes(record):
            record["a"] = "x"
            return record["a"] == "x"

        self.check(changes)
        self.assertTrue(when.changes_record(changes) and when.changes_record(helper))
        self.assertTrue(when.changes_record(hands_on) and not when.changes_record(hands_on, 1))
        self.assertFalse(when.changes_record(plain))

    def test_values_that_do_not_stay_are_not_trusted(self):
        self.check(lambda r: r["a"] in GROWS)
        local = ["x"]
        self.check(lambda r: r["a"] in local, equals("a", ["x"]))
        self.check(lambda r, s="x": r["a"] == s)

    def test_functions_are_read_to_their_end(self):
        several = [
            lambda r: r["a"] == "x"
            or r["b"] == "y",
            lambda r: r["a"] == "x"
            and r["b"] == "y",
        ]  # fmt: skip
        self.check(several[0])
        self.check(several[1], equals("a", ["x"]), equals("b", ["y"]))
        two = [lambda r: r["a"] == "x", lambda r: r["a"] == "y"]
        self.check(two[0])

        @functools.lru_cache
        def cached(record):
            return record["a"] == "x"

        self.check(cached)

    def test_what_cannot_be_read_has_no_conditions(self):
        self.check(plain)
        self.check(len)
        self.check(exec)
        made = {}
        exec("def made(record): return record['a'] == 'x'", made)
        self.check(made["made"])

        def generator(record):
            yield record["a"] == "x"

        self.check(generator)
        many = "\n".join(f"    if record['a{n}'] == 'x': record_{n} = 1" for n in range(30))
        self.assertLess(len(many), 5000)

    def test_long_functions_end(self):
        namespace = {}
        source = (
            "def long(record):\n"
            + "".join(f"    if record['a{n}']: x = {n}\n" for n in range(40))
            + "    return record['z'] == 'x'\n"
        )
        place = Path(self.id()).with_suffix(".py").name
        linecache.cache[place] = (len(source), None, source.splitlines(True), place)
        exec(compile(source, place, "exec"), namespace)
        self.assertEqual(when.needed(namespace["long"]), [])


class Chance:
    """Functions as chance would write them, and records to match."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pick = self.random.choice

    def scalar(self):
        return self.pick(["x", "x", "x", "x", "y", "", "xy", 0, 1, 2, True, False, None, 1.0, 0.5])

    def path(self, names):
        text = self.pick(names)
        for _ in range(self.pick([1, 1, 1, 2, 3])):
            key = self.pick("abc")
            default = self.pick(["", "", ", {}", f", {self.scalar()!r}"])
            text += self.pick([f"[{key!r}]", f"[{key!r}]", f".get({key!r}{default})"])
        return text

    def collection(self):
        items = ", ".join(repr(self.scalar()) for _ in range(self.pick([1, 2, 3])))
        return self.pick([f"({items},)", f"[{items}]", f"{{{items}}}"])

    def test(self, names, depth=0):
        path = self.path(names)
        kinds = [
            lambda: f"{path} {self.pick(['==', '!=', 'is'])} {self.scalar()!r}",
            lambda: f"{self.scalar()!r} == {path}",
            lambda: f"{path} {self.pick(['in', 'not in'])} {self.collection()}",
            lambda: f"{path}.{self.pick(['startswith', 'endswith'])}({self.pick(['x', 'y', ('x', 'y')])!r})",
            lambda: path,
            lambda: f"{self.scalar()!r} in {path}",
            lambda: f"len({path}) > 0",
            lambda: self.pick([path, "not helper(r)", "r.pop('b', 1)", "[helper(part) for part in [r]]"]),
        ]
        if depth < 3:
            more = lambda: self.test(names, depth + 1)  # noqa: E731
            kinds += [
                lambda: f"({more()} and {more()})",
                lambda: f"({more()} or {more()})",
                lambda: f"(not {more()})",
                lambda: f"any(({more()}, {more()}))",
                lambda: f"all([{more()}, {more()}])",
                lambda: f"({more()} if {more()} else {more()})",
                lambda: f"bool({more()})",
            ]
        return self.pick(kinds)()

    def body(self, names, indent, depth=0):
        lines = []
        for _ in range(self.pick([0, 1, 2])):
            kind = self.pick(["guard", "branch", "name", "loop", "change"])
            if kind == "guard":
                lines += [f"if {self.test(names)}:", f"    return {self.pick(['False', 'None', '0', 'True'])}"]
            elif kind == "branch" and depth < 2:
                lines += [f"if {self.test(names)}:", *self.body(names, 4, depth + 1)]
                if self.pick([0, 1]):
                    lines += ["else:", *self.body(names, 4, depth + 1)]
            elif kind == "name":
                lines.append(f"n = {self.pick([self.path(names), self.test(names), repr(self.scalar())])}")
            elif kind == "loop":
                lines += [f"for _ in {self.path(names)}:", "    pass"]
            elif depth == 0:
                lines.append(self.pick(["r['a'] = 'x'", "r.pop('b', 0)", "helper(r)"]))
        if depth == 0 or self.pick([0, 1]):
            lines.append(f"return {self.test(names)}")
        return [" " * indent + line for line in lines or ["pass"]]

    def function(self):
        return "\n".join(["def f(r):", "    n = None", *self.body(["r", "r", "n"], 4)])

    def record(self, depth=0):
        def value():
            return self.record(depth + 1) if depth < 2 and self.pick([0, 1]) else self.pick([self.scalar(), ["x"]])

        return {key: value() for key in "abc" if self.pick([0, 1, 1])}


def holds(condition, record):
    """As the host's prefilter has it."""
    found = walk(record, condition.path)
    if condition.test == "exists":
        return found is not ABSENT
    if condition.test == "equals":
        same = lambda value: isinstance(value, bool) == isinstance(found, bool) and value == found  # noqa: E731
        return any(same(value) for value in condition.values)
    return isinstance(found, str) and getattr(found, {"prefix": "startswith", "suffix": "endswith"}[condition.test])(
        condition.values
    )


class Chances(unittest.TestCase):
    def test_no_record_is_kept_from_a_function_that_would_report_it(self):
        told = reported = 0
        for seed in range(3000):
            chance = Chance(seed)
            source, place, namespace = chance.function(), f"chance-{seed}.py", {"helper": helper, "__name__": __name__}
            linecache.cache[place] = (len(source), None, source.splitlines(True), place)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(compile(source, place, "exec"), namespace)
                conditions = when.needed(namespace["f"])
            told += bool(conditions)
            for _ in range(40):
                record = chance.record()
                try:
                    answer = namespace["f"](copy.deepcopy(record))
                except Exception:
                    continue
                if answer:
                    reported += 1
                    for condition in conditions:
                        self.assertTrue(holds(condition, record), f"{source}\n{record}\n{conditions}")
        self.assertGreater(told, 500)
        self.assertGreater(reported, 5000)


class Datatypes(unittest.TestCase):
    def test_who_asks_only_for_normalized_values(self):
        from streamalert.shared.normalize import Normalizer

        def only(rec):
            found = Normalizer.get_values_for_normalized_type(rec, "command") or set()
            return any("x" in value for value in found)

        def more(rec):
            return rec["a"] and Normalizer.get_values_for_normalized_type(rec, "command")

        def loops(rec):
            for name in TYPES:
                if Normalizer.get_values_for_normalized_type(rec, name):
                    return True
            return any(Normalizer.get_values_for_normalized_type(rec, name) for name in ["command"])

        def drifts(rec):
            for name in TYPES:
                name = name.lower()
                name += "x"
                if Normalizer.get_values_for_normalized_type(rec, name):
                    return True
            return False

        self.assertTrue(when.asks_only_for(only, ["command", "path"]))
        self.assertTrue(when.asks_only_for(loops, ["command", "path"]))
        self.assertFalse(when.asks_only_for(loops, ["command"]))
        self.assertFalse(when.asks_only_for(drifts, ["command", "path"]))
        self.assertFalse(when.asks_only_for(only, ["path"]))
        self.assertFalse(when.asks_only_for(more, ["command"]))
        self.assertFalse(when.asks_only_for(plain, ["command"]))
