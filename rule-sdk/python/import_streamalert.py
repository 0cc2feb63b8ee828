#!/usr/bin/env python3
"""Makes components of the rules, matchers and publishers of a repository that was made for StreamAlert 3.

    rule-sdk/python/import_streamalert.py REPOSITORY --known FILE.json --out FOLDER

This is one half of `streamalert import streamalert`, which says in FILE what the host knows:

    log_types, datatypes    of the repository's schemas
    services, outputs       what services, and single outputs, are called here where it is otherwise
    publishers              names that the host has itself
    merge_minutes_max       the longest window

FOLDER gets rules.wasm, and publishers.wasm if the repository has publishers of its own; the report goes to standard
output, as JSON.
"""

import argparse
import ast
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import build
from build import BuildError

#: Folders that a repository has if its configuration does not say.
LOCATIONS = {"rule_locations": ["rules"], "matcher_locations": ["matchers"], "publisher_locations": ["publishers"]}
#: Of a whole checkout of StreamAlert, what is no rule; the first two are played by compat/.
NOT_TAKEN = {"streamalert", "stream_alert", "streamalert_cli", "stream_alert_cli", "tests", "conf", "docs", "terraform"}
#: Packages that StreamAlert brought along and rules may import, as they are fetched.
BROUGHT_ALONG = {
    "dateutil": "python-dateutil==2.9.0.post0",
    "jmespath": "jmespath==1.1.0",
    "jsonlines": "jsonlines==4.0.0",
    "netaddr": "netaddr==1.3.0",
    "policyuniverse": "policyuniverse==1.5.1.20231109",
    "six": "six==1.17.0",
}
#: Packages that a repository names and that compat/ has.
PLAYED = {"pathlib2", "cgi"}
#: Configuration that rules can ask for by `load_config`.
CONF_BYTES_MAX = 8 << 20


def main():
    parser = argparse.ArgumentParser(description="Makes components of a repository that was made for StreamAlert 3.")
    parser.add_argument("repository", type=Path)
    parser.add_argument("--known", type=Path, required=True, help="what the host knows, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder for the components")
    arguments = parser.parse_args()
    try:
        known = json.loads(arguments.known.read_text(encoding="utf-8"))
        print(json.dumps(bring(arguments.repository, known, arguments.out)))
    except BuildError as error:
        sys.exit(f"error: {error}")


def bring(repository, known, out):
    """Makes the components; what came of each rule."""
    general = configured(repository)
    with tempfile.TemporaryDirectory() as place:
        stage = Path(place) / "stage"
        stage.mkdir()
        shutil.copytree(
            build.SDK / "streamalert_sdk", stage / "streamalert_sdk", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copytree(build.SDK / "compat", stage, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        own = {path.stem for path in stage.iterdir()}
        modules, notes = take(repository, general, stage)
        if not modules:
            folders = ", ".join(name for names in general["locations"].values() for name in names)
            raise BuildError(f"{repository} has no Python in {folders}, so there are no rules in it")
        missing = beside(repository, stage, own)
        wanted, unknown = requirements(general["libraries"], missing)
        build.install(wanted, stage)
        if any("load_config" in path.read_text(encoding="utf-8", errors="replace") for path in sources(stage, own)):
            (stage / "streamalert_compat_conf.py").write_text(f"CONF = {conf(repository)!r}\n", encoding="utf-8")
        plan = {"modules": modules, "known": known}
        (stage / "streamalert_plan.json").write_text(json.dumps(plan), encoding="utf-8")

        report = component("rule", "streamalert_compat.rules", "Detection", stage, out / "rules.wasm")
        if not report["rules"]:
            (out / "rules.wasm").unlink()
        if report["publishers"]:
            component("publisher", "streamalert_compat.publishers", "Publishing", stage, out / "publishers.wasm")
        else:
            (out / "publishers.wasm").unlink(missing_ok=True)
    libraries = [
        f"{name} is imported, and neither in the repository nor among its third_party_libraries" for name in unknown
    ]
    return {**report, "notes": notes + libraries, "installed": wanted}


def component(world, guest, exported, stage, out):
    plan = json.loads((stage / "streamalert_plan.json").read_text(encoding="utf-8"))
    # The modules are imported by the guest, which tells what became of each; what they import late is looked for here.
    late = [module["module"] for module in plan["modules"]]
    build.componentize(world, stage, [], guest, exported, out, late=late)
    return json.loads((stage / "streamalert_report.json").read_text(encoding="utf-8"))


def configured(repository):
    """What conf/global.json says of rules."""
    file = repository / "conf" / "global.json"
    general = {}
    if file.is_file():
        try:
            general = json.loads(file.read_text(encoding="utf-8")).get("general", {})
        except (ValueError, AttributeError) as error:
            raise BuildError(f"{file}: {error}") from None
    locations = {name: general.get(name, usual) for name, usual in LOCATIONS.items()}
    return {"locations": locations, "libraries": general.get("third_party_libraries") or []}


def take(repository, general, stage):
    """Copies the folders of rules, matchers and publishers; all their modules, matchers first."""
    modules, notes = [], []
    for kind in ("matcher_locations", "publisher_locations", "rule_locations"):
        for name in general["locations"][kind]:
            folder = (repository / name).resolve()
            if not folder.is_dir():
                notes.append(f"conf/global.json names {name} in {kind}, which is not there")
                continue
            if repository.resolve() not in folder.parents:
                raise BuildError(f"conf/global.json names {name} in {kind}, which is not within the repository")
            inside = folder.relative_to(repository.resolve())
            shutil.copytree(folder, stage / inside, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            for path in sorted((stage / inside).rglob("*.py")):
                where = path.relative_to(stage)
                if path.name.startswith("__"):
                    continue
                if any("." in part for part in where.with_suffix("").parts):
                    notes.append(f"{where}: a module has no dot in its name, so it is left out")
                    continue
                module = {"module": ".".join(where.with_suffix("").parts), "file": str(where)}
                if module not in modules:
                    modules.append(module)
    return modules, notes


def sources(stage, own):
    return [
        path for path in sorted(stage.rglob("*.py")) if path.relative_to(stage).parts[0].removesuffix(".py") not in own
    ]


def beside(repository, stage, own):
    """Copies what else of the repository is imported. Packages that are imported and nowhere."""
    there = {path.stem for path in stage.iterdir()}
    while True:
        wanted = {name for path in sources(stage, own) for name in tops(path)} - there - sys.stdlib_module_names
        found = set()
        for name in sorted(wanted - NOT_TAKEN):
            folder, file = repository / name, repository / f"{name}.py"
            if folder.is_dir() and any(folder.rglob("*.py")):
                shutil.copytree(folder, stage / name, ignore=shutil.ignore_patterns("__pycache__"))
                found.add(name)
            elif file.is_file():
                shutil.copy(file, stage / file.name)
                found.add(name)
        there |= found
        if not found:
            return wanted


def tops(path):
    """Top-level packages that a file imports."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def requirements(libraries, missing):
    """What is fetched for the component, and what nobody knows."""
    named = {
        re.split(r"[^A-Za-z0-9_.-]", library.strip(), maxsplit=1)[0].lower().replace("_", "-") for library in libraries
    }
    wanted = [
        library
        for library in libraries
        if re.split(r"[^A-Za-z0-9_.-]", library.strip(), maxsplit=1)[0].lower() not in PLAYED
    ]
    unknown = []
    for name in sorted(missing - PLAYED):
        package = BROUGHT_ALONG.get(name)
        if package and package.partition("==")[0] not in named:
            wanted.append(package)
        elif not package and name.lower().replace("_", "-") not in named:
            unknown.append(name)
    return wanted, unknown


def conf(repository):
    """conf/ as `load_config` gave it, as JSON text."""
    folder, found = repository / "conf", {}
    for path in sorted(folder.glob("*.json")):
        found[path.stem] = read(path)
    found["clusters"] = {path.stem: read(path) for path in sorted((folder / "clusters").glob("*.json"))}
    if "logs" not in found:
        found["logs"] = {}
        for path in sorted((folder / "schemas").glob("*.json")):
            found["logs"].update(read(path))
    text = json.dumps(found)
    if len(text) > CONF_BYTES_MAX:
        raise BuildError(f"{folder} has {len(text)} bytes, which is too much to be carried along for `load_config`")
    return text


def read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BuildError(f"{path}: {error}") from None


if __name__ == "__main__":
    main()
