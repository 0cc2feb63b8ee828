"""Who logs in to AWS as root."""

from streamalert_sdk import equals, rule


@rule(
    logs=["cloudtrail:events"],
    when=[equals("eventName", "ConsoleLogin"), equals("userIdentity.type", "Root")],
    outputs=["file:security"],
    severity="high",
)
def root_login(record):
    """Somebody logged in as root."""
    return record.is_("responseElements.ConsoleLogin", "Success")
