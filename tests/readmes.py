#!/usr/bin/env python3
"""What the READMEs of the SDKs show is built and run: each block of code in a project of its own page, by what it begins with. A block
that nothing here knows is an error, so that none is left out unseen.

    tests/readmes.py STREAMALERT [FOLDER…]      folders of rule-sdk: c, js, …; `.` is rule-sdk/README.md

Go's page is tested by rule-sdk/go/readme_test.go, Python's examples by rule-sdk/python/tests/test_readme.py, Rust's outputs by rustdoc; here
it is the commands that they show. A language whose tools are not here is passed over, and said so.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "target" / "readmes"
#: Headings that each page of a language has, in this order. Between testing and building it says what there is for other plugins
#: than rules; behind building is what it alone has.
HEADINGS = ["What it is", "A rule", "Reading a record", "Conditions (`when`)", "Findings", "Options", "Helpers", "Testing", "Building"]
OTHER_PLUGINS = {"Parsers", "Publishers", "Outputs", "Parsers, publishers, outputs"}
#: Those that are pages of a language.
LANGUAGES = {"assemblyscript", "c", "go", "js", "python", "rust"}
#: What a language needs that nothing here installs.
TOOLS = {".": "cargo", "assemblyscript": "node", "c": "python3", "go": "go", "js": "node", "python": "python3"}
TOOLS |= {"rust": "cargo", "rust-app": "cargo", "rust-output": "cargo", "rust-parser": "cargo"}
#: Commands that are run elsewhere, or cannot be run, by what the block begins with; and why.
ELSEWHERE = {
    "streamalert import streamalert": "tests/it/import.rs runs it",
    "go run streamalert/sdk/cmd/component -o": "rule-sdk/go/readme_test.go runs it",
}

HEAD_JS = "rule, equals, prefix, suffix, contains, exists, Finding, Record, helpers"
#: Pieces, by what they begin with: the code around them, for the file of all pieces.
PIECES = {
    "assemblyscript": [
        (r"when: \[", 'rule({{ name: "piece_{n}", logs: ["a"],\n{code}\n}}, (record: Record): bool => true);\n'),
        (
            r"new Finding\(",
            'test("piece {n}", () => {{\n  const account = "1";\n  const found =\n{code}\n  assert(found.title !== null);\n}});\n',
        ),
        (r"helpers\.", 'test("piece {n}", () => {{\n  const record = Record.parse("{{}}");\n{code}\n}});\n'),
    ],
    "js": [
        (r"when: \[", 'rule({{ name: "piece_{n}", logs: ["a"],\n{code}\n}}, () => true);\n'),
        (r"new Finding\(", 'test("piece {n}", () => {{\n  const account = "1";\n  const found =\n{code}\n  assert.equal(found.parts.severity, "critical");\n}});\n'),
        (r"helpers\.", 'test("piece {n}", () => {{\n  const record = Record.fromJson({{}});\n{code}\n}});\n'),
    ],
    "c": [
        (r"\.when =", 'SA_RULE(piece_{n}, .logs = SA_TEXTS("a"),\n{code}\n) {{ return record && finding; }}\n'),
        (r"sa_title\(", "static bool piece_{n}(sa_finding *finding, sa_str account) {{\n{code}\n}}\n"),
        (r"sa_in_network\(", "static void piece_{n}(const sa_record *record) {{\n{code}\n}}\n"),
    ],
    "rust": [
        (r"when\(", '#[rule(logs = ["a"],\n{code}\n)]\nfn piece_{n}(_: &Record) -> bool {{ true }}\n'),
        (r"Finding::new\(", '#[test]\nfn piece_{n}() {{\n    let account = "1";\n    let _ =\n{code}\n;\n}}\n'),
        (r"helpers::", '#[test]\nfn piece_{n}() {{\n    let record = &Record::from_json(json!({{}}));\n    {each}\n}}\n'),
        (r"#\[test\]", "{code}\n"),
    ],
}
HEADS = {
    "assemblyscript": 'import { %s } from "streamalert-as";\nimport { test } from "streamalert-as/testing";\n' % HEAD_JS,
    "js": 'import assert from "node:assert/strict";\nimport test from "node:test";\nimport { %s } from "streamalert-js";\n' % HEAD_JS,
    "c": "#include <streamalert.h>\n",
    "rust": "\n#[cfg(test)]\nmod pieces {\nuse super::*;\n",
}


class Wrong(Exception):
    """What is not as it should be, for whoever wrote the page."""


class Block:
    def __init__(self, language, code, file, line):
        self.language, self.code, self.file, self.line = language, code, file, line

    def is_(self, *languages):
        return self.language.partition(",")[0] in languages


def blocks(text):
    """The blocks of a page. One is a file if the line before it begins with its name between backquotes."""
    found, before, opened, code = [], "", None, []
    for number, line in enumerate(text.splitlines(), 1):
        if opened is None and line.startswith("```"):
            opened, code = (line[3:].strip(), number), []
        elif opened is not None and line.startswith("```"):
            name = re.match(r"`([\w./-]+\.\w+)`", before)
            found.append(Block(opened[0], "\n".join(code) + "\n", name and name[1], opened[1]))
            opened, before = None, ""
        elif opened is not None:
            code.append(line)
        elif line.strip():
            before = line.strip()
    return found


def run(command, folder, shell=False, **more):
    env = dict(os.environ, CARGO_TARGET_DIR=str(ROOT / "target" / "fresh-cargo"), NO_COLOR="1", **more)
    done = subprocess.run(
        command, cwd=folder, env=env, shell=shell, executable="/bin/bash" if shell else None, capture_output=True, text=True, check=False
    )
    if done.returncode:
        shown = command if shell else " ".join(map(str, command))
        raise Wrong(f"{shown}\nfailed in {folder}:\n{done.stdout}{done.stderr}")
    return done.stdout


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Page:
    def __init__(self, name, streamalert):
        self.name, self.streamalert = name, streamalert
        self.path = ROOT / "rule-sdk" / name / "README.md"
        self.text = self.path.read_text(encoding="utf-8")
        self.folder = WORK / (name if name != "." else "first")
        self.pieces = []
        self.worlds = []

    def where(self, block):
        return f"{self.path.relative_to(ROOT)}, line {block.line}"

    def try_all(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        commands = []
        for block in blocks(self.text):
            if block.is_("sh"):
                commands.append(block)
            elif not self.elsewhere(block):
                self.take(block)
        getattr(self, "finish_" + self.name.replace("-", "_").replace(".", "first"), lambda: None)()
        for block in commands:
            self.command(block)

    def elsewhere(self, block):
        """Whether the block is tested by the SDK itself, or is no code."""
        own = {"go": ("go", ""), "python": ("python",), "rust-app": ("rust", "toml"), "rust-output": ("rust", "toml")}
        return block.is_("text") or block.is_(*own.get(self.name, ("text",)))

    def take(self, block):
        code = block.code
        if block.file and self.name in PIECES and not re.search(r"test\(|assert", code):
            # Written for a folder beside the examples; here it lies elsewhere.
            return write(self.folder / block.file, self.at_home(code))
        if block.file or block.is_("toml"):
            return write(self.folder / (block.file or "dependencies.toml"), self.at_home(code))
        if self.name == "rust-parser" and block.is_("json"):
            return write(self.folder / "cases" / "readme.json", code)
        if self.name == "js" and "node:test" in code:
            return write(self.folder / "test" / f"at{block.line}.test.js", code)
        if self.name == "assemblyscript" and "/testing" in code:
            return write(self.folder / "tests" / f"at{block.line}.ts", code)
        if self.name == "c" and "int main(void)" in code:
            return write(self.folder / "tests" / f"at{block.line}.c", code)
        if self.name in ("js", "assemblyscript") and re.match(r"import .* from", code, re.DOTALL):
            return self.worlds.append([block])
        if self.name == "c" and re.search(r"^SA_(PARSER|PUBLISHER)\(", code, re.MULTILINE):
            return self.worlds.append([block])
        if self.name == "js" and "new FakeHttp()" in code:
            return self.worlds[-1].append(block)
        for begin, around in PIECES.get(self.name, []):
            if re.match(begin, code):
                each = "\n    ".join(f"let _ = {line};" for line in code.strip().splitlines())
                self.pieces.append(around.format(n=block.line, code=code.rstrip(), each=each))
                return None
        raise Wrong(f"{self.where(block)}: it is not known how to build this:\n{code}")

    def at_home(self, code):
        return code.replace("../../../rule-sdk/", f"{ROOT}/rule-sdk/")

    def command(self, block):
        for begin, why in ELSEWHERE.items():
            if block.code.startswith(begin):
                return say(f"{self.where(block)}: {why}")
        code = re.sub(r"\b(DIR|FOLDER)\b", str(self.folder), block.code)
        if "rustup target add" in code:
            targets = subprocess.run(["rustup", "target", "list", "--installed"], capture_output=True, text=True, check=False)
            if "wasm32-unknown-unknown" not in targets.stdout:
                return say(f"{self.where(block)}: passed over: rustup has not installed the target; `streamalert build` builds by its own")
            code = code.replace("rustup target add", "true")
        if "-tinygo" in code and not shutil.which("tinygo"):
            return say(f"{self.where(block)}: passed over: there is no tinygo")
        path = f"{self.streamalert.parent}:{os.environ['PATH']}"
        # By hand is from the checkout; what the page begins with from where its folder is.
        place = ROOT if "rule-sdk/" in code else self.folder
        if self.name == "go":
            place = ROOT / "example-rules" / "root-login" / "go"
            code = code.replace("-o root_login.wasm", f"-o {self.folder}/root_login.wasm")
        if self.name == "c":
            code = code.replace("--out root_login.wasm", f"--out {self.folder}/root_login.wasm")
        return run("set -e\n" + code, place, shell=True, PATH=path)

    def finish_assemblyscript(self):
        write(self.folder / "tests" / "pieces.ts", HEADS["assemblyscript"] + "".join(self.pieces))
        told = run([ROOT / "rule-sdk/assemblyscript/bin/streamalert-as.mjs", "test"], self.folder)
        expect(told, r"[1-9]\d* passed, 0 failed")
        self.build_worlds("assembly/index.ts")

    def finish_js(self):
        write(self.folder / "test" / "pieces.test.js", HEADS["js"] + "".join(self.pieces))
        told = run([ROOT / "rule-sdk/js/bin/streamalert-js.mjs", "test"], self.folder)
        expect(told, r"pass [1-9]")
        self.build_worlds("src/index.js")

    def finish_c(self):
        write(self.folder / "pieces.c", HEADS["c"] + "#pragma GCC diagnostic ignored \"-Wunused-function\"\n" + "".join(self.pieces))
        told = run(["make", "--silent", "--file", "streamalert.mk", "test"], self.folder)
        expect(told, r"tests/at\d+\.c: ok")
        for [block] in self.worlds:
            world = re.search(r"^SA_(PARSER|PUBLISHER)\(", block.code, re.MULTILINE)[1].lower()
            folder = self.folder / "worlds" / f"at{block.line}"
            include = (self.folder / "streamalert.mk").read_text(encoding="utf-8")
            write(folder / "streamalert.mk", f"SA_WORLD := {world}\n{include}")
            write(folder / f"{world}.c", block.code)
            expect(run([self.streamalert, "build"], folder), world)

    def finish_rust(self):
        source = self.folder / "src" / "lib.rs"
        source.write_text(source.read_text(encoding="utf-8") + HEADS["rust"] + "".join(self.pieces) + "}\n", encoding="utf-8")
        self.crate(self.folder / "Cargo.toml")

    def finish_rust_parser(self):
        rules = (ROOT / "rule-sdk/rust/README.md").read_text(encoding="utf-8")
        manifest = next(block.code for block in blocks(rules) if block.file == "Cargo.toml")
        dependencies = self.folder / "dependencies.toml"
        head = manifest.partition("[dependencies]")[0].replace("aws-identity", "door")
        write(self.folder / "Cargo.toml", head + dependencies.read_text(encoding="utf-8"))
        dependencies.unlink()
        self.crate(self.folder / "Cargo.toml")
        expect(run([self.streamalert, "test", "--no-build"], self.folder), "1 passed")

    def crate(self, manifest):
        manifest.write_text(manifest.read_text(encoding="utf-8") + "\n[workspace]\n", encoding="utf-8")
        shutil.copy(ROOT / "example-rules" / "Cargo.lock", self.folder)
        told = run(["cargo", "test", "--quiet"], self.folder)
        if self.pieces:
            expect(told, r"[1-9]\d* passed; 0 failed")
        run([self.streamalert, "build"], self.folder)

    def finish_python(self):
        """The first example as a folder of rules, for the command that builds it."""
        for block in blocks(self.text):
            if block.file and block.file.endswith(".py"):
                write(self.folder / block.file, block.code)
                return

    def build_worlds(self, main):
        """Plugins of other worlds, each a package of its own, with what the page shows of testing it."""
        for block, *tests in self.worlds:
            world = re.search(r"^(?:export const (\w+) = )?(publisher|parser|output)\(", block.code, re.MULTILINE)
            if not world:
                raise Wrong(f"{self.where(block)}: it makes no publisher, parser or output")
            folder = self.folder / "worlds" / f"at{block.line}"
            sdk = "js" if self.name == "js" else "as"
            package = {"name": folder.name, "version": "0.1.0", "type": "module", "dependencies": {f"streamalert-{sdk}": "x"}}
            write(folder / "package.json", json.dumps({**package, "streamalert": {"world": world[2]}}))
            write(folder / main, block.code)
            if "schemas.json" in block.code:
                of_rust = (ROOT / "rule-sdk/rust-parser/README.md").read_text(encoding="utf-8")
                write(folder / "schemas.json", next(block.code for block in blocks(of_rust) if block.file == "schemas.json"))
            for test in tests:
                names = ", ".join(sorted(set(re.findall(r"\b(FakeHttp|Parcel|retry|delivered|answer|reject)\b", test.code))))
                head = HEADS["js"].partition("import {")[0] + f'import {{ {names} }} from "streamalert-js";\nimport {{ {world[1]} }} from "../{main}";\n'
                write(folder / "test" / "readme.test.js", f'{head}test("the page", () => {{\n{test.code}}});\n')
                expect(run([ROOT / "rule-sdk/js/bin/streamalert-js.mjs", "test"], folder), "pass 1")
            expect(run([self.streamalert, "build"], folder), world[2])


def expect(told, pattern):
    if not re.search(pattern, told):
        raise Wrong(f"`{pattern}` is not in\n{told}")


def headings(name):
    """A page has what all have, in the same order."""
    path = ROOT / "rule-sdk" / name / "README.md"
    fences = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    text = fences.sub("", path.read_text(encoding="utf-8"))
    found = [line.replace("`When`", "`when`") for line in re.findall(r"^## (.*)$", text, re.MULTILINE)]
    end = found.index("Building") if "Building" in found else len(found)
    others = [heading for heading in found[:end] if heading not in HEADINGS]
    wrong = [heading for heading in others if heading not in OTHER_PLUGINS]
    common = [heading for heading in found[: end + 1] if heading in HEADINGS]
    if common != HEADINGS or wrong or not others:
        raise Wrong(
            f"{path.relative_to(ROOT)} has the headings {', '.join(found)}; it should have {', '.join(HEADINGS)}, and before Building some of "
            f"{', '.join(sorted(OTHER_PLUGINS))}"
        )


def say(text):
    print(f"readmes: {text}", file=sys.stderr)


def main():
    # Under its own name, for the commands that a page shows.
    streamalert = WORK / "bin" / "streamalert"
    streamalert.parent.mkdir(parents=True, exist_ok=True)
    streamalert.unlink(missing_ok=True)
    streamalert.symlink_to(Path(sys.argv[1]).resolve())
    names = sys.argv[2:] or list(TOOLS)
    failed = False
    for name in names:
        begun = time.monotonic()
        try:
            if name in LANGUAGES:
                headings(name)
        except Wrong as wrong:
            say(f"{name}: {wrong}")
            failed = True
        try:
            if not shutil.which(TOOLS[name]):
                say(f"{name} is passed over: there is no {TOOLS[name]}")
                continue
            Page(name, streamalert).try_all()
            say(f"{name} in {time.monotonic() - begun:.2f} s")
        except Wrong as wrong:
            say(f"{name}: {wrong}")
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
