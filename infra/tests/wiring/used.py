"""Compares what functions were seen to call with what the plan lets them do."""

import json
import re
import sys
from pathlib import Path

from botocore.exceptions import ClientError
from plan import PREFIX
from recorder import ANY, actions
from standin import ACCOUNT, REGION

sys.path.insert(0, str(Path(__file__).parents[1]))
import check  # noqa: E402

HERE = Path(__file__).parent
STAGES = {
    stage: stage.replace("_", "-") for stage in (
        "rules_engine", "alert_merger", "alert_processor", "plugin_compiler", "apps", "rule_promotion", "athena_partitioner",
        "scheduled_queries", "threat_intel_downloader",
    )
}


def matches(pattern, text):
    """As IAM has it: `*` is anything."""
    if text.endswith(f"/{ANY}") and pattern.startswith(text.removesuffix(ANY)):
        return True
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.S) is not None


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
            for action, resource in needed:
                resource = here(resource, call["prefix"])
                found.add((call["function"], action, resource))
                if call["status"] == 404 and action == "s3:GetObject":
                    found.add((call["function"], "s3:ListBucket", resource.partition("/")[0]))
    return found, count


# What a data bucket is for.
DATA = ("claims/", "dead/", "cursors/", "alerts/", "stats/", "queries/")


def here(resource, prefix):
    """The resource of a test's installation, as the plan calls it."""
    if logs := re.fullmatch(rf"arn:aws:s3:::{re.escape(prefix)}-(?:logs|streamalert-data)/(.*)", resource, re.S):
        # Tests put logs there, too.
        if not logs[1].startswith(DATA):
            return f"arn:aws:s3:::{PREFIX}-streamalert-logs/{logs[1]}"
    if re.fullmatch(rf"arn:aws:sqs:.*:{re.escape(prefix)}-(soc|later|other|told)", resource):
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}-tickets"
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


class Comparison:
    """Of what was seen, in this run and in others, with what is permitted."""

    def __init__(self, one, calls):
        self.one = one
        policies = one.plan.policies()
        self.functions = {short: policies[one.name(short)] for short in one.plan.functions()}
        self.seen = {short: one.calls(short) for short in self.functions}
        self.others, self.count = elsewhere(calls)
        self.rows = check.table()
        self.expected = check.Expected(check.Plan(one.plan_file), one.conf)

    def of_stage(self, stage):
        return [short for short in self.functions if short == STAGES.get(stage) or stage == "classifier" and short.startswith("classifier")]

    def missing(self, artefacts):
        """Calls that nothing permits."""
        for short, made in self.seen.items():
            for action, resource in sorted(made):
                if not permitted(self.functions[short], action, resource) and not self.one.is_early(resource):
                    yield f"{short} calls {action} on {resource}, which the plan does not permit"
        for stage, action, resource in sorted(self.others):
            of_stage = [self.functions[short] for short in self.of_stage(stage)]
            if not any(permitted(one, action, resource) for one in of_stage) and not artefacts.has(stage, action, resource):
                yield f"{stage}, in other tests, calls {action} on {resource}, which the plan does not permit"

    def used(self):
        """Lines of permissions.tsv that say something of this installation, and whether anybody did that."""
        made_by = {short: made | {call[1:] for call in self.others if short in self.of_stage(call[0])} for short, made in self.seen.items()}
        for row in self.rows:
            granted = {
                (name.split("-streamalert-", 1)[1], pattern)
                for name, grants in self.expected.grants([row]).items() for _, pattern in grants
            }
            if granted:
                yield row[:3], any(
                    action == row[1] and matches(pattern, resource) for short, pattern in granted for action, resource in made_by[short]
                )


def compare(one, calls, say):
    both = Comparison(one, calls)
    artefacts, unseen = Exceptions("of_tests.tsv"), Exceptions("unseen.tsv")
    faults = list(both.missing(artefacts))
    rows = list(both.used())
    for row, is_used in rows:
        if is_used and unseen.has(*row):
            faults.append(f"unseen.tsv has {' '.join(row)}, and it was used")
        # What only other tests do is not known without them.
        elif not is_used and not unseen.has(*row) and both.count:
            faults.append(f"permissions.tsv has {' '.join(row)}, and that was never used")
    if both.count:
        for name, table in (("unseen.tsv", unseen), ("of_tests.tsv", artefacts)):
            faults += [f"{name} has {' '.join(row[:3])}, which nothing needs" for row in table.rows if row not in table.used]
    where = f"and {both.count} of other tests" if both.count else "(none of other tests were recorded: `make test` does)"
    count = sum(is_used for _, is_used in rows)
    say(f"{sum(map(len, both.seen.values()))} different calls of this run {where}: of {len(rows)} permissions {count} were used; unseen.tsv says why not the others")
    return faults


def controls(one, calls, say):
    """A permission too few, and one too many, are found."""
    faults = []
    both = Comparison(one, calls)
    both.functions = {
        short: [{**statement, "Action": [action for action in statement["Action"] if action != "ssm:GetParameter"]} for statement in statements]
        for short, statements in both.functions.items()
    }
    if not any("ssm:GetParameter" in fault for fault in both.missing(Exceptions("of_tests.tsv"))):
        faults.append("a permission less is not found")
    both = Comparison(one, calls)
    both.rows.append(["alert-merger", "s3:DeleteObject", "arn:aws:s3:::{data_bucket}/alerts/*", "always", "nothing"])
    if [is_used for row, is_used in both.used() if row[1] == "s3:DeleteObject" and row[0] == "alert-merger"] != [False]:
        faults.append("a permission more is not found")
    both = Comparison(one, calls)
    both.seen["classifier-prod"] = both.seen["classifier-prod"] | {("s3:DeleteBucket", f"arn:aws:s3:::{one.name('data')}")}
    if not any("s3:DeleteBucket" in fault for fault in both.missing(Exceptions("of_tests.tsv"))):
        faults.append("a call that nothing permits is not found")
    say(f"{3 - len(faults)} of 3 faults that were put into permissions and calls are found")
    return faults


# Not permitted to anybody but those who are to: function, what it tries, and on what.
OUTSIDE = [
    ("rules-engine", "write live code", lambda clients, one: clients.s3.put_object(Bucket=one.name("rules"), Key="live/index", Body=b"x")),
    ("rules-engine", "delete an alert", lambda clients, one: clients.dynamodb.delete_item(TableName=one.name("alerts"), Key={"id": {"S": "x"}, "part": {"S": "x"}})),
    ("classifier-prod", "read secrets", lambda clients, one: clients.ssm.get_parameter(Name=f"/{one.prefix}/streamalert/outputs/slack/soc")),
    ("classifier-prod", "read another cluster's bucket", lambda clients, one: clients.s3.get_object(Bucket=f"{one.prefix}-bridged", Key="logs/trail.json")),
    ("alert-processor", "send records", lambda clients, one: clients.sqs.send_message(QueueUrl=one.url("records"), MessageBody="x")),
    ("alert-processor", "call the compiler", lambda clients, one: clients.lambda_.invoke(FunctionName=one.name("plugin-compiler"), Qualifier="live")),
    ("apps", "read secrets of outputs", lambda clients, one: clients.ssm.get_parameter(Name=f"/{one.prefix}/streamalert/outputs/slack/soc")),
    ("athena-partitioner", "drop a partition", lambda clients, one: clients.glue.batch_delete_partition(DatabaseName=one.database, TableName="alerts", PartitionsToDelete=[{"Values": ["x"]}])),
    ("scheduled-queries", "write into the archive", lambda clients, one: clients.s3.put_object(Bucket=one.name("archive"), Key="alerts/x", Body=b"x")),
    ("rule-promotion", "take a decision back", lambda clients, one: clients.dynamodb.delete_item(TableName=one.name("rules"), Key={"rule": {"S": "x"}})),
    ("threat-intel-downloader", "read alerts", lambda clients, one: clients.dynamodb.scan(TableName=one.name("alerts"))),
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
