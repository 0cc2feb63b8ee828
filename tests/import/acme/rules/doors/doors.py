"""Which doors open."""
from matchers.people import is_odd
from rules.helpers.base import LOGGER, is_below
from streamalert.shared.rule import rule


@rule(logs=["acme:door", "acme:window"], merge_by_keys=["door"])
def vault_open(rec):
    return rec["open"] and rec["door"] == "vault"


@rule(logs=["acme:door"], matchers=[is_odd], severity="high")
def odd_door(rec):
    """A door with an odd name."""
    import datetime

    LOGGER.info("looking at %s", rec["door"])
    print("and at", rec["badge"])
    return datetime.datetime.strptime(rec["at"], "%Y-%m-%d").year < 2000 and is_below(rec["door"], "*/side")


@rule(logs=["acme:door"])
def numbered_door(rec):
    """Fails for most."""
    return int(rec["door"]) > 10


@rule(logs=["acme:door"])
def marks_the_record(rec):
    """What one rule writes, another may read."""
    rec["note"] = "marked"
    return False


@rule(logs=["acme:door"])
def marked(rec):
    return rec["door"] == "marked" and rec["note"] == "marked"


@rule(logs="badge")
def any_badge(rec):
    return rec["badge_id"] == 7
