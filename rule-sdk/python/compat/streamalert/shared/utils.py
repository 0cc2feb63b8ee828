"""Looking into records, and at addresses: as StreamAlert answered, its oddities included, since rules may count on
them."""

from collections import deque
from ipaddress import ip_address, ip_network

from streamalert.shared.logger import get_logger
from streamalert.shared.normalize import Normalizer

LOGGER = get_logger(__name__)


def get_keys(data, search_key, max_matches=-1):
    """All values under this key at any depth, the outermost first; with `max_matches` above 0, so many at most."""
    found = []
    waiting = deque([data])
    while waiting:
        value = waiting.popleft()
        if isinstance(value, dict):
            if search_key in value:
                found.append(value[search_key])
                if 0 < max_matches == len(found):
                    break
            inside = [item for key, item in value.items() if key != Normalizer.NORMALIZATION_KEY]
        else:
            inside = value
        waiting.extend(item for item in inside if item and isinstance(item, (dict, list)))
    return found


def get_first_key(data, search_key, default_value=None):
    """The first of get_keys, or the default."""
    found = get_keys(data, search_key, 1)
    return found[0] if found else default_value


def valid_ip(address):
    """Whether this is an address; `::1` was never one."""
    return address != "::1" and _address(address) is not None


def in_network(address, cidrs):
    """Whether the address lies in one of these networks. What is no network is passed over, with a line in the log."""
    if not valid_ip(address):
        return False
    address = _address(address)
    for cidr in cidrs:
        try:
            network = ip_network(cidr, strict=False)
        except ValueError:
            LOGGER.error("Invalid IP Network: %s", cidr)
            continue
        if address.version == network.version and address in network:
            return True
    return False


def _address(value):
    if isinstance(value, bool) or value is None:
        return None
    try:
        return ip_address(value)
    except ValueError:
        return None
