"""What the rules of this repository share."""
import logging
import time

import pathlib2

from streamalert.shared.utils import get_first_key, in_network  # noqa: F401

logging.basicConfig()
LOGGER = logging.getLogger("StreamAlert")


def last_hour(unixtime, hours=1):
    return bool(unixtime) and int(time.time()) - int(unixtime) <= hours * 3600


def is_below(path, folder):
    return pathlib2.PurePath(path).match(folder)
