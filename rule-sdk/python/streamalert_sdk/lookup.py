"""Tables that the operator keeps beside the rules: allow lists, asset inventories, owners.

Outside WebAssembly the tables are those that a test set by `fake`.
"""

from .record import dumps, loads

_fakes = {}


def get(table, key, default=None):
    """What is stored under `key`. `default` when the table has no such key or there is no such table; a stored null is
    None."""
    text = find(table, key)
    return default if text is None else loads(text)


def contains(table, key):
    """Whether the table has this key, whatever is stored there; False also when there is no such table."""
    return find(table, key) is not None


def find(table, key):
    """The JSON text that is stored, or None."""
    # The component puts the host's tables in its place.
    return _fakes.get(table, {}).get(key)


def fake(table, entries):
    """For tests: what table `table` holds from now on, as a dict of keys and values.

    >>> fake("owners", {"i-1": {"team": "cloud"}})
    >>> get("owners", "i-1")
    {'team': 'cloud'}
    >>> forget_fakes()
    """
    _fakes[table] = {key: dumps(value) for key, value in entries.items()}


def forget_fakes():
    """For tests: forgets all fake tables."""
    _fakes.clear()
