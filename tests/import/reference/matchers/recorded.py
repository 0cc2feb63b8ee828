"""Which records a rule looks at."""


class Calls:
    """Calls of AWS, by who was called."""

    EVALUATED = ("PutEvaluations", "PutConfigRule")

    @classmethod
    def of_config(cls, rec):
        return rec["eventSource"] == "config.amazonaws.com" and rec["eventName"] in cls.EVALUATED

    @staticmethod
    def by_config(rec):
        return rec["sourceIPAddress"] == "config.amazonaws.com"


def row_was_added(rec):
    return rec["action"] == "added"
