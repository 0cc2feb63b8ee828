"""Requests that the host makes for an output."""

import base64
import json
import math
import re

from .record import dumps, loads
from .url import Url, percent


def _value(headers, name):
    return next((value for known, value in headers if known.lower() == name.lower()), None)


def _json(body):
    try:
        return loads(body.decode())
    except ValueError:
        return None


class Request:
    """A request under construction; each method returns it, so that they can be chained."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, method, url):
        self.method = method
        self.url = url
        self.headers = []
        self.body = b""

    @classmethod
    def get(cls, url):
        return cls("GET", url)

    @classmethod
    def post(cls, url):
        return cls("POST", url)

    @classmethod
    def put(cls, url):
        return cls("PUT", url)

    @classmethod
    def patch(cls, url):
        return cls("PATCH", url)

    @classmethod
    def delete(cls, url):
        return cls("DELETE", url)

    @classmethod
    def head(cls, url):
        return cls("HEAD", url)

    def header(self, name, value):
        """One name may come several times. The host refuses Host, Content-Length, Connection, Transfer-Encoding, and
        values with line breaks."""
        self.headers.append((str(name), str(value)))
        return self

    def query(self, name, value):
        """Puts `name=value` behind the URL, both encoded."""
        self.url += f"{'&' if '?' in self.url else '?'}{percent(name)}={percent(value)}"
        return self

    def json(self, body):
        """The body, as JSON."""
        return self.bytes("application/json", dumps(body))

    def form(self, pairs):
        """The body, as a form: a dict or a list of pairs."""
        pairs = pairs.items() if isinstance(pairs, dict) else pairs
        body = "&".join(f"{percent(name)}={percent(value)}" for name, value in pairs)
        return self.bytes("application/x-www-form-urlencoded", body)

    def bytes(self, content_type, body):
        """The body, of this content type."""
        self.headers = [(name, value) for name, value in self.headers if name.lower() != "content-type"]
        self.body = body.encode() if isinstance(body, str) else body
        return self.header("Content-Type", content_type)

    def basic(self, user, password):
        """Authorization: Basic."""
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self.header("Authorization", f"Basic {credentials}")

    def bearer(self, token):
        """Authorization: Bearer."""
        return self.header("Authorization", f"Bearer {token}")

    def header_value(self, name):
        """The value of a header; of several, the first; None: it has none."""
        return _value(self.headers, name)

    def body_text(self):
        """For tests: the body as text."""
        return self.body.decode(errors="replace")

    def body_json(self):
        """For tests: the body as JSON; None if it is none."""
        return _json(self.body)

    def __repr__(self):
        # Without what may be secret: webhooks have it in the URL, others in headers.
        try:
            host = Url(self.url).host
        except ValueError:
            host = ""
        return f"{self.method} {host} ({len(self.body)} bytes)"


class Response:
    """An answer, of whatever status."""

    __slots__ = ("body", "headers", "status", "truncated")

    def __init__(self, status, headers=(), body=b"", truncated=False):
        self.status = status
        self.headers = list(headers)
        self.body = body
        #: The body was longer than the host allows.
        self.truncated = truncated

    @property
    def is_success(self):
        """2xx."""
        return 200 <= self.status < 300

    def header(self, name):
        """The value of a header; of several, the first; None: it has none."""
        return _value(self.headers, name)

    def text(self):
        """The body as text; bytes that are none become `�`."""
        return self.body.decode(errors="replace")

    def json(self):
        """The body as JSON; None if it is none, or was cut."""
        return _json(self.body)

    @property
    def retry_after(self):
        """Seconds the service asks to wait: `Retry-After` as a number, or as a date that is later than the answer's
        own. None: it does not say."""
        after = (self.header("retry-after") or "").strip()
        if re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", after):
            return min(math.ceil(float(after[:_DIGITS])), _U32_MAX)
        now, then = _http_date(self.header("date") or ""), _http_date(after)
        return None if now is None or then is None else min(max(then - now, 0), _U32_MAX)


_U32_MAX = 2**32 - 1
#: Of a number that is surely above the largest one.
_DIGITS = 20
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9:]{8}) GMT")


def _http_date(text):
    """Seconds since 1970 of a date as HTTP writes it."""
    from .helpers.time import parse_time

    found = _HTTP_DATE.fullmatch(text.strip())
    if not found or found[2] not in _MONTHS:
        return None
    return parse_time(f"{found[3]}-{_MONTHS.index(found[2]) + 1:02}-{found[1]}T{found[4]}Z")


class Failure:
    """Why there is no answer: `kind` is forbidden, unreachable, tls, timeout or broken."""

    __slots__ = ("kind", "message", "sent")

    def __init__(self, kind, message, sent=False):
        self.kind = kind
        #: For people; holds no secret.
        self.message = message
        #: The service may have seen the request, or a part of it.
        self.sent = sent


_MESSAGES = {
    "forbidden": "the host is not permitted",
    "unreachable": "connection refused",
    "tls": "the certificate does not hold",
    "timeout": "the time for the delivery is up",
    "broken": "the connection broke",
}


class FakeHttp:
    """For tests: answers requests in turn and remembers them. A request beyond the script fails the test."""

    def __init__(self):
        self._script = []
        #: What was sent so far.
        self.requests = []

    def answer(self, status, body=b""):
        """The next answer."""
        return self.then(Response(status, body=body.encode() if isinstance(body, str) else body))

    def json(self, status, body):
        """The next answer, with JSON in it."""
        return self.answer(status, json.dumps(body)).header("Content-Type", "application/json")

    def header(self, name, value):
        """A header of the answer before."""
        if not self._script or not isinstance(self._script[-1], Response):
            raise AssertionError(f"there is no answer to put the header {name} into")
        self._script[-1].headers.append((name, value))
        return self

    def fail(self, kind):
        """The next request does not get through."""
        return self.then(Failure(kind, _MESSAGES[kind], kind in ("timeout", "broken")))

    def then(self, outcome):
        """The next outcome, whatever it is."""
        self._script.append(outcome)
        return self

    @property
    def left(self):
        """How many answers nobody has asked for yet."""
        return len(self._script)

    def send(self, request):
        self.requests.append(request)
        if not self._script:
            raise AssertionError(f"request {len(self.requests)} has no answer in the script")
        return self._script.pop(0)
