"""Declaring an output, which hands alerts to one service. A component is one output, or rules, a parser or
publishers."""

import functools
import inspect

from .alert import Alert, sample_alert
from .disposition import NotAccepted
from .record import dumps
from .rule import RuleError
from .url import Url

#: What `output` declared; the builder refuses a second one.
OUTPUTS = []


class Setting:
    """A setting of each descriptor. Required, unless `optional()`."""

    def __init__(self, name, description, secret, required=True):
        self.name = name
        self.description = description
        self.secret = secret
        self.required = required

    @staticmethod
    def secret(name, description):
        """Lies in the secret store: webhook URLs, tokens, passwords."""
        return Setting(name, description, True)

    @staticmethod
    def plain(name, description):
        """Lies in the configuration, for all to read."""
        return Setting(name, description, False)

    def optional(self):
        return Setting(self.name, self.description, self.secret, False)


class Settings:
    """Settings with their values, secret ones among them."""

    __slots__ = ("_values",)

    def __init__(self, values=()):
        self._values = dict(values)

    def put(self, name, value):
        self._values[name] = value
        return self

    def get(self, name):
        """The value without blanks around it; None: not given, or blank."""
        return (self._values.get(name) or "").strip() or None

    def __repr__(self):
        # Names only: a secret does not get into a log by being shown.
        return f"Settings({', '.join(self._values)})"


class Fault:
    """What is wrong with a setting; `setting` is empty if it is about several. Must not repeat the value of a secret
    one."""

    __slots__ = ("message", "setting")

    def __init__(self, setting, message):
        self.setting = setting
        self.message = message

    def __repr__(self):
        return f"{self.setting}: {self.message}"


class Output:
    """An output, as the decorator wrote it down."""

    __slots__ = ("check", "deliver", "description", "hosts", "options", "service", "settings")

    def __init__(self, service, description, settings, hosts, options, check, deliver):
        self.service = service
        self.description = description
        self.settings = settings
        self.hosts = hosts
        self.options = options
        self.check = check
        self.deliver = deliver

    def validate(self, given):
        """Everything that is wrong with these settings: first what every output needs, then what the author's check
        says."""
        settings = given if isinstance(given, Settings) else Settings(given)
        faults = []
        for setting in self.settings:
            value = settings.get(setting.name)
            if value is None:
                if setting.required:
                    faults.append(Fault(setting.name, "is required"))
            elif f"{{{setting.name}}}" in self.hosts:
                try:
                    Url(value)
                except ValueError as error:
                    faults.append(Fault(setting.name, str(error)))
        return faults if faults or self.check is None else list(self.check(settings) or ())


def output(*, settings, hosts, service=None, rate=None, idempotent=False, validate=None):
    """Makes an output of a function that takes a Parcel and http, and returns what came of it: `delivered()`,
    `retry(reason)`, `reject(reason)`, or `answer(http.send(request))`. Tests can call it; its `validate` takes
    settings.

    settings: what the operator says of each descriptor: Setting.secret(…), Setting.plain(…).
    hosts: hosts it calls: `api.example.com`, `*.example.com`, `{url}` for the host of the URL in the setting `url`.
    service: the first half of service:descriptor, if not the function's name.
    rate: deliveries a second that the service takes.
    idempotent: whether the service takes a parcel once, however often it is sent.
    validate: a function of Settings that returns a list of Fault, or nothing.
    """
    wrong = []
    if not isinstance(settings, (list, tuple)) or not all(isinstance(setting, Setting) for setting in settings):
        wrong.append('`settings` takes a list, as in settings=[Setting.secret("url", "Where to ring")]')
    if not isinstance(hosts, (list, tuple)) or not all(isinstance(host, str) for host in hosts):
        wrong.append(f"`hosts` takes a list of texts, not {hosts!r}")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, (int, float)) or rate <= 0):
        wrong.append(f"`rate` takes a number of deliveries a second, not {rate!r}")
    if validate is not None and not callable(validate):
        wrong.append(f"`validate` takes a function of the settings, not {validate!r}")
    options = {"idempotent": bool(idempotent)}
    if rate is not None:
        options["rate"] = rate

    def declare(function):
        if not callable(function) or not hasattr(function, "__name__"):
            raise RuleError("@output(…) stands above a function that takes a parcel and http")
        name = service or function.__name__
        if wrong:
            raise RuleError(f"output {name}: {'; '.join(wrong)}")

        @functools.wraps(function)
        def deliver(parcel, http):
            try:
                return function(parcel, http)
            except NotAccepted as refused:
                return refused.disposition

        description = inspect.cleandoc(function.__doc__ or "")
        declared = Output(name, description, list(settings), list(hosts), dumps(options), validate, deliver)
        OUTPUTS.append(declared)
        deliver.service, deliver.validate = name, declared.validate
        return deliver

    return declare


class Parcel:
    """What an attempt is about: one alert for one descriptor."""

    __slots__ = (
        "_settings",
        "alert",
        "attempt",
        "descriptor",
        "idempotency_key",
        "now",
        "progress",
        "publication",
        "service",
    )

    def __init__(self, service, settings, descriptor, idempotency_key, attempt, now, alert, publication, progress):
        self.service = service
        self._settings = settings
        #: The second half of `service:descriptor`.
        self.descriptor = descriptor
        #: The same for each attempt, and like no other: hand it to the service wherever that has a place for one.
        self.idempotency_key = idempotency_key
        #: 1 at first.
        self.attempt = attempt
        #: Seconds since 1970; a guest has no clock.
        self.now = now
        self.alert = alert
        #: The alert as the publishers left it: a dict.
        self.publication = publication
        #: What the last attempt left by `progress`; None: nothing.
        self.progress = progress

    @classmethod
    def sample(cls, output, alert=None, settings=()):
        """For tests: the first attempt to deliver this alert, published as it is."""
        fields = {**sample_alert(), **(alert or {})}
        key = "0123456789abcdef0123456789abcdef"
        given = Settings(settings)
        return cls(output.service, given, "sample", key, 1, 1767323100, Alert(fields), dict(fields), None)

    def setting(self, name):
        """A setting, be it secret or not; None: not given, or blank."""
        return self._settings.get(name)

    def required(self, name):
        """A setting that was required, so that it is there; empty if it is not."""
        return self.setting(name) or ""

    @property
    def settings(self):
        return self._settings

    @property
    def output(self):
        """`service:descriptor`."""
        return f"{self.service}:{self.descriptor}"

    def magic(self, field):
        """What a publisher says to this output: the publication's `@service.field`; None: nothing."""
        return self.magic_of(self.service, field)

    def magic_text(self, field):
        """The same where it is a text that says something."""
        value = self.magic(field)
        return value if isinstance(value, str) and value else None

    def magic_of(self, service, field):
        """What a publisher says to another output."""
        return self.publication.get(f"@{service}.{field}")

    def shown(self):
        """The publication without what is said to outputs: all that people should see."""
        return {key: value for key, value in self.publication.items() if not key.startswith("@")}
