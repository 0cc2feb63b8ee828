"""Texts and wildcards. Case counts everywhere."""

from fnmatch import fnmatchcase

from ..record import loads


def several(texts):
    """A text where a list is wanted is a list of one."""
    return (texts,) if isinstance(texts, str) else texts


def starts_with_any(text, needles):
    """Whether the text begins with one of these; no wildcards. An empty needle begins every text."""
    return isinstance(text, str) and any(text.startswith(needle) for needle in several(needles))


def ends_with_any(text, needles):
    """Whether the text ends with one of these; no wildcards. An empty needle ends every text."""
    return isinstance(text, str) and any(text.endswith(needle) for needle in several(needles))


def contains_any(text, needles):
    """Whether one of these occurs in the text; no wildcards. An empty needle occurs in every text."""
    return isinstance(text, str) and any(needle in text for needle in several(needles))


def matches_any(text, patterns):
    """Whether the whole text matches one of the patterns: `*` any characters, `/` among them, `?` one character,
    `[a-z]` one of these, `[!a]` any but these. There is no escape: `[*]` is a star. A `[` that is never closed is just
    that.

    >>> matches_any("arn:aws:iam::1:role/admin-eu", ["arn:aws:iam::*:role/admin-[a-z]?"])
    True
    >>> matches_any("Admin", ["admin"])
    False
    """
    return isinstance(text, str) and any(fnmatchcase(text, pattern) for pattern in several(patterns))


def path_matches_any(path, patterns):
    """Whether the path matches one of the patterns part by part, so that `*` does not cross a `/`. A pattern that
    begins with `/` must match the whole path; any other matches from the right, as many parts as it has. Doubled
    slashes, a slash at the end and parts that are just `.` do not count. An empty pattern matches nothing.

    >>> path_matches_any("/Users/eve/Downloads/x.dmg", ["/Users/*/Downloads/*"])
    True
    >>> path_matches_any("/Users/eve/Downloads/x.dmg", ["/Users/*"])
    False
    """
    return isinstance(path, str) and any(_path_matches(path, pattern) for pattern in several(patterns))


def _path_matches(path, pattern):
    have, want = _parts(path), _parts(pattern)
    if pattern.startswith("/"):
        if not path.startswith("/") or len(have) != len(want):
            return False
    elif not want or len(have) < len(want):
        return False
    return all(fnmatchcase(part, wanted) for part, wanted in zip(have[len(have) - len(want) :], want, strict=True))


def _parts(text):
    return [part for part in text.split("/") if part not in ("", ".")]


def safe_json(text):
    """JSON text as a value, which may be a list or a number. An empty dict for what is no JSON."""
    if not isinstance(text, str):
        return {}
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return {}
