"""Reading a log record."""

import json

from .path import ABSENT, walk

_I64 = range(-(2**63), 2**63)
_U64 = range(2**64)


class NumberText(str):
    """A number that neither 64 bits nor a double hold, as it was written: it counts as text."""

    __slots__ = ()


class Record:
    """A log record. Values are found by path: `userIdentity.arn`, with `\\.` for a dot inside a key and a number for an
    item of a list, `resources.0.type`.

    Nothing is converted: a text of digits is no integer, and the integer 1 is not True.
    """

    __slots__ = ("_root",)

    def __init__(self, root):
        self._root = root

    @classmethod
    def from_json(cls, value):
        """A record for tests, from what `json.loads` gives."""
        # As the host has it: numbers that are too large come as text.
        return cls(exactly(json.dumps(value)))

    @classmethod
    def parse(cls, text):
        """A record for tests from JSON text, such as that of a file."""
        return cls(exactly(text))

    def _find(self, path):
        """The value at `path`, or ABSENT."""
        return walk(self._root, path)

    def text(self, path):
        """The text at `path`. None: nothing there, or something else than text."""
        value = self._find(path)
        return value if isinstance(value, str) else None

    def text_or(self, path, default):
        """The text at `path`, or `default` where `text` has none."""
        value = self._find(path)
        return value if isinstance(value, str) else default

    def int(self, path):
        """The integer at `path`. None: nothing there, no integer (1.0 is none), or out of 64 bits with a sign."""
        value = self._find(path)
        return value if type(value) is _int and value in _I64 else None

    def uint(self, path):
        """The integer at `path`. None: nothing there, no integer (1.0 is none), a negative one, or out of 64 bits."""
        value = self._find(path)
        return value if type(value) is _int and value in _U64 else None

    def float(self, path):
        """The number at `path`, rounded where a double does not hold it. None: nothing there, or no number."""
        value = self._find(path)
        if type(value) is _float or type(value) is _int or type(value) is NumberText:
            return _float(value)
        return None

    def bool(self, path):
        """The boolean at `path`. None: nothing there, or no boolean."""
        value = self._find(path)
        return value if value is True or value is False else None

    def exists(self, path):
        """Whether anything is at `path`, a null too."""
        return self._find(path) is not ABSENT

    def is_null(self, path):
        """Whether a null is at `path`; False when nothing is there."""
        return self._find(path) is None

    def len(self, path):
        """How many items the list, or entries the object, at `path` has. None: nothing there, or neither."""
        value = self._find(path)
        return _len(value) if isinstance(value, (dict, list)) else None

    def is_(self, path, text):
        """Whether the text at `path` is `text`; False when nothing is there."""
        return self.text(path) == text

    def is_any(self, path, texts):
        """Whether the text at `path` is one of these; False when nothing is there."""
        found = self.text(path)
        return found is not None and found in texts

    def texts(self, path):
        """The texts of the list at `path`, passing over other items; a text counts as a list of one. Nothing there, or
        something else: an empty list."""
        value = self._find(path)
        if isinstance(value, str):
            return [value]
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def items(self, path):
        """The items of the list at `path`. Nothing there, or no list: an empty list."""
        value = self._find(path)
        return value if isinstance(value, list) else []

    def value(self, path, default=None):
        """What is at `path`, as `json.loads` would give it; `default` when nothing is there. A null that is there is
        None."""
        value = self._find(path)
        return default if value is ABSENT else value

    def to_value(self):
        """The whole record, as `json.loads` would give it."""
        return self._root

    def json(self):
        """The whole record as JSON text."""
        return dumps(self._root)

    def __repr__(self):
        return self.json()


# Methods of Record have these names, too; within its body they would hide Python's.
_int, _float, _len = int, float, len

#: Bits of an integer that is written out; CPython refuses more than 4,300 digits, as the time grows with their square.
_BITS_MAX = 10_000


def loads(text):
    """JSON as Python has it."""
    try:
        return json.loads(text)
    except ValueError:
        # Is it an integer of more digits than Python reads?
        return exactly(text)


def exactly(text):
    """JSON as the host tells values: what 64 bits and doubles do not hold comes as NumberText."""
    return _EXACTLY.decode(text)


def _read_int(text):
    if _len(text) <= _DIGITS_OF_64_BITS:
        number = _int(text)
        if number in _I64 or number in _U64:
            return number
    return NumberText(text)


def _read_float(text):
    number = _float(text)
    return NumberText(text) if number in (_INFINITY, -_INFINITY) else number


_INFINITY = _float("inf")
_DIGITS_OF_64_BITS = 20
_EXACTLY = json.JSONDecoder(parse_int=_read_int, parse_float=_read_float)


def dumps(value):
    """JSON text that any reader takes, whatever Python has made of a log: half of a surrogate pair stands as its
    escape, what is no number as its name, a set as a list, and anything that JSON does not have as its text."""
    try:
        return clean(_encode(value))
    except (TypeError, ValueError):
        return clean(_encode(_plain(value)))


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _plain(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        if value in _I64 or value in _U64:
            return value
        return str(value) if value.bit_length() <= _BITS_MAX else hex(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=str)
    return str(value)


def clean(text):
    """A text that UTF-8 can hold: half of a surrogate pair, which JSON within a log may bring, stands as its escape."""
    if text.isascii():
        return text
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
