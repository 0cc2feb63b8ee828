"""Needs what is not there."""
from streamalert.shared.rule import rule

from acme_secret_library import decide


@rule(logs=["acme:door"])
def decided(rec):
    return decide(rec)
