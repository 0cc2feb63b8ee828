"""Threat intelligence: the host adds none to records, so a rule that asks for it finds nothing."""


class ThreatIntel:
    IOC_KEY = "streamalert:ioc"
