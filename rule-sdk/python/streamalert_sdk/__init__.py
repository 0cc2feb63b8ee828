"""What rules, a parser, publishers or an output written in Python need. The whole of a rule:

    from streamalert_sdk import equals, rule

    @rule(logs=["cloudtrail:events"], when=[equals("eventName", "ConsoleLogin")])
    def root_login(record):
        return record.is_("userIdentity.type", "Root")

README.md says more.
"""

from . import helpers, log, lookup
from .alert import Alert
from .delivery import Fault, Parcel, Setting, Settings, output
from .disposition import Disposition, accepted, answer, delivered, reject, retry
from .finding import SEVERITIES, Finding
from .http import Failure, FakeHttp, Request, Response
from .parsing import Line, Part, lines, parser
from .publishing import Target, publisher
from .record import Record
from .rule import RuleError, contains, equals, exists, prefix, rule, suffix
from .text import escape_html, plain, shorten
from .url import Url, percent

__all__ = [
    "SEVERITIES",
    "Alert",
    "Disposition",
    "Failure",
    "FakeHttp",
    "Fault",
    "Finding",
    "Line",
    "Parcel",
    "Part",
    "Record",
    "Request",
    "Response",
    "RuleError",
    "Setting",
    "Settings",
    "Target",
    "Url",
    "accepted",
    "answer",
    "contains",
    "delivered",
    "equals",
    "escape_html",
    "exists",
    "helpers",
    "lines",
    "log",
    "lookup",
    "output",
    "parser",
    "percent",
    "plain",
    "prefix",
    "publisher",
    "reject",
    "retry",
    "rule",
    "shorten",
    "suffix",
]
