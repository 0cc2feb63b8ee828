"""The repository's own configuration, as it was when the component was built."""

import json
from copy import deepcopy

from streamalert.shared.exceptions import ConfigError  # noqa: F401  it was importable from here

_loaded = None


class TopLevelConfigKeys:
    CLUSTERS = "clusters"
    GLOBAL = "global"
    LAMBDA = "lambda"
    LOGS = "logs"
    LOOKUP_TABLES = "lookup_tables"
    NORMALIZED_TYPES = "normalized_types"
    OUTPUTS = "outputs"
    SCHEMAS = "schemas"
    THREAT_INTEL = "threat_intel"


def load_config(conf_dir="conf/", exclude=None, include=None, validate=True):
    """All of conf/ by the names of its files; `exclude` and `include` are names of files, with or without their
    ending."""
    global _loaded
    if _loaded is None:
        try:
            from streamalert_compat_conf import CONF
        except ImportError:
            raise ConfigError("conf/ is not in this component") from None
        _loaded = json.loads(CONF)
    excluded, included = ({name.removesuffix(".json") for name in names or ()} for names in (exclude, include))
    return {
        name: deepcopy(value)
        for name, value in _loaded.items()
        if name not in excluded and (not included or name in included)
    }
