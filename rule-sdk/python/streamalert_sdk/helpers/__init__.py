"""StreamAlert's helpers for rules, under their old names, with their faults mended.

Where a helper takes a text, what `record.text(…)` returns will do; None, and anything else that is no text, is always
"no". Where it looks for something in data, a record will do, and so will anything that `record.value(…)` returns.
"""

from .network import Networks, in_network, is_private_ip, is_public_ip, valid_ip
from .search import (
    get_first_key,
    get_keys,
    has_value,
    has_value_from_list,
    has_value_from_substring_list,
    has_value_with_substring,
)
from .text import contains_any, ends_with_any, matches_any, path_matches_any, safe_json, starts_with_any
from .time import event_time, last_hour, parse_time, seconds_between

__all__ = [
    "Networks",
    "contains_any",
    "ends_with_any",
    "event_time",
    "get_first_key",
    "get_keys",
    "has_value",
    "has_value_from_list",
    "has_value_from_substring_list",
    "has_value_with_substring",
    "in_network",
    "is_private_ip",
    "is_public_ip",
    "last_hour",
    "matches_any",
    "parse_time",
    "path_matches_any",
    "safe_json",
    "seconds_between",
    "starts_with_any",
    "valid_ip",
]
