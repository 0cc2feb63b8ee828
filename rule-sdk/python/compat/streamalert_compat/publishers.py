"""A component's own side: the publishers of a repository that the host does not have itself."""

import inspect
import json
import sys

import wit_world.exports
from componentize_py_types import Err
from streamalert.shared.alert import Alert
from streamalert.shared.normalize import Normalizer
from streamalert_sdk import log, runtime
from streamalert_sdk.record import clean, dumps, loads
from wit_world.exports import publishing as wit
from wit_world.imports import log as host_log

from . import lines
from .load import loaded

REPOSITORY = loaded()
PUBLISHERS = list(REPOSITORY.own_publishers().items())

write = runtime.written(host_log.write, {level.name.lower(): level for level in host_log.Level})


class Publishing(wit_world.exports.Publishing):
    def describe(self):
        _begin()
        return [wit.PublisherInfo(name, clean(description(publisher))) for name, publisher in PUBLISHERS]

    def publish(self, publisher, alert, publication, output):
        _begin()
        name, publisher = PUBLISHERS[publisher]
        try:
            alert = json.loads(alert)
            if isinstance(alert.get("record"), dict):
                # As ever: it was in no output.
                alert["record"].pop(Normalizer.NORMALIZATION_KEY, None)
            published = publisher.publish(Alert.of_today(alert), loads(publication))
            if not isinstance(published, dict):
                raise TypeError(f"it answers with {type(published).__name__}, not with a dict")
            return dumps(published)
        except MemoryError as failure:
            runtime.fail(failure, write)
        except Exception as failure:
            raise Err(clean(f"{type(failure).__name__}: {failure} in {runtime.where(failure)}")) from None
        finally:
            sys.stdout.flush()


def description(publisher):
    told = getattr(publisher, "_function", type(publisher)).__doc__
    return inspect.cleandoc(told) if told else ""


_begun = False


def _begin():
    global _begun
    if not _begun:
        _begun = True
        log.write = write
        runtime.begin(write)
        lines.to_the_log(write)
