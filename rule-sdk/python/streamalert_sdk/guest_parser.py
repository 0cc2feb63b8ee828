"""The component's side of the contract: exports `parsing` for the one parser that was declared."""

import sys

import wit_world.exports
from componentize_py_types import Err, Ok
from wit_world.exports import parsing as wit
from wit_world.imports import log as host_log

from . import log, runtime
from .parsing import PARSERS, Part
from .record import clean

write = runtime.written(host_log.write, {level.name.lower(): level for level in host_log.Level})


class Parsing(wit_world.exports.Parsing):
    def describe(self):
        begin()
        (parser,) = PARSERS
        return wit.ParserInfo(
            name=parser.name,
            description=clean(parser.description),
            schemas=parser.schemas,
            takes=wit.Takes[parser.takes.upper()],
            sniffs=parser.sniff is not None,
        )

    def sniff(self, head):
        begin()
        try:
            return bool(PARSERS[0].sniff and PARSERS[0].sniff(head))
        except BaseException as failure:
            runtime.fail(failure, write)
        finally:
            sys.stdout.flush()

    def parse(self, payload):
        begin()
        try:
            return [wit_part(part) for part in PARSERS[0].parse(payload)]
        except ValueError as failure:
            # Why nothing can be made of it; the text is for people.
            raise Err(clean(str(failure))) from None
        except BaseException as failure:
            runtime.fail(failure, write)
        finally:
            sys.stdout.flush()


def wit_part(part):
    if type(part) is not Part:
        raise TypeError(f"a parser returns a list of Part, and not {part!r} in it")
    if part.reason is not None:
        outcome = Err(clean(part.reason))
    else:
        outcome = Ok(wit.Parsed(part.log_type, clean(part.json)))
    return wit.Part(part.place.start, len(part.place), outcome)


def begin():
    """Once in an instance, at its first call."""
    if log.write is not write:
        log.write = write
        runtime.begin(write)
