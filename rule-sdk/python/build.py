#!/usr/bin/env python3
"""Makes one component of a folder of rules, of a parser, of publishers or of an output in Python.

    rule-sdk/python/build.py FOLDER [--out FILE.wasm]

FOLDER holds a pyproject.toml and the modules of the rules: every .py file and package in it, but for tests. What is not
rules says what it is by `world` under [tool.streamalert] in pyproject.toml: parser, publisher or output. What
`dependencies` names there goes into the component, too; it must be pure Python, since there is no machine code in
WebAssembly. The component is FOLDER/target/plugins/<name>.wasm, or --out.

The tools, of the versions in requirements.txt, lie in target/toolchains/python of the checkout, and are fetched from
PyPI when they are not there. Environment:

    STREAMALERT_PYTHON_TOOLCHAIN   a folder for them instead
"""

import argparse
import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

SDK = Path(__file__).resolve().parent
WIT = SDK.parent.parent / "wit"
#: What is imported late by the standard library itself: in a component there are no files to import from.
LATE = (
    "_strptime",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.punycode",
    "encodings.cp1252",
)
#: Files of a folder that are no rules.
NO_RULES = re.compile(r"(test_.*|.*_test|conftest|setup)\.py")
NO_PACKAGES = {"tests", "test", "cases", "target", "build", "dist", "venv", "node_modules"}
#: For each world, the SDK's module that exports its interface, the class there, and where what was declared is kept.
WORLDS = {
    "rule": ("guest", "Detection", "rule.RULES"),
    "parser": ("guest_parser", "Parsing", "parsing.PARSERS"),
    "publisher": ("guest_publisher", "Publishing", "publishing.PUBLISHERS"),
    "output": ("guest_output", "Delivery", "delivery.OUTPUTS"),
}
#: Worlds of which a component is one, and not a list.
SINGLE = ("parser", "output")
#: Under this name the component begins; no module of a rule may have it.
ENTRY = "streamalert_component"
#: What looks through the declarations when all modules have run.
CHECK = "streamalert_check"
#: What the tool's own Python has installed beside it lies at this place of the path; it is no part of a component.
TOOLS_OWN = "/1"


class BuildError(Exception):
    """What went wrong, for whoever builds."""


def main():
    parser = argparse.ArgumentParser(description="Makes one component of a folder of rules in Python.")
    parser.add_argument("folder", type=Path, help="folder with pyproject.toml and the modules of the rules")
    parser.add_argument("--out", type=Path, help="the component [FOLDER/target/plugins/<name>.wasm]")
    arguments = parser.parse_args()
    try:
        print(build(arguments.folder, arguments.out))
    except BuildError as error:
        sys.exit(f"error: {error}")


def build(folder, out=None):
    """The component of a folder of rules."""
    name, dependencies, world = manifest(folder)
    out = out or folder / "target" / "plugins" / f"{name.replace('-', '_')}.wasm"
    with tempfile.TemporaryDirectory() as place:
        stage = Path(place) / "stage"
        modules = take(folder, stage)
        if not modules:
            raise BuildError(f"{folder} holds no modules, so there is nothing to make a component of")
        for name in sorted({ENTRY, CHECK, "streamalert_sdk"} & {module.partition(".")[0] for module in modules}):
            raise BuildError(f"a module is called {name}, which is taken; give it another name")
        shutil.copytree(
            SDK / "streamalert_sdk", stage / "streamalert_sdk", ignore=shutil.ignore_patterns("__pycache__")
        )
        mark = marked(inputs(stage, [world, *dependencies]))
        if ends_with(out, mark):
            return out
        install(dependencies, stage)
        guest, exported, kept = WORLDS[world]
        (stage / f"{CHECK}.py").write_text(check(world, kept), encoding="utf-8")
        componentize(world, stage, [*modules, CHECK], f"streamalert_sdk.{guest}", exported, out, mark)
    return out


def check(world, kept):
    """A module that refuses what makes no component of this world."""
    module, names = kept.split(".")
    noun = f"one {world}" if world in SINGLE else f"a {world}"
    fits = f"len({names}) == 1" if world in SINGLE else names
    hint = 'what is not rules says so in pyproject.toml, such as [tool.streamalert] world = "parser"'
    message = f"the modules must declare {noun} by @{world}, and declare {{len({names})}}; {hint}"
    return (
        f"from streamalert_sdk.{module} import {names}\n"
        f"if not ({fits}):\n    raise AssertionError(f{message!r})\n"
    )


def manifest(folder):
    """Name, dependencies and world of pyproject.toml."""
    file = folder / "pyproject.toml"
    try:
        whole = tomllib.loads(file.read_text(encoding="utf-8"))
        project = whole["project"]
        name = project["name"]
    except FileNotFoundError:
        raise BuildError(f"{file} is not there; write one with [project], name and version") from None
    except KeyError as key:
        raise BuildError(f"{file} has no {key}; write [project] with name and version") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildError(f"{file}: {error}") from None
    world = whole.get("tool", {}).get("streamalert", {}).get("world", "rule")
    if world not in WORLDS:
        raise BuildError(f"{file}: [tool.streamalert] world {world!r} is none of {', '.join(WORLDS)}")
    own = re.compile(r"streamalert[-_.]sdk\b", re.IGNORECASE)
    dependencies = [wanted for wanted in project.get("dependencies", []) if not own.match(wanted)]
    return name, dependencies, world


def take(folder, stage):
    """Copies the modules and packages of a folder, and names them."""
    stage.mkdir(parents=True, exist_ok=True)
    modules = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.name in NO_PACKAGES or path.name == "__pycache__" or not any(path.rglob("*.py")):
                continue
            shutil.copytree(path, stage / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            modules += packages(stage, stage / path.name)
        elif path.suffix == ".py" and not NO_RULES.fullmatch(path.name):
            shutil.copy(path, stage / path.name)
            modules.append(path.stem)
        elif path.suffix == ".json":
            # A parser's schemas; read while the component is made, since it has no files.
            shutil.copy(path, stage / path.name)
    return modules


def packages(stage, folder):
    """All modules below a folder that was copied."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        if NO_RULES.fullmatch(path.name):
            continue
        parts = path.relative_to(stage).with_suffix("").parts
        if all(part.isidentifier() for part in parts):
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [module for module in found if module]


def install(requirements, stage):
    """Puts packages from PyPI beside the modules."""
    if not requirements:
        return
    command = [str(tool("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    done = run([*command, "--target", str(stage), *requirements])
    if done.returncode:
        raise BuildError(f"pip could not install {', '.join(requirements)}:\n{done.stdout}")
    shutil.rmtree(stage / "bin", ignore_errors=True)
    native = [path.name for path in stage.rglob("*.so")]
    if native:
        raise BuildError(
            f"{', '.join(requirements)} bring machine code ({', '.join(native[:3])}); only pure Python can be used"
        )


def inputs(stage, dependencies):
    """The digest of all that a component is made of. Python's memory is never twice the same, so what is not made anew
    keeps its digest, by which the host knows it, and its compiled code."""
    digest = hashlib.sha256()
    own = [Path(__file__), SDK / "requirements.txt", *WIT.glob("*.wit")]
    for path in sorted(own) + sorted(path for path in stage.rglob("*") if path.is_file()):
        name = path.relative_to(stage) if stage in path.parents else path.name
        text = path.read_bytes()
        digest.update(f"{name} {len(text)}\n".encode() + text)
    digest.update("\n".join(dependencies).encode())
    return digest.hexdigest()


def marked(digest):
    """A section without a meaning, for the end of a component."""
    name, text = b"streamalert:inputs", digest.encode()
    section = bytes([len(name)]) + name + text
    return bytes([0, len(section)]) + section


def ends_with(file, mark):
    try:
        with open(file, "rb") as component:
            component.seek(-len(mark), os.SEEK_END)
            return component.read() == mark
    except OSError:
        return False


def componentize(world, stage, modules, guest, exported, out, mark=b"", late=()):
    """Runs the modules once, and makes a component of what Python's memory holds then. `guest` is the module that has
    the class which the world exports; it may import further modules, `late`, by itself."""
    if not WIT.is_dir():
        raise BuildError(f"{WIT} is not there: this script belongs into a checkout of StreamAlert")
    lines = [
        "import importlib, sys",
        f"sys.path[:] = [place for place in sys.path if place != {TOOLS_OWN!r}]",
        *(f"importlib.import_module({module!r})" for module in modules),
        f"from {guest} import {exported}",
        f"for late in {late_imports(stage, [*modules, *late, guest])!r}:",
        "    try:",
        "        importlib.import_module(late)",
        "    except Exception:",
        "        pass",
        # What is there now stays, so nobody need look through it for garbage. Rules with findings are a sixth faster.
        "import gc",
        "gc.collect()",
        "gc.freeze()",
    ]
    (stage / f"{ENTRY}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = stage.parent / "made.wasm"
    command = [str(tool("componentize-py")), "--quiet", "--wit-path", str(WIT), "--world", world]
    done = run([*command, "componentize", "--python-path", str(stage), "--output", str(made), ENTRY])
    if done.returncode or not made.is_file():
        raise BuildError(told(done.stdout))
    # Whole or not at all: a process that watches the folder never sees half a file.
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(f".{out.name}.{os.getpid()}")
    new.write_bytes(made.read_bytes() + mark)
    os.replace(new, out)


def told(output):
    """What the author can use of the tool's words: not its own backtrace."""
    lines = output.partition("\nStack backtrace:")[0].splitlines()
    begin = next((at for at, line in enumerate(lines) if line.startswith("AssertionError: ")), None)
    if begin is not None:
        lines = [lines[begin].removeprefix("AssertionError: "), *lines[begin + 1 :]]
    end = next((at for at, line in enumerate(lines) if line.startswith("Caused by:")), len(lines))
    # `/0` is where the modules lay.
    return (
        "\n".join(line.replace('"/0/', '"') for line in lines[:end]).strip()
        or "componentize-py failed and said nothing"
    )


def late_imports(stage, modules):
    """What these modules, and those of the stage that they import, import within functions. At run time there are no
    files, so it must be there from the start."""
    found, seen, waiting = set(LATE), set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        if "." in module:
            waiting.append(module.rpartition(".")[0])
        path = file_of(module, stage)
        if path is None:
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        package = tuple(module.split("."))[: None if path.name == "__init__.py" else -1]
        for node in ast.walk(tree):
            waiting += imported(node, package)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.update(name for statement in ast.walk(node) for name in imported(statement, package))
    return sorted(found)


def file_of(module, stage):
    """Where a module of the stage is."""
    place = stage.joinpath(*module.split("."))
    return next((path for path in (place.with_name(f"{place.name}.py"), place / "__init__.py") if path.is_file()), None)


def imported(statement, package):
    """Modules that a statement imports, and what may be modules."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if not isinstance(statement, ast.ImportFrom):
        return []
    base = list(package[: len(package) - statement.level + 1]) if statement.level else []
    module = ".".join([*base, *([statement.module] if statement.module else [])])
    names = [f"{module}.{alias.name}" for alias in statement.names if alias.name != "*"]
    return [module, *names] if module else []


def tool(name):
    """A program of the toolchain, which is made if it is not there."""
    wanted = (SDK / "requirements.txt").read_text(encoding="utf-8").strip()
    place = os.environ.get("STREAMALERT_PYTHON_TOOLCHAIN")
    place = Path(place) if place else SDK.parent.parent / "target" / "toolchains" / "python"
    home = place / wanted.replace("==", "-")
    folder = home / ("Scripts" if sysconfig.get_platform().startswith("win") else "bin")
    if not (home / "ready").is_file():
        print(f"fetching {wanted} into {home}", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        done = run([sys.executable, "-m", "venv", str(home)])
        if done.returncode:
            raise BuildError(f"`python3 -m venv` failed; on Debian, install python3-venv:\n{done.stdout}")
        pip = [str(folder / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = run([*pip, "--requirement", str(SDK / "requirements.txt")])
        if done.returncode:
            raise BuildError(f"pip could not install {wanted}:\n{done.stdout}")
        (home / "ready").touch()
    return folder / name


def run(command):
    # What these name is put into components otherwise, or into what is told of a failure.
    leave_out = ("VIRTUAL_ENV", "RUST_BACKTRACE", "RUST_LIB_BACKTRACE", "PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in leave_out}
    return subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


if __name__ == "__main__":
    main()
