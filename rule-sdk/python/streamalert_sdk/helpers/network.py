"""Addresses and networks. An IPv4 address dressed as IPv6, `::ffff:10.0.0.1`, is that IPv4 address everywhere here."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

from .. import log
from .text import several

#: Bits in front of an IPv4 address that is dressed as IPv6.
_MAPPED_BITS = 96


def in_network(ip, networks):
    """Whether the address lies in one of the networks, given as `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    Bits behind the prefix do not matter: `10.0.0.5/24` is `10.0.0.0/24`.

    Something that is no address is in no network. What is no network is passed over, with a line in the log. The
    networks are read at each call; a long list is better kept as Networks.

    >>> in_network("10.1.2.3", ["192.168.0.0/16", "10.0.0.0/8"])
    True
    >>> in_network("cloudtrail.amazonaws.com", ["0.0.0.0/0"])
    False
    """
    address = _address(ip)
    return address is not None and _lies_in(address, _read("in_network", networks))


class Networks:
    """Networks read once, for the top of a rule file. What is no network is passed over, with a line in the log.

    >>> Networks(["198.51.100.0/24", "2001:db8::/32"]).contain("198.51.100.7")
    True
    """

    __slots__ = ("_networks",)

    def __init__(self, networks):
        self._networks = list(_read("Networks", networks))

    def contain(self, ip):
        """Whether the address lies in one of them; False for something that is no address."""
        address = _address(ip)
        return address is not None and _lies_in(address, self._networks)


def valid_ip(ip):
    """Whether this is an IPv4 or IPv6 address in its ordinary written form: four decimal numbers without leading zeros,
    or IPv6, `::1` included. A network, a port or a zone is no part of an address."""
    return _address(ip) is not None


def is_public_ip(ip):
    """Whether the address can be routed on the internet: not private, shared (100.64.0.0/10), loopback, link-local,
    multicast, reserved, for documentation, or unspecified. False for something that is no address."""
    address = _address(ip)
    if address is None:
        return False
    if isinstance(address, IPv4Address):
        return not _lies_in(address, _NOT_PUBLIC)
    # What is given out for the internet so far is 2000::/3.
    return address in _GIVEN_OUT and not _lies_in(address, _NOT_PUBLIC)


def is_private_ip(ip):
    """Whether the address is for use within one's own network: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fc00::/7.
    False for something that is no address. Loopback and link-local are neither private nor public."""
    address = _address(ip)
    return address is not None and _lies_in(address, _PRIVATE)


def _address(text):
    # Scopes (`fe80::1%eth0`) are a matter of one host.
    if not isinstance(text, str) or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _read(who, networks):
    for text in several(networks):
        network = _network(text)
        if network is None:
            log.warn(f"{who}: {text!r} is no network")
        else:
            yield network


def _network(text):
    if not isinstance(text, str) or "%" in text:
        return None
    _, slash, bits = text.partition("/")
    # Masks such as 255.255.255.0 are no prefix.
    if slash and not (bits.isascii() and bits.isdigit()):
        return None
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS and network.network_address.ipv4_mapped:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - _MAPPED_BITS))
    return network


def _lies_in(address, networks):
    return any(address.version == network.version and address in network for network in networks)


_PRIVATE = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
_GIVEN_OUT = ip_network("2000::/3")
_NOT_PUBLIC = _PRIVATE + [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
]
