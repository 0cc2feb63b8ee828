"""Python's own logging goes to the host's log."""

import logging

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (0, "debug"))


class _Handler(logging.Handler):
    def __init__(self, write):
        super().__init__()
        self._write = write

    def emit(self, record):
        level = next(name for least, name in _LEVELS if record.levelno >= least)
        try:
            self._write(level, record.getMessage())
        except Exception:
            self._write(level, str(record.msg))


def to_the_log(write):
    # What a repository set up while the component was built wrote to that build.
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).handlers.clear()
    logging.root.handlers[:] = [_Handler(write)]
