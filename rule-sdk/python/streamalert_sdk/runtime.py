"""What a component of any world needs of Python: its output goes to the log, its failures end in a trap."""

import os
import sys

from .record import clean

#: Innermost frames of a failure that are told; a line of the log has a limit.
_FRAMES = 4


def begin(write):
    """Once in an instance, at its first call: before that, the component is only being built."""
    sys.stdout, sys.stderr = Log(write, "info"), Log(write, "warn")
    # There are no files: what is not imported yet cannot be.
    sys.path.clear()


class Log:
    """Standard output, for whoever debugs by `print`: a line is a line of the log."""

    encoding = "utf-8"

    def __init__(self, write, level):
        self._write = write
        self._level = level
        self._line = ""

    def write(self, text):
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._write(self._level, line)
        return len(text)

    def flush(self):
        if self._line:
            self._write(self._level, self._line)
            self._line = ""

    def isatty(self):
        return False


def fail(failure, write):
    """Ends in a trap, which carries no text; the text goes into the log first."""
    try:
        write("error", f"{type(failure).__name__}: {failure} in {where(failure)}")
    except BaseException:
        # There is no memory, or no stack, to say it.
        pass
    os.abort()


def where(failure):
    """The innermost frames, as `in_here (file.py, line 3) < called_from (…)`."""
    frames, at = [], failure.__traceback__
    while at:
        code = at.tb_frame.f_code
        frames.append(f"{code.co_name} ({code.co_filename.rpartition('/')[2]}, line {at.tb_lineno})")
        at = at.tb_next
    # The first is what caught it.
    return " < ".join(frames[:0:-1][:_FRAMES])


def written(write_host, levels):
    """A `write(level, message)` over the host's log."""

    def write(level, message):
        write_host(levels[level], clean(message))

    return write
