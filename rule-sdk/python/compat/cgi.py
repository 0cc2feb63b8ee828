"""What publishers used of a module that Python no longer has."""

from html import escape as _escape


def escape(text, quote=False):
    return _escape(text, quote=quote)
