"""As much of URLs as an output needs: whether a setting is one, and how to put a text into one."""

import re

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Url:
    """A URL, taken apart just enough. The host reads it again and is stricter."""

    __slots__ = ("host", "is_https", "path", "port")

    def __init__(self, text):
        """ValueError: why it is none, without any of its text, since a webhook's URL is a secret."""
        scheme, separator, rest = text.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            raise ValueError("is no URL: it begins with neither https:// nor http://")
        if any(letter.isspace() or _is_control(letter) for letter in text):
            raise ValueError("is no URL: there is a blank or control character in it")
        end = re.search(r"[/?#\\]", rest)
        authority = rest[: end.start()] if end else rest
        if "@" in authority:
            raise ValueError("is no URL: it holds a user name; credentials have settings of their own")
        host, colon, port = authority.rpartition(":")
        if not colon or "]" in port:
            host, colon, port = authority, "", ""
        is_v6 = len(host) > 2 and host[0] == "[" and host[-1] == "]"
        is_name = host and host[0] != "." and all(letter.isalnum() or letter in "-._" for letter in host)
        if not (is_v6 or is_name):
            raise ValueError("is no URL: its host is no name and no address")
        if colon and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise ValueError("is no URL: its port is no number up to 65535")
        self.is_https = scheme.lower() == "https"
        #: In lower case.
        self.host = host.lower()
        self.port = int(port) if colon else None
        #: Without query; `/` if there is none.
        self.path = re.split(r"[?#]", rest[end.start() :] if end else "")[0] or "/"

    @property
    def origin(self):
        """Scheme, host and port, without a slash behind: what a path is put behind."""
        port = "" if self.port is None else f":{self.port}"
        return f"{'https' if self.is_https else 'http'}://{self.host}{port}"


def _is_control(letter):
    return letter < " " or "\x7f" <= letter <= "\x9f"


def percent(text):
    """The text as it may stand anywhere in a URL: all but letters, digits and `-._~` as `%XX`."""
    encoded = str(text).encode(errors="replace")
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in encoded)
