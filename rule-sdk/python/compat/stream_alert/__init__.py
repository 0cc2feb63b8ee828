"""What `streamalert` was called before version 3."""

import sys
from importlib import import_module

for _name in (
    "rules_engine",
    "rules_engine.threat_intel",
    "shared",
    "shared.alert",
    "shared.config",
    "shared.description",
    "shared.exceptions",
    "shared.logger",
    "shared.lookup_tables",
    "shared.lookup_tables.core",
    "shared.normalize",
    "shared.publisher",
    "shared.rule",
    "shared.utils",
):
    sys.modules[f"stream_alert.{_name}"] = import_module(f"streamalert.{_name}")
for _name in ("rules_engine", "shared"):
    setattr(sys.modules[__name__], _name, sys.modules[f"stream_alert.{_name}"])
