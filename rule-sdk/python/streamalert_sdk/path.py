"""Paths: `userIdentity.arn`, `\\.` for a dot inside a key (`\\\\` for a backslash), a number for an item of a list."""

from functools import lru_cache

#: Paths that are kept taken apart; a component has some hundred.
_KEPT = 4096


class _Absent:
    """What is found where nothing is; a null that is there is None."""

    __slots__ = ()

    def __repr__(self):
        return "ABSENT"

    def __bool__(self):
        return False


ABSENT = _Absent()


@lru_cache(maxsize=_KEPT)
def steps(path):
    """The keys and numbers of a path, as texts."""
    if "\\" not in path:
        return tuple(path.split("."))
    found, step, characters = [], "", iter(path)
    for character in characters:
        if character == ".":
            found.append(step)
            step = ""
        else:
            step += next(characters, "\\") if character == "\\" else character
    return (*found, step)


def joined(keys):
    """The path that leads through these keys, whatever dots they have."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def walk(value, path):
    """What lies at `path` from here; ABSENT for nothing."""
    for step in steps(path):
        if isinstance(value, dict):
            value = value.get(step, ABSENT)
        elif isinstance(value, list):
            value = value[int(step)] if _is_index(step) and int(step) < len(value) else ABSENT
        else:
            return ABSENT
        if value is ABSENT:
            return ABSENT
    return value


def _is_index(step):
    # No list has more than ten digits of items; without an end the number itself could be costly.
    return 0 < len(step) <= 10 and step.isascii() and step.isdigit()
