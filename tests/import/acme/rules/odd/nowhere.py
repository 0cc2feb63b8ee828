"""About logs that do not exist."""
from streamalert.shared.config import load_config
from streamalert.shared.rule import rule

ACCOUNT = load_config(include=["global.json"])["global"]["account"]["aws_account_id"]


@rule(logs=["acme:window"])
def window_open(rec):
    return True


@rule(logs=["acme:door"])
def own_account(rec):
    """Knows what the configuration says."""
    return rec["door"] == ACCOUNT
