"""The component's side of the contract: exports `publishing` for all publishers that were declared."""

import sys

import wit_world.exports
from componentize_py_types import Err
from wit_world.exports import publishing as wit
from wit_world.imports import log as host_log

from . import log, runtime
from .alert import Alert
from .publishing import PUBLISHERS, Target
from .record import clean, dumps, loads

write = runtime.written(host_log.write, {level.name.lower(): level for level in host_log.Level})


class Publishing(wit_world.exports.Publishing):
    def describe(self):
        begin()
        return [wit.PublisherInfo(publisher.name, clean(publisher.description)) for publisher in PUBLISHERS]

    def publish(self, publisher, alert, publication, output):
        begin()
        try:
            published = PUBLISHERS[publisher].publish(Alert.parse(alert), loads(publication), Target(output))
            if not isinstance(published, dict):
                raise TypeError(f"a publisher returns the publication, a dict, not {published!r}")
            return dumps(published)
        except ValueError as failure:
            # Why it cannot be shaped; the text is for people.
            raise Err(clean(str(failure))) from None
        except BaseException as failure:
            runtime.fail(failure, write)
        finally:
            sys.stdout.flush()


def begin():
    """Once in an instance, at its first call."""
    if log.write is not write:
        log.write = write
        runtime.begin(write)
