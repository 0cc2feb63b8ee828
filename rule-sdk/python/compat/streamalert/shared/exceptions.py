class ConfigError(Exception):
    """The configuration is wrong."""
