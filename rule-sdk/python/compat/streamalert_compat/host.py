"""What the names of StreamAlert ask the host for. Outside of a component: the tables that tests fake, and standard
error."""

from streamalert_sdk import log, lookup as tables

#: Failures that are told once, and not for each record: StreamAlert took a failure for no, so rules count on it.
_told = set()
#: Kinds of failure that are remembered; each is a place in a file.
_TOLD_MAX = 1000


def lookup(table, key, default=None):
    if not isinstance(key, str):
        return default
    return tables.get(table, key, default)


def failed(what, failure):
    """A line for the first failure of its kind."""
    if isinstance(failure, MemoryError):
        raise failure
    at, place = failure.__traceback__, ""
    while at:
        code = at.tb_frame.f_code
        place = f"{code.co_filename.removeprefix('/0/')}, line {at.tb_lineno}"
        at = at.tb_next
    kind = (what, type(failure).__name__, place)
    if kind in _told or len(_told) >= _TOLD_MAX:
        return
    _told.add(kind)
    log.warn(f"{what} failed, which counts as no and is told once: {type(failure).__name__}: {failure} ({place})")
