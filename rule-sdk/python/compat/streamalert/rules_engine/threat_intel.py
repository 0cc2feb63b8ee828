"""Threat intelligence: the host attaches what it knows; rules find it under this key."""


class ThreatIntel:
    IOC_KEY = "streamalert:ioc"
