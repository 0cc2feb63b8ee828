"""How Acme likes its alerts."""
from streamalert.shared.description import RuleDescriptionParser
from streamalert.shared.publisher import AlertPublisher, Register


@Register
def shout(alert, publication):
    """The rule's name in capitals."""
    publication["@slack.text"] = alert.rule_name.upper()
    return publication


@Register
class Signed(AlertPublisher):
    """Who wrote the rule, and when the alert was raised."""

    def publish(self, alert, publication):
        told = RuleDescriptionParser.present(alert.rule_description)
        publication["signed"] = "{}, {:%Y}".format(told["author"], alert.created)
        publication["keys"] = sorted(publication)
        return publication


@Register
def breaks(_, publication):
    return publication["what is not there"]
