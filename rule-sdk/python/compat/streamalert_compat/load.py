"""What a repository holds, and what of it can be had. Runs while a component is built, when there still are files."""

import importlib
import inspect
import json
import os
import re
import traceback

from streamalert.shared.publisher import AlertPublisherRepository, DefaultPublisher
from streamalert.shared.rule import Rule
from streamalert_sdk.record import dumps
from streamalert_sdk.rule import exists
from streamalert_sdk.path import joined

from . import when

#: What the host takes for a name.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
#: Packages whose publishers the host has itself, under the last part of their names.
_HOSTS_OWN = ("publishers.community.", "publishers.sample.", "streamalert.shared.publisher.")
#: Conditions of one rule; those about fewest records come first.
_CONDITIONS_MAX = 20
_ORDER = ("equals", "prefix", "suffix", "exists")


class Described:
    """One rule, as the host is told of it."""

    def __init__(self, rule):
        self.rule = rule
        self.name = rule.name
        self.description = inspect.cleandoc(rule.description)
        self.logs = []
        self.when = []
        self.options = {}
        #: It changes the record that other rules see after it.
        self.writes = False
        #: What whoever imports it should know.
        self.notes = []


class Repository:
    """`plan` is what `import_streamalert.py` wrote: modules to import, and what the host knows."""

    def __init__(self, plan):
        self.plan = plan
        self.known = plan["known"]
        self.files = {module["module"]: module["file"] for module in plan["modules"]}
        #: Files that could not be imported, and why.
        self.broken = []
        self.rules = []
        #: Rules that are not in the component, and why.
        self.left_out = []

    def load(self):
        for module in self.plan["modules"]:
            try:
                importlib.import_module(module["module"])
            except BaseException as failure:
                self.broken.append({"file": module["file"], "why": told(failure)})
                self.forget(module["module"])
        when.watch(importlib.import_module(module) for module in self.files if self.is_there(module))
        # In the order of files and of rules in them, in which they are asked: one may write what another reads.
        for rule in Rule._rules.values():
            described = Described(rule)
            why = self.describe(described)
            if why:
                self.left_out.append({"rule": rule.name, "file": self.file_of(rule.func), "why": why})
            else:
                self.rules.append(described)
        self.trust_no_conditions()
        return self

    def trust_no_conditions(self):
        """Where one rule writes into the record, the prefilter does not see what another then reads."""
        writers = [described for described in self.rules if described.writes]
        for described in self.rules:
            for writer in writers:
                alone = described.logs and writer.logs and not set(described.logs) & set(writer.logs)
                if writer is not described and described.when and not alone:
                    described.when = []
                    described.notes.append(
                        f"its conditions are not used: {writer.name} writes into the same records, which only rules see"
                    )

    @staticmethod
    def forget(module):
        """Half a file is none: what its later lines would have said is not known."""
        for name in [name for name, rule in Rule._rules.items() if rule.func.__module__ == module]:
            del Rule._rules[name]
        publishers = AlertPublisherRepository.all_publishers()
        for name in [name for name in publishers if name.rpartition(".")[0] == module]:
            del publishers[name]

    def is_there(self, module):
        return not any(broken["file"] == self.files[module] for broken in self.broken)

    def file_of(self, function):
        return self.files.get(getattr(function, "__module__", ""), "")

    def describe(self, described):
        """Fills in what the decorator said. A reason why the rule is left out, or None."""
        rule, note = described.rule, described.notes.append
        if rule.disabled:
            return "it is disabled"
        if not _NAME.fullmatch(rule.name):
            return "the host takes letters, digits, `_`, `-` and `.` in names only, and 128 of them"
        why = self.logs(described)
        if why:
            return why
        described.when = self.conditions(described)
        options = described.options
        if rule.outputs:
            options["outputs"] = self.outputs(rule.outputs, note)
        publishers = self.publishers(rule.publishers, note)
        if publishers:
            options["publishers"] = publishers
        self.merge(described)
        if rule.initial_context:
            options["context"] = json.loads(dumps(rule.initial_context))
        if rule.unknown:
            note(f"options that StreamAlert never knew are passed over: {', '.join(rule.unknown)}")
        described.writes = any(when.changes_record(function) for function in (*(rule.matchers or ()), rule.func))
        if described.writes:
            note("it writes into the record: rules after it see that, as ever; alerts carry what was classified")
        return None

    def logs(self, described):
        rule, known, note = described.rule, self.known["log_types"], described.notes.append
        if not rule.logs:
            return self.datatypes(described)
        if isinstance(rule.logs, str):
            # A text was searched for the log type.
            described.logs = [log_type for log_type in known if log_type in rule.logs]
            note(f"`logs` is a text, {rule.logs!r}; as ever that means {', '.join(described.logs) or 'nothing'}")
        else:
            described.logs = [log for log in dict.fromkeys(rule.logs) if log in known]
            absent = [str(log) for log in rule.logs if log not in known]
            if absent:
                note(f"no schema defines {', '.join(absent)}, so there are no such records")
        if not described.logs:
            return "no schema defines any of its logs, so it was never asked"
        for log in described.logs:
            more = [other for other in known if other.startswith(f"{log}:")]
            if more:
                note(f"it is asked about {', '.join(more)} as well, since `{log}` stands for all its types here")
        if rule.datatypes:
            note("`datatypes` beside `logs` never meant anything, and is left out")
        return None

    def datatypes(self, described):
        """Without `logs`, StreamAlert asked a rule about every record, whatever its datatypes were."""
        rule, note = described.rule, described.notes.append
        known = [name for name in rule.datatypes if name in self.known["datatypes"]]
        if when.asks_only_for(rule.func, rule.datatypes) and not rule.matchers and not rule.req_subkeys:
            # To a rule that looks at nothing else, records without such values are all alike.
            try:
                answer = (
                    rule.func({}, dict(rule.initial_context)) if rule.initial_context is not None else rule.func({})
                )
            except Exception:
                answer = False
            if not answer:
                if not known:
                    return "no schema finds values of any of its datatypes, so it would report nothing"
                described.options["datatypes"] = known
                return None
        described.logs = list(self.known["log_types"])
        note(
            "it has `datatypes` and no `logs`, so it is asked about every record, as ever; name its logs, since that "
            "costs time for each record"
        )
        return None

    def conditions(self, described):
        """Which records it could report. All is asked again by the rule itself, so this can only save time."""
        rule, note, found = described.rule, described.notes.append, []
        for key, keys in (rule.req_subkeys or {}).items():
            found += [exists(joined((key, inner))) for inner in keys if key and inner and isinstance(inner, str)]
        for function in (*(rule.matchers or ()), rule.func):
            here = when.needed(function)
            found += here
            if function is not rule.func and not here:
                name = getattr(function, "__name__", str(function))
                note(f"nothing could be read off its matcher {name}, which is asked itself")
            if when.changes_record(function):
                break
        told = []
        for condition in sorted(found, key=lambda condition: _ORDER.index(condition.test)):
            # What is compared is there.
            known = condition.test == "exists" and any(f"{one.path}.".startswith(f"{condition.path}.") for one in told)
            if not known and condition not in told:
                told.append(condition)
        if not told and described.logs:
            note("nothing could be read off it, so it is asked about every record of its logs")
        return told[:_CONDITIONS_MAX]

    def outputs(self, outputs, note):
        """Outputs by the names they have here; what is none is passed over, as ever."""
        given = [outputs] if isinstance(outputs, str) else outputs
        good = [output for output in given if is_output(output)]
        bad = [str(output) for output in given if not is_output(output)]
        if bad:
            note(f"what is no output is passed over: {', '.join(bad)}")
        return sorted({self.output(output) for output in good})

    def output(self, output):
        """An output's name today."""
        renamed = self.known["outputs"].get(output)
        if renamed:
            return renamed
        service, _, descriptor = output.partition(":")
        return f"{self.known['services'].get(service, service)}:{descriptor}"

    def publishers(self, given, note):
        """As the host has it: its chains begin with the default publication, StreamAlert's with nothing."""
        if not given:
            return None
        if not isinstance(given, dict):
            return self.chain(given, note, begins=True)
        services = {key for key in given if ":" not in key}
        chains = {}
        for key, publishers in given.items():
            # What stands under an output follows what stands under its service.
            begins = ":" not in key or key.partition(":")[0] not in services
            chain = self.chain(publishers, note, begins)
            if chain:
                chains[self.output(key) if ":" in key else self.known["services"].get(key, key)] = chain
        return chains or None

    def chain(self, publishers, note, begins):
        names = []
        for publisher in publishers if isinstance(publishers, (list, tuple)) else [publishers]:
            name = publisher if isinstance(publisher, str) else AlertPublisherRepository.get_publisher_name(publisher)
            name = re.sub(r"^stream_alert\.", "streamalert.", name)
            if name == AlertPublisherRepository.get_publisher_name(DefaultPublisher):
                names.append("default")
            elif self.is_hosts_own(name) or AlertPublisherRepository.has_publisher(name):
                names.append(name)
            else:
                note(f"there is no publisher {name}; it is passed over, as ever")
        return ["blank", *names] if begins and names and names[0] != "default" else names

    def is_hosts_own(self, name):
        return name.startswith(_HOSTS_OWN) and name.rpartition(".")[2] in self.known["publishers"]

    def merge(self, described):
        rule, note = described.rule, described.notes.append
        minutes, most = rule.merge_window_mins, self.known["merge_minutes_max"]
        if not rule.merge_by_keys or not minutes:
            if rule.merge_by_keys or minutes:
                note("of `merge_by_keys` and `merge_window_mins` one alone merges nothing, as ever")
            return
        if minutes > most:
            note(f"it merges over {minutes} minutes; {most} are the most here")
        described.options["merge"] = {"by": list(rule.merge_by_keys), "minutes": int(min(minutes, most))}

    def own_publishers(self):
        """Publishers that the host does not have itself, by name."""
        return {
            name: publisher
            for name, publisher in sorted(AlertPublisherRepository.all_publishers().items())
            if not name.startswith("streamalert.shared.publisher.") and not self.is_hosts_own(name)
        }

    def report(self):
        """For whoever imports: what is there, what is not, and why."""
        default = AlertPublisherRepository.get_publisher_name(DefaultPublisher)
        there = sorted(AlertPublisherRepository.all_publishers().keys() - {default})
        hosts_own = [name for name in there if self.is_hosts_own(name)]
        return {
            "rules": [
                {
                    "rule": described.name,
                    "file": self.file_of(described.rule.func),
                    "logs": described.logs,
                    "when": [repr(condition) for condition in described.when],
                    "notes": described.notes,
                }
                for described in self.rules
            ],
            "left_out": self.left_out,
            "broken": self.broken,
            "publishers": list(self.own_publishers()),
            "hosts_own_publishers": hosts_own,
        }


def is_output(output):
    if not isinstance(output, str):
        return False
    service, colon, descriptor = output.partition(":")
    return bool(service and colon and descriptor) and not re.search(r"\s", output)


def told(failure):
    """The last line of a failure, and where in the repository it was."""
    where = [frame for frame in traceback.extract_tb(failure.__traceback__) if frame.filename.startswith("/0/")]
    place = f" ({where[-1].filename.removeprefix('/0/')}, line {where[-1].lineno})" if where else ""
    return "".join(traceback.format_exception_only(failure)).strip().replace('"/0/', '"') + place


def loaded(folder=None):
    """The repository of the plan beside this package; its report is written there, too."""
    folder = folder or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.path.join(folder, "streamalert_plan.json"), encoding="utf-8") as file:
        repository = Repository(json.load(file)).load()
    with open(os.path.join(folder, "streamalert_report.json"), "w", encoding="utf-8") as file:
        json.dump(repository.report(), file)
    when.forget_sources()
    return repository
