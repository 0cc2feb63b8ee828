"""Times. A rule has no clock that it could trust, and a record may come hours late or be looked at again after months:
"now" is something the record says."""

import math
import re
from datetime import date

from ..path import ABSENT, walk
from ..record import Record

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
#: Days from the first day that Python's calendar counts to 1970.
_EPOCH = date(1970, 1, 1).toordinal()
#: Four hundred years, after which the calendar begins anew; Python's has no year 0.
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097

_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


def last_hour(time, now, hours=1):
    """Whether `time` lies within the last `hours` before `now`, the ends included. Both are seconds since 1970; `now`
    comes from the record, such as the time it was logged. A `time` after `now` is not in the last hour. None for
    either: no.

    >>> record = Record.from_json({"eventTime": "2024-05-01T12:00:00Z", "session": {"created": 1714561500}})
    >>> last_hour(event_time(record, "session.created"), event_time(record, "eventTime"))
    True
    """
    return time is not None and now is not None and 0 <= now - time <= hours * _HOUR


def seconds_between(record, start, end):
    """How many seconds after the time at `start` the time at `end` lies; negative where it lies before. None: one of
    them is not there or is no time, see event_time."""
    begins, ends = event_time(record, start), event_time(record, end)
    return None if begins is None or ends is None else ends - begins


def event_time(record, path):
    """The time at `path` in seconds since 1970: an RFC 3339 text, or a number of seconds, parts of seconds dropped.
    None: nothing there or something else. Milliseconds are not guessed at."""
    value = record.value(path, ABSENT) if isinstance(record, Record) else walk(record, path)
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return math.floor(value) if math.isfinite(value) else None


def parse_time(text):
    """Seconds since 1970 of an RFC 3339 text, `2024-05-01T12:00:00.5+02:00`; a space for the `T` will do. Parts of
    seconds are dropped; a leap second counts as the second after it. None: no such text, or no such day; a text without
    `Z` or offset could mean any time zone and is none."""
    parts = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if parts is None:
        return None
    year, month, day, hour, minute, second = map(int, parts.group(1, 2, 3, 4, 5, 6))
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(year + _CYCLE_YEARS, month, day).toordinal() if year == 0 else date(year, month, day).toordinal()
    except ValueError:
        return None
    days -= _EPOCH + (_CYCLE_DAYS if year == 0 else 0)
    offset = 0
    if parts.group(7):
        hours, minutes = int(parts.group(8)), int(parts.group(9))
        if hours > 23 or minutes > 59:
            return None
        offset = (hours * _HOUR + minutes * _MINUTE) * (1 if parts.group(7) == "+" else -1)
    return days * _DAY + hour * _HOUR + minute * _MINUTE + second - offset
