"""Looking for keys and values at any depth of a record."""

from collections import deque

from ..record import Record
from .text import matches_any, several

#: What the pipeline adds to a record about its values; they would be found twice.
_NORMALIZATION = "streamalert_normalization"


def get_keys(data, key, max_matches=None):
    """All values under `key` at any depth, the outermost first, `max_matches` at most (None: all of them). Does not
    look inside `streamalert_normalization`, which repeats values of the record. No such key, or neither dict nor list:
    an empty list.

    >>> get_keys({"path": "/a", "list": [{"path": "/b"}, {"path": "/c"}]}, "path", 2)
    ['/a', '/b']
    """
    found = []
    waiting = deque([_plain(data)])
    while waiting and (max_matches is None or len(found) < max_matches):
        value = waiting.popleft()
        if isinstance(value, dict):
            if key in value:
                found.append(value[key])
            inside = (item for name, item in value.items() if name != _NORMALIZATION)
        elif isinstance(value, list):
            inside = value
        else:
            continue
        waiting.extend(item for item in inside if isinstance(item, (dict, list)) and item)
    return found


def get_first_key(data, key, default=None):
    """The first of get_keys; `default` when there is no such key. A null that is there is None."""
    found = get_keys(data, key, 1)
    return found[0] if found else default


def has_value(data, value):
    """Whether some value, at any depth, equals this one: same kind, and a number the same number. Keys do not count."""
    return _any(_plain(data), lambda found: _equals(found, value))


def has_value_with_substring(data, needle):
    """Whether this text occurs in some text, at any depth. Keys do not count, nor do numbers."""
    return _any(_plain(data), lambda found: isinstance(found, str) and needle in found)


def has_value_from_list(data, patterns):
    """Whether some text, at any depth, matches one of the wildcard patterns (see matches_any). Keys do not count, nor
    do numbers. An empty text matches nothing, so that `*` means "has a text that says something"."""
    return _any(_plain(data), lambda found: bool(found) and matches_any(found, patterns))


def has_value_from_substring_list(data, needles):
    """Whether one of these occurs in some text, at any depth. Keys do not count, nor do numbers; in an empty text
    nothing occurs."""

    def test(found):
        return isinstance(found, str) and found != "" and any(needle in found for needle in several(needles))

    return _any(_plain(data), test)


def _plain(data):
    return data.to_value() if isinstance(data, Record) else data


def _any(data, test):
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if test(value):
            return True
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False


def _equals(found, value):
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(value, dict):
        return (
            isinstance(found, dict)
            and found.keys() == value.keys()
            and all(_equals(found[key], value[key]) for key in value)
        )
    if isinstance(value, (list, tuple)):
        return (
            isinstance(found, list)
            and len(found) == len(value)
            and all(_equals(*pair) for pair in zip(found, value, strict=True))
        )
    return found == value
