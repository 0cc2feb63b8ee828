"""What came of an attempt, and how answers are usually read."""

from .http import Failure
from .text import plain, shorten


class Disposition:
    """Made by `delivered`, `retry` or `reject`."""

    __slots__ = ("done", "kind", "place", "reason", "wait")

    def __init__(self, kind, place=None, reason="", wait=None, done=None):
        #: delivered, retry or reject.
        self.kind = kind
        self.place = place
        self.reason = reason
        self.wait = wait
        self.done = done

    def after(self, seconds):
        """Seconds to wait, if it is a retry; the host may wait longer."""
        if self.kind == "retry":
            self.wait = seconds
        return self

    def progress(self, done):
        """What the next attempt finds in `parcel.progress`, if it is a retry."""
        if self.kind == "retry":
            self.done = done
        return self

    def _all(self):
        return self.kind, self.place, self.reason, self.wait, self.done

    def __eq__(self, other):
        return self._all() == other._all() if isinstance(other, Disposition) else NotImplemented

    __hash__ = None

    def __repr__(self):
        if self.kind == "delivered":
            return f"delivered({self.place!r})"
        more = "" if self.wait is None else f".after({self.wait!r})"
        more += "" if self.done is None else f".progress({self.done!r})"
        return f"{self.kind}({self.reason!r}){more}"


def delivered(place=None):
    """The service has it. The text says where, for people: a URL, an id."""
    return Disposition("delivered", place=place)


def retry(reason):
    """Not now, for this reason."""
    return Disposition("retry", reason=reason)


def reject(reason):
    """Never: the service refuses it, so that trying again is no use. The operator is told."""
    return Disposition("reject", reason=reason)


class NotAccepted(Exception):
    """What `accepted` raises; the output ends with its disposition."""

    def __init__(self, disposition):
        super().__init__(disposition.reason)
        self.disposition = disposition


def answer(result):
    """The usual reading of an answer: 2xx is delivered; 408, 425, 429 and 5xx are tried again after what the service
    asks for; so is a request that did not get through, unless it was forbidden; all else is refused for good."""
    return _refusal(result) or delivered()


def accepted(result):
    """The answer if it is 2xx; otherwise the output ends here, with what `answer` makes of it."""
    refused = _refusal(result)
    if refused:
        raise NotAccepted(refused)
    return result


_AGAIN = (408, 425, 429)


def _refusal(result):
    if isinstance(result, Failure):
        return reject(result.message) if result.kind == "forbidden" else retry(result.message)
    if result.is_success:
        return None
    if result.status in _AGAIN or result.status >= 500:
        return retry(_reason(result)).after(result.retry_after)
    return reject(_reason(result))


#: Characters of an answer's body that go into a reason.
_BODY_SHOWN = 300


def _reason(response):
    # Of a large body only the beginning is looked at.
    body = plain(response.body[: 4 * _BODY_SHOWN].decode(errors="replace"))
    body = shorten(body.strip(), _BODY_SHOWN)
    phrase = _PHRASES.get(response.status)
    status = f"{response.status} {phrase}" if phrase else f"{response.status}"
    return f"answered {status}: {body}" if body else f"answered {status}"


#: What people know a status by; of those that outputs meet.
_PHRASES = {
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    425: "Too Early",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
