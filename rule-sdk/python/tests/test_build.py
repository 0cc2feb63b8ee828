import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import bindings
import build


def folder_of(test, files):
    place = tempfile.TemporaryDirectory()
    test.addCleanup(place.cleanup)
    folder = Path(place.name) / "folder"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


class Taking(unittest.TestCase):
    def test_tests_are_no_rules(self):
        folder = folder_of(
            self,
            {
                "one.py": "",
                "test_one.py": "",
                "conftest.py": "",
                "pack/__init__.py": "",
                "pack/two.py": "",
                "pack/deep/three.py": "",
                "tests/test_two.py": "",
                "target/old.py": "",
                "cases/one.json": "[]",
                "setup.py": "",
            },
        )
        stage = folder.parent / "stage"
        self.assertEqual(build.take(folder, stage), ["one", "pack", "pack.deep.three", "pack.two"])
        self.assertFalse((stage / "test_one.py").exists())

    def test_late_imports_come_early(self):
        stage = folder_of(
            self,
            {
                "a.py": "import os\nimport p.b\ndef f():\n    import base64\n    from xml import sax\n",
                "p/__init__.py": "",
                "p/b.py": "from .c import d\ndef f():\n    from . import e\n    from .. import q\n",
                "p/c/__init__.py": "def f():\n    from . import g\n",
                "p/e.py": "def f():\n    import calendar\n",
                "broken.py": "def",
                "unused.py": "def f():\n    import turtle\n",
            },
        )
        found = build.late_imports(stage, ["a", "broken", "nowhere"])
        for name in ("base64", "xml", "xml.sax", "p", "p.e", "p.c.g", "calendar", "_strptime"):
            self.assertIn(name, found)
        for name in ("os", "turtle"):
            self.assertNotIn(name, found)

    def test_what_is_not_changed_is_not_made_anew(self):
        stage = folder_of(self, {"a.py": "x = 1\n"})
        first = build.inputs(stage, [])
        self.assertEqual(first, build.inputs(stage, []))
        self.assertNotEqual(first, build.inputs(stage, ["six==1"]))
        component = stage.parent / "made.wasm"
        component.write_bytes(b"code" + build.marked(first))
        self.assertTrue(build.ends_with(component, build.marked(first)))
        (stage / "a.py").write_text("x = 2\n")
        self.assertFalse(build.ends_with(component, build.marked(build.inputs(stage, []))))
        self.assertFalse(build.ends_with(stage / "nothing.wasm", build.marked(first)))
        (stage.parent / "short.wasm").write_bytes(b"x")
        self.assertFalse(build.ends_with(stage.parent / "short.wasm", build.marked(first)))

    def test_a_manifest_says_what_it_lacks(self):
        folder = folder_of(self, {"pyproject.toml": "[project]\nversion = '1'\n"})
        with self.assertRaisesRegex(build.BuildError, "has no 'name'"):
            build.manifest(folder)
        with self.assertRaisesRegex(build.BuildError, "pyproject.toml is not there"):
            build.manifest(folder.parent)
        (folder / "pyproject.toml").write_text("[project]\nname = 'x'\ndependencies = ['streamalert-sdk', 'yara==1']\n")
        self.assertEqual(build.manifest(folder), ("x", ["yara==1"], "rule"))

    def test_only_what_the_author_can_use_is_told(self):
        said = (
            "Traceback (most recent call last):\n  File ...\nAssertionError: Traceback (most recent call last):\n"
            '  File "/0/rules.py", line 1\nNameError: x\n\n\nCaused by:\n    NameError: x\n\n'
            "Stack backtrace:\n   0: frames"
        )
        self.assertEqual(
            build.told(said), 'Traceback (most recent call last):\n  File "rules.py", line 1\nNameError: x'
        )
        self.assertIn("said nothing", build.told(""))


class Fresh(unittest.TestCase):
    def test_bindings_are_those_of_the_contract(self):
        wanted = (build.SDK / "requirements.txt").read_text().strip().replace("==", "-")
        if not list((build.SDK.parent.parent / "target/toolchains/python").glob(f"{wanted}/ready")):
            self.skipTest("componentize-py is not there; rule-sdk/python/build.py fetches it")
        argv, sys.argv = sys.argv, ["bindings.py", "--check"]
        self.addCleanup(setattr, sys, "argv", argv)
        with self.assertRaises(SystemExit) as done:
            bindings.main()
        self.assertEqual(done.exception.code, 0)
