"""Text that has to fit into what a service takes."""

import re

_UNITS = {
    "chars": lambda letter: 1,
    "bytes": lambda letter: len(letter.encode(errors="replace")),
    "utf16": lambda letter: 2 if letter > "\uffff" else 1,
}
#: Belongs to the character before it: accents, variants, skin tones, and what joins.
_JOINS = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U0001f3fb-\U0001f3ff\u200d]"
)
_JOINER = "\u200d"


def shorten(text, most, unit="chars"):
    """The text if it fits, otherwise its beginning and `…`, together no longer than so many characters, "bytes" of
    UTF-8 or "utf16" units. A letter and its accents are not parted."""
    if unit not in _UNITS:
        raise ValueError(f"there is no unit {unit!r}; it is one of {', '.join(_UNITS)}")
    of = _UNITS[unit]
    sizes = [of(letter) for letter in text]
    if sum(sizes) <= most:
        return text
    dots = of("…")
    left, good = (most - dots if most >= dots else most), 0
    for at, letter in enumerate(text):
        if not _JOINS.match(letter) and text[at - 1 : at] != _JOINER:
            good = at
        if left < sizes[at]:
            break
        left -= sizes[at]
    return text[:good] if most < dots else f"{text[:good].rstrip()}…"


_BLANKS = re.compile("[\n\t\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text):
    """Without control characters and without what turns the direction of text around; line breaks and tabs become
    blanks."""
    return _CONTROLS.sub("", _BLANKS.sub(" ", text))


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_SPECIAL = re.compile("[&<>\"'\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def escape_html(text):
    """The text as it may stand in HTML and XML, in an attribute too."""
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], ""), text)
