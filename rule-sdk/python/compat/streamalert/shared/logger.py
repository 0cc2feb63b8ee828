import logging


def get_logger(name, level=None):
    """A logger of Python's own; in a component its lines go to the host's log."""
    logger = logging.getLogger(name)
    if level is not None:
        logger.setLevel(level)
    return logger


get_level = logging.getLevelName
