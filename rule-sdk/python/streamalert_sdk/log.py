"""Lines for whoever runs the pipeline. The host adds plugin and rule, cuts long lines and drops what is too many.

Outside WebAssembly they go to standard error.
"""

import sys


def debug(message):
    write("debug", str(message))


def info(message):
    write("info", str(message))


def warn(message):
    write("warn", str(message))


def error(message):
    write("error", str(message))


def write(level, message):
    # The component puts the host's log in its place.
    print(f"{level}: {message}", file=sys.stderr)
