"""Who gets in, and how."""
import json

from streamalert.rules_engine.threat_intel import ThreatIntel
from streamalert.shared.lookup_tables.core import LookupTables
from streamalert.shared.rule import disable, rule

ASSUMED = 3


def bypass_code(rec):
    """What was said of a code that goes around the second factor."""
    return json.loads(rec["description"]) if rec["action"] == "bypass_create" else {}


@rule(logs=["duo:administrator"])
def duo_bypass_code_create_non_auto_generated(rec):
    """
    author:       detection
    description:  Somebody thought of a code by himself.
    """
    return bypass_code(rec).get("auto_generated") is False


@rule(logs=["duo:administrator"])
def duo_bypass_code_create_non_expiring(rec):
    """
    author:       detection
    description:  A code is good for ever.
    """
    code = bypass_code(rec)
    return "valid_secs" in code and not code["valid_secs"]


@rule(logs=["duo:administrator"])
def duo_bypass_code_create_unlimited_use(rec):
    """
    author:       detection
    description:  A code can be used again and again.
    """
    code = bypass_code(rec)
    return "remaining_uses" in code and code["remaining_uses"] is None


@rule(logs=["duo:authentication"])
def duo_fraud(rec):
    """
    author:       detection
    description:  Somebody was asked whether it was him, and said no.
    """
    return rec["result"] == "FRAUD"


@rule(logs=["duo:authentication"])
def duo_lookup_tables_example(rec):
    """
    description:  A browser that we do not want here.
    """
    unwanted = LookupTables.get("dynamo-backed-table", "duo_blacklisted_browsers", [])
    return rec["access_device"].get("browser") in unwanted


@rule(logs=["onelogin:events"])
def onelogin_events_assumed_role(rec):
    """
    author:       detection
    description:  Somebody acts as another.
    """
    return rec["event_type_id"] == ASSUMED


@disable
@rule(logs=["onelogin:events"])
def onelogin_events_threat_intel_example(rec):
    """
    description:  Comes from an address that others have told of.
    """
    return bool(rec.get(ThreatIntel.IOC_KEY, {}).get("ip"))
