import io
import re
import unittest
from pathlib import Path

from streamalert_sdk.rule import RULES


class Readme(unittest.TestCase):
    def test_its_python_runs(self):
        text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        self.assertGreater(len(blocks), 4)
        before, names = list(RULES), {"__name__": "readme"}
        self.addCleanup(lambda: RULES.__setitem__(slice(None), before))
        for block in blocks:
            exec(compile(block, "README.md", "exec"), names)  # noqa: S102
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(names["Logins"])
        done = unittest.TextTestRunner(stream=io.StringIO()).run(tests)
        self.assertTrue(done.wasSuccessful() and done.testsRun == 1)
        declared = [rule.name for rule in RULES[len(before) :]]
        self.assertEqual(declared, ["root_login", "many_conditions", "few_conditions"])
