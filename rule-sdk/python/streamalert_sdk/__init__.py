"""What a rule written in Python needs. The whole of a rule:

    from streamalert_sdk import equals, rule

    @rule(logs=["cloudtrail:events"], when=[equals("eventName", "ConsoleLogin")])
    def root_login(record):
        return record.is_("userIdentity.type", "Root")

README.md says more.
"""

from . import helpers, log, lookup
from .finding import SEVERITIES, Finding
from .record import Record
from .rule import RuleError, contains, equals, exists, prefix, rule, suffix

__all__ = [
    "SEVERITIES",
    "Finding",
    "Record",
    "RuleError",
    "contains",
    "equals",
    "exists",
    "helpers",
    "log",
    "lookup",
    "prefix",
    "rule",
    "suffix",
]
