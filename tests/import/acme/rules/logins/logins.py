"""Who logs in."""
from matchers.people import People
from publishers.acme.layout import Signed, shout
from publishers.community.generic import add_record
from rules.helpers.base import in_network, last_hour
from streamalert.shared.lookup_tables.core import LookupTables
from streamalert.shared.normalize import Normalizer
from streamalert.shared.publisher import DefaultPublisher
from streamalert.shared.rule import disable, rule

OFFICE = ["192.0.2.0/24"]


@rule(
    logs=["acme:login"],
    req_subkeys={"detail": ["reason", "client.name"]},
    outputs=["slack:security", "nonsense"],
    matchers=[lambda rec: rec["name"] == "failed"],
)
def failed_for_a_reason(rec):
    """
    author:       north
    description:  Somebody could not log in, and we know why.
    """
    return rec["detail"]["reason"] in ("locked", "expired")


@rule(
    logs=["acme:login"],
    outputs=["slack:security"],
    publishers={"slack": [DefaultPublisher, Signed], "slack:security": shout, "aws-sns:guards": "no.such.publisher"},
)
def root_at_night(rec):
    """
    author:       north
    description:  Root, and not from the office.
    """
    return rec["user"]["name"] == "root" and not in_network(rec["source_ip"], OFFICE)


def teams_of(rec, context):
    context["asked"] = True
    team = LookupTables.get("teams", rec["user"]["name"])
    return [f"slack:{team}", "pagerduty:oncall"] if team else None


def fails(_, context):
    raise KeyError("nobody")


@rule(
    logs=["acme:login"],
    matchers=[People.is_staff],
    context={"team": "unknown", "spare": 1},
    dynamic_outputs=[teams_of, fails],
    publishers=[add_record, shout],
    merge_by_keys=["name", "role"],
    merge_window_mins=20000,
)
def staff_without_second_factor(rec, context):
    """
    author:       south
    description:  Staff came in by a password alone.
    """
    if rec["factors"]:
        return False
    context["team"] = rec["user"]["role"]
    del context["spare"]
    return True


@rule(logs=["acme:login"])
def fresh_login(rec):
    """Not even an hour old."""
    return rec["name"] == "fresh" and last_hour(rec["time"])


@rule(datatypes=["sourceAddress", "nobodyHasThis"])
def evil_address(rec):
    """From where nothing good comes."""
    return "203.0.113.66" in (Normalizer.get_values_for_normalized_type(rec, "sourceAddress") or ())


@disable
@rule(logs=["acme:login"], outputs=["slack:security"])
def too_noisy(rec):
    return True
