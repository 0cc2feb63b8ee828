#!/usr/bin/env python3
"""Compares what checkov found with the exceptions that are named.

    checkov.py RESULT.json EXCEPTIONS.tsv
"""

import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path

results = json.loads(Path(sys.argv[1]).read_text())
lines = [line for line in Path(sys.argv[2]).read_text().splitlines() if line and not line.startswith("#")]
exceptions = [line.split("\t") for line in lines[1:]]
used, faults, passed, excused = set(), [], 0, 0
# In patterns, brackets are brackets.
fits = lambda resource, pattern: fnmatchcase(resource.replace("[", "(").replace("]", ")"), pattern.replace("[", "(").replace("]", ")"))
for result in results if isinstance(results, list) else [results]:
    if result["summary"]["parsing_errors"]:
        faults.append(f"checkov could not read {result['summary']['parsing_errors']} files")
    passed += result["summary"]["passed"]
    for failed in result["results"]["failed_checks"]:
        named = [row[0] for row in exceptions if row[0] == failed["check_id"] and fits(failed["resource"], row[1])]
        used.update(named)
        excused += bool(named)
        if not named:
            faults.append(f"{failed['check_id']} {failed['resource']}: {failed['check_name']}")
if passed < 100:
    faults.append(f"checkov has looked at next to nothing: {passed} checks passed")
faults += [f"{id}: the exception is not needed" for id, *_ in exceptions if id not in used]
print("\n".join(faults) or f"{passed} checks passed, {excused} are excepted by {len(exceptions)} reasons")
sys.exit(bool(faults))
