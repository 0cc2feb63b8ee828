"""The module under the name it had for older Pythons."""

from pathlib import *  # noqa: F403
