"""Compares what functions were seen to call with what the plan lets them do."""

import fnmatch
import json
import re
import sys
from pathlib import Path

from botocore.exceptions import ClientError
from plan import PREFIX
from recorder import actions
from standin import ACCOUNT, Clients

sys.path.insert(0, str(Path(__file__).parents[1]))
import check  # noqa: E402

HERE = Path(__file__).parent
STAGES = {"rules_engine": "rules-engine", "alert_merger": "alert-merger", "alert_processor": "alert-processor", "plugin_compiler": "plugin-compiler"}


def matches(pattern, text):
    """As IAM has it: `*` is anything."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def permitted(statements, action, resource):
    listed = lambda value: value if isinstance(value, list) else [value]
    return any(
        one["Effect"] == "Allow" and action in listed(one["Action"]) and any(matches(pattern, resource) for pattern in listed(one["Resource"]))
        for one in statements
    )


def elsewhere(folder):
    """Calls of other test runs, as if they had been made in this installation: pairs of function and of call, and how many there were."""
    found, count = set(), 0
    for path in sorted(folder.glob("*.jsonl")) if folder else []:
        for line in path.read_text().splitlines():
            try:
                call = json.loads(line)
            except json.JSONDecodeError:
                # Of a test that was ended.
                continue
            count += 1
            headers = {name: value for name, value in call["headers"].items() if value}
            needed = actions(call["method"], call["target"], headers, json.dumps(call["body"]).encode(), ACCOUNT)
            if call["status"] == 404 and needed[0][0] == "s3:GetObject":
                needed.append(("s3:ListBucket", needed[0][1].partition("/")[0]))
            for action, resource in needed:
                found.add((call["function"], action, here(resource, call["prefix"])))
    return found, count


def here(resource, prefix):
    """The resource of a test's installation, as the plan calls it."""
    account = re.sub(r":\d{12}:", f":{ACCOUNT}:", resource)
    name = re.sub(rf"(?<![a-z0-9-]){re.escape(prefix)}(?=-streamalert-|/streamalert/)", PREFIX, account)
    name = re.sub(rf"{re.escape(prefix.replace('-', '_'))}_streamalert_", f"{PREFIX}_streamalert_", name)
    # Tests have no aliases, and call functions by the names of their stages.
    function = re.fullmatch(rf"(arn:aws:lambda:.*:function:{PREFIX}-streamalert-)([\w-]+)", name)
    return f"{function[1]}{function[2].replace('_', '-')}:live" if function else name


class Exceptions:
    """Lines of a table that have to be used."""

    def __init__(self, name):
        lines = (HERE / name).read_text().splitlines()
        self.rows = [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")][1:]
        self.used = set()

    def has(self, *call):
        for row in self.rows:
            if all(matches(pattern, text) for pattern, text in zip(row, call)):
                self.used.add(row)
                return True
        return False


def compare(one, calls, say):
    faults = []
    policies = one.plan.policies()
    functions = {short: policies[one.name(short)] for short in one.plan.functions()}
    of_stage = lambda stage: [short for short in functions if short == STAGES.get(stage) or stage == "classifier" and short.startswith("classifier")]
    seen = {short: one.calls(short) for short in functions}
    others, count = elsewhere(calls)

    # Nothing is missing.
    artefacts = Exceptions("of_tests.tsv")
    for short, made in seen.items():
        for action, resource in sorted(made):
            if not permitted(functions[short], action, resource) and not one.is_early(resource):
                faults.append(f"{short} calls {action} on {resource}, which the plan does not permit")
    for stage, action, resource in sorted(others):
        if not any(permitted(functions[short], action, resource) for short in of_stage(stage)) and not artefacts.has(stage, action, resource):
            faults.append(f"{stage}, in other tests, calls {action} on {resource}, which the plan does not permit")

    # Nothing is unused.
    unseen = Exceptions("unseen.tsv")
    expected = check.Expected(check.Plan(one.plan_file), one.conf)
    all_ = {short: made | {call[1:] for call in others if short in of_stage(call[0])} for short, made in seen.items()}
    rows = used_rows = 0
    for row in check.table():
        function, action, template, *_ = row
        granted = {
            (name.split("-streamalert-", 1)[1], pattern)
            for name, grants in expected.grants([row]).items() for _, pattern in grants
        }
        if not granted:
            continue
        rows += 1
        if any(made == action and matches(pattern, resource) for short, pattern in granted for made, resource in all_[short]):
            used_rows += 1
            if unseen.has(function, action, template):
                faults.append(f"unseen.tsv has {function} {action} {template}, and it was seen")
        elif not unseen.has(function, action, template):
            faults.append(f"{function} may {action} on {template}, and was never seen to do so")
    where = f"and {count} of other tests" if count else "and none of other tests: they were not recorded"
    if count:
        faults += [f"{name} has {' '.join(row[:3])}, which nothing needs" for name, table in (("unseen.tsv", unseen), ("of_tests.tsv", artefacts)) for row in table.rows if row not in table.used]
    else:
        # What only other tests do is not known then.
        faults = [fault for fault in faults if "never seen" not in fault]
    say(f"{sum(map(len, seen.values()))} different calls of this run {where}: of {rows} permissions {used_rows} were used, {rows - used_rows} are such as cannot be seen")
    return faults


# Not permitted to anybody but those who are to: function, what it tries, and on what.
OUTSIDE = [
    ("rules-engine", "write live code", lambda clients, one: clients.s3.put_object(Bucket=one.name("rules"), Key="live/index", Body=b"x")),
    ("rules-engine", "delete an alert", lambda clients, one: clients.dynamodb.delete_item(TableName=one.name("alerts"), Key={"id": {"S": "x"}, "part": {"S": "x"}})),
    ("classifier-prod", "read secrets", lambda clients, one: clients.ssm.get_parameter(Name=f"/{one.prefix}/streamalert/outputs/slack/soc")),
    ("classifier-prod", "read another cluster's bucket", lambda clients, one: clients.s3.get_object(Bucket=f"{one.prefix}-bridged", Key="logs/trail.json")),
    ("alert-processor", "send records", lambda clients, one: clients.sqs.send_message(QueueUrl=one.url("records"), MessageBody="x")),
    ("alert-processor", "call the compiler", lambda clients, one: clients.lambda_.invoke(FunctionName=one.name("plugin-compiler"), Qualifier="live")),
    ("plugin-compiler", "read records", lambda clients, one: clients.sqs.receive_message(QueueUrl=one.url("records"))),
]


def outside(one, say):
    """What is not in a policy is refused."""
    faults = []
    clients = {function: one.as_function(function) for function in {function for function, *_ in OUTSIDE}}
    for function, what, attempt in OUTSIDE:
        try:
            attempt(clients[function], one)
            faults.append(f"{function} may {what}")
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("AccessDenied", "AccessDeniedException"):
                faults.append(f"{function} tries to {what}, and is not refused: {error}")
    say(f"{len(OUTSIDE) - len(faults)} attempts outside of the policies are refused: " + ", ".join(f"{function} may not {what}" for function, what, _ in OUTSIDE))
    return faults
