"""The publisher @ident@."""

from streamalert_sdk import publisher


@publisher(name="@ident@")
def @ident@_publisher(alert, publication, target):
    """A line of text in the place of the record."""
    # What the publisher before it left, at first the default publication; a ValueError holds the delivery back.
    publication.pop("record", None)
    # `@slack.text`, where the output is one of Slack, tells it how to show the alert.
    publication[target.magic("text")] = f"{alert.title} ({alert.severity})"
    return publication
