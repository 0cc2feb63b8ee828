"""What goes on on hosts and in networks."""
from matchers.recorded import row_was_added
from streamalert.shared.normalize import Normalizer
from streamalert.shared.rule import rule

TURNED_AROUND = "\u202e"
PSEUDO_USERS = frozenset({"reboot", "runlevel", "shutdown", "LOGIN"})
EVIL_DOMAIN = "evil.com."
EVIL_ADDRESSES = ["222.173.190.239"]


@rule(logs=["binaryalert"])
def binaryalert_yara_match(rec):
    """
    author:       detection
    description:  A file looks like malware.
    """
    return int(rec["NumMatchedRules"]) > 0


@rule(datatypes=["command", "path", "file_path"])
def right_to_left_character(rec):
    """
    author:       detection
    description:  A name is written so that it reads as another.
    """
    for name in ("command", "path", "file_path"):
        values = Normalizer.get_values_for_normalized_type(rec, name) or set()
        if any(TURNED_AROUND in value for value in values):
            return True
    return False


@rule(logs=["osquery:differential"], matchers=[row_was_added])
def ssh_login_activity(rec):
    """
    author:       detection
    description:  Somebody logged in to a host.
    """
    if rec["name"] != "pack_incident-response_last":
        return False
    columns = rec["columns"]
    return str(columns.get("type")) == "7" and columns.get("username") not in PSEUDO_USERS


@rule(logs=["packetbeat:dns"])
def packetbeat_blacklisted_domain(rec):
    """
    author:       detection
    description:  A host asked for a name that nobody should ask for.
    """
    return rec["dns"]["question"]["name"] == EVIL_DOMAIN


@rule(logs=["packetbeat:dns"])
def packetbeat_dns_lookup(rec):
    """
    author:       detection
    description:  A host asked for a name below one that nobody should ask for.
    """
    return rec["dns"]["question"]["name"].endswith(f".{EVIL_DOMAIN}")


@rule(logs=["packetbeat:flow"])
def packetbeat_blacklisted_ip(rec):
    """
    author:       detection
    description:  A host talks to one that it should not talk to.
    """
    ends = {rec["source"]["ip"], rec["dest"]["ip"]}
    return not ends.isdisjoint(EVIL_ADDRESSES)


@rule(logs=["trendmicro:malwareevent"])
def trendmicro_malware_event(rec):
    """
    author:       detection
    description:  The agent found malware.
    """
    return rec["EventType"] == "AntiMalwareEvent"
