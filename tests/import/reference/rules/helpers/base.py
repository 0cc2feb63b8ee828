"""What the rules of this repository share."""
from streamalert.shared.utils import get_keys, in_network  # noqa: F401


def contains_any(text, needles):
    return isinstance(text, str) and any(needle in text for needle in needles)


def every(value):
    """A list as it is, one thing as a list of one, nothing as none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
