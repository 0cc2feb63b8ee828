"""Declaring a parser: bytes in, records out. A component is one parser, or rules, publishers or an output."""

import inspect
import sys
from pathlib import Path

from .record import dumps
from .rule import RuleError

#: What `parser` declared; the builder refuses a second one.
PARSERS = []

_TAKES = ("lines", "whole")


class Parser:
    """A parser, as the decorator wrote it down."""

    __slots__ = ("description", "name", "parse", "schemas", "sniff", "takes")

    def __init__(self, name, description, schemas, takes, sniff, parse):
        self.name = name
        self.description = description
        self.schemas = schemas
        self.takes = takes
        self.sniff = sniff
        self.parse = parse


def parser(*, schemas, takes="lines", sniff=None, name=None):
    """Makes a parser of a function that takes bytes and returns parts. The function stays as it is, so that tests can
    call it.

    schemas: the log types it makes records of: a JSON file beside the module, its text, or a dict.
    takes: "lines", any number of whole lines; or "whole", an object as large as it is.
    sniff: a function of an object's first bytes that knows the parser's own.
    name: what clusters call it, if not the function's name.

    What it raises as a ValueError is why nothing can be made of the payload; anything else is a fault of its own.
    """
    wrong = []
    if takes not in _TAKES:
        wrong.append(f"`takes` is one of {', '.join(_TAKES)}, not {takes!r}")
    if sniff is not None and not callable(sniff):
        wrong.append(f"`sniff` takes a function of the first bytes, not {sniff!r}")
    if isinstance(schemas, str):
        text = schemas
        if not text.lstrip().startswith("{"):
            file = Path(_folder_of_the_caller()) / schemas
            try:
                text = file.read_text(encoding="utf-8")
            except OSError as error:
                wrong.append(f"`schemas`, {schemas}: {error.strerror}; it lies beside the module")
    elif isinstance(schemas, dict):
        text = dumps(schemas)
    else:
        wrong.append(f"`schemas` takes a file, JSON text or a dict, not {schemas!r}")

    def declare(function):
        if not callable(function) or not hasattr(function, "__name__"):
            raise RuleError("@parser(…) stands above a function that takes bytes")
        if wrong:
            raise RuleError(f"parser {function.__name__}: {'; '.join(wrong)}")
        description = inspect.cleandoc(function.__doc__ or "")
        PARSERS.append(Parser(name or function.__name__, description, text, takes, sniff, function))
        return function

    return declare


def _folder_of_the_caller():
    return Path(sys._getframe(2).f_code.co_filename).parent


class Part:
    """A piece of the payload and what became of it. Parts do not overlap and do not leave the payload; several may be
    about the very same piece, which then holds several records."""

    __slots__ = ("json", "log_type", "place", "reason")

    def __init__(self, place, log_type, json, reason):
        if not isinstance(place, range) or place.step != 1:
            raise TypeError(f"a place is a range, such as that of a line, not {place!r}")
        self.place = place
        self.log_type = log_type
        #: The record's text; None if it is none.
        self.json = json
        #: Why it is no record; None if it is one.
        self.reason = reason

    @classmethod
    def record(cls, place, log_type, record):
        """A record of one of the parser's log types: a dict."""
        if not isinstance(record, dict):
            raise TypeError(f"a record is a dict, not {record!r}")
        return cls(place, log_type, dumps(record), None)

    @classmethod
    def raw(cls, place, json):
        """A record that is JSON already; of whichever log type fits."""
        return cls(place, "", json, None)

    @classmethod
    def error(cls, place, reason):
        """Bytes that should be a record and are none. `reason` is for whoever reads the dead letter."""
        return cls(place, "", None, str(reason))

    def __eq__(self, other):
        if not isinstance(other, Part):
            return NotImplemented
        return self._all() == other._all()

    __hash__ = None

    def _all(self):
        return self.place, self.log_type, self.json, self.reason

    def __repr__(self):
        if self.reason is not None:
            return f"Part.error({self.place!r}, {self.reason!r})"
        return f"Part.record({self.place!r}, {self.log_type!r}, {self.json})"


class Line:
    """One line, without what ends it."""

    __slots__ = ("bytes", "place")

    def __init__(self, line, start):
        self.bytes = line
        #: Of `bytes` in the payload.
        self.place = range(start, start + len(line))

    def text(self):
        """As text; what is no UTF-8 becomes U+FFFD."""
        return self.bytes.decode(errors="replace")

    def __repr__(self):
        return f"Line({self.bytes!r}, {self.place.start})"


def lines(payload):
    """The lines of a payload, ended by \\n or \\r\\n; the last may lack its end."""
    at = 0
    while at < len(payload):
        end = payload.find(b"\n", at)
        end = len(payload) if end < 0 else end
        cut = end - 1 if end > at and payload[end - 1] == 13 else end
        yield Line(payload[at:cut], at)
        at = end + 1
