"""The component's side of the contract: exports `delivery` for the one output that was declared."""

import sys

import wit_world.exports
from componentize_py_types import Err
from wit_world.exports import delivery as wit
from wit_world.imports import http as host_http
from wit_world.imports import log as host_log
from wit_world.imports import secrets

from . import log, runtime
from .alert import Alert
from .delivery import OUTPUTS, Parcel, Settings
from .disposition import Disposition
from .http import Failure, Request, Response
from .record import clean, loads

write = runtime.written(host_log.write, {level.name.lower(): level for level in host_log.Level})


class Delivery(wit_world.exports.Delivery):
    def describe(self):
        begin()
        (output,) = OUTPUTS
        return wit.OutputInfo(
            service=output.service,
            description=clean(output.description),
            settings=[
                wit.Setting(setting.name, clean(setting.description), setting.secret, setting.required)
                for setting in output.settings
            ],
            hosts=output.hosts,
            options=output.options,
        )

    def validate(self, settings):
        begin()
        try:
            faults = OUTPUTS[0].validate(given(settings))
            return [wit.Fault(clean(fault.setting), clean(fault.message)) for fault in faults]
        except BaseException as failure:
            runtime.fail(failure, write)
        finally:
            sys.stdout.flush()

    def deliver(self, parcel):
        begin()
        try:
            (output,) = OUTPUTS
            settings = given(parcel.settings)
            for setting in output.settings:
                value = secrets.get(setting.name) if setting.secret else None
                if value is not None:
                    settings.put(setting.name, value)
            whole = Parcel(
                output.service,
                settings,
                parcel.descriptor,
                parcel.idempotency_key,
                parcel.attempt,
                parcel.now,
                Alert.parse(parcel.alert),
                loads(parcel.publication),
                parcel.progress,
            )
            return wit_disposition(output.deliver(whole, Http))
        except BaseException as failure:
            runtime.fail(failure, write)
        finally:
            sys.stdout.flush()


def given(settings):
    return Settings({setting.name: setting.value for setting in settings})


class Http:
    """Requests go through the host."""

    @staticmethod
    def send(request):
        if not isinstance(request, Request):
            raise TypeError(f"http.send takes a Request, such as Request.post(url), not {type(request).__name__}")
        headers = [host_http.Header(clean(name), clean(value)) for name, value in request.headers]
        try:
            answer = host_http.send(
                host_http.Request(request.method, clean(request.url), headers, bytes(request.body))
            )
        except Err as error:
            failure = error.value
            return Failure(failure.kind.name.lower(), failure.message, failure.sent)
        headers = [(header.name, header.value) for header in answer.headers]
        return Response(answer.status, headers, answer.body, answer.truncated)


def wit_disposition(disposition):
    if not isinstance(disposition, Disposition):
        what = "delivered(), retry(reason), reject(reason) or answer(http.send(…))"
        raise TypeError(f"an output returns {what}, not {disposition!r}")

    def text(value):
        return None if value is None else clean(str(value))

    if disposition.kind == "delivered":
        return wit.Disposition_Delivered(text(disposition.place))
    if disposition.kind == "reject":
        return wit.Disposition_Reject(clean(str(disposition.reason)))
    again = wit.Again(clean(str(disposition.reason)), disposition.wait, text(disposition.done))
    return wit.Disposition_Retry(again)


def begin():
    """Once in an instance, at its first call."""
    if log.write is not write:
        log.write = write
        runtime.begin(write)
