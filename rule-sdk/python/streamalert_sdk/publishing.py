"""Declaring publishers, which shape an alert for an output. A component is publishers, or rules, a parser or an
output."""

import inspect

from .rule import RuleError

#: What `publisher` declared, in the order of the files.
PUBLISHERS = []


class Publisher:
    """A publisher, as the decorator wrote it down."""

    __slots__ = ("description", "name", "publish")

    def __init__(self, name, description, publish):
        self.name = name
        self.description = description
        self.publish = publish


def publisher(function=None, *, name=None):
    """Makes a publisher of a function that takes an Alert, the publication so far (a dict), and the Target; it returns
    the publication. The function stays as it is, so that tests can call it.

    name: what rules call it, if not the function's name.

    What it raises as a ValueError is why the alert cannot be shaped: the delivery is tried again later. Anything else
    is a fault of its own.
    """

    def declare(function):
        if not callable(function) or not hasattr(function, "__name__"):
            raise RuleError("@publisher stands above a function that takes an alert, its publication and the target")
        description = inspect.cleandoc(function.__doc__ or "")
        PUBLISHERS.append(Publisher(name or function.__name__, description, function))
        return function

    return declare if function is None else declare(function)


class Target:
    """What a publication is for."""

    __slots__ = ("descriptor", "service")

    def __init__(self, output):
        """From `service:descriptor`."""
        self.service, _, self.descriptor = output.partition(":")

    def magic(self, field):
        """The key by which a publisher speaks to an output of this service: `@service.field`."""
        return f"@{self.service}.{field}"

    def __str__(self):
        return f"{self.service}:{self.descriptor}"
