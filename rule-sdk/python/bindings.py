#!/usr/bin/env python3
"""Writes bindings/, what componentize-py makes of wit/: tests run a component's own side with it, and editors complete
by it. A component's bindings are made anew when it is built.

    rule-sdk/python/bindings.py            writes them
    rule-sdk/python/bindings.py --check    says what is not as it would be written; exit code 1 if anything is
"""

import shutil
import sys
import tempfile
from pathlib import Path

import build

BINDINGS = build.SDK / "bindings"
WORLDS = tuple(build.WORLDS)
#: The rest is for components that wait, which ours do not.
KEPT = ("wit_world", "componentize_py_types.py")


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as place:
        fresh = Path(place)
        for world in WORLDS:
            made = fresh / "made" / world
            command = [str(build.tool("componentize-py")), "--wit-path", str(build.WIT), "--world", world]
            done = build.run([*command, "bindings", str(made)])
            if done.returncode:
                sys.exit(f"error: {build.told(done.stdout)}")
            for name in KEPT:
                (fresh / "kept" / world).mkdir(parents=True, exist_ok=True)
                shutil.move(made / name, fresh / "kept" / world / name)
        stale = differences(fresh / "kept", BINDINGS)
        if check:
            sys.exit("\n".join(f"{name} is not what rule-sdk/python/bindings.py writes" for name in stale) or 0)
        shutil.rmtree(BINDINGS, ignore_errors=True)
        shutil.copytree(fresh / "kept", BINDINGS)


def differences(fresh, there):
    texts = [{path.relative_to(root): path.read_bytes() for path in root.rglob("*.py")} for root in (fresh, there)]
    return sorted(str(name) for name in texts[0].keys() | texts[1].keys() if texts[0].get(name) != texts[1].get(name))


if __name__ == "__main__":
    main()
