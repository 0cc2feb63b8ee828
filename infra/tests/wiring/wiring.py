#!/usr/bin/env python3
"""Makes on stand-ins what a plan says, and sees a log become an alert in it; and sees that it does not where something is missing.

    wiring.py missing            says what is not built that it needs
    wiring.py prepare FOLDER     a configuration and the functions' zip, to plan with
    wiring.py run FOLDER CALLS   with FOLDER/plan.json; CALLS is a folder of calls that other runs recorded, and need not be there

Prints what it finds, a line each, and exits with 1 if anything is wrong.
"""

import base64
import copy
import gzip
import io
import json
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from botocore.exceptions import ClientError

import moto_gate
import used
from installation import BUILD, COMPONENTS, LATER, LOGINS, OBJECT, PUSHED, SAMPLES, STREAMALERT, Failed, Installation, Slack, package, until
from plan import PREFIX, Plan
from recorder import Recorder
from standin import ACCOUNT, REGION, ministack

# Log types with a table in the archive.
ARCHIVED = "cloudtrail,guardduty,okta,streamalert"
# Every way in that there is, in a cluster beside the one of `streamalert init`.
WAYS = {
    "data_sources": {
        "s3": {"wired-bridged": ["cloudtrail"]},
        "kinesis": {"wired-stream": ["cloudtrail"]},
        "sns": {"wired-topic": ["cloudtrail"]},
        "sqs": {"wired-queue": ["cloudtrail"]},
        "eventbridge": {"wired.source": ["guardduty"]},
        "cloudwatch_logs": {"/wired/app": ["cloudtrail"]},
        "streamalert_app": {"okta": ["okta"]},
        "streamalert_query": {"*": ["streamalert"]},
    },
    "classifier_config": {"memory": 512, "timeout": 60},
    "infrastructure": {
        "s3": {"wired-bridged": {"create": True, "notify": "eventbridge", "prefixes": ["logs/"]}},
        "kinesis": {"wired-stream": {"create": True, "shards": 1}},
        "sns": {"wired-topic": {"create": True}},
        "sqs": {"wired-queue": {"create": True}},
        "cloudwatch_logs": {"/wired/app": {"create": True}},
    },
}
# Of the webhook and what is beside it; the port is put in later.
HERE = "http://127.0.0.1:1"
# Where alerts go: to a webhook, and to what AWS has, which is there and somebody else's. Mail is left
# out, since ministack asks for permission to mail as anybody; it has no Security Hub.
OUTPUTS = {
    "slack": {"soc": {"hosts": [HERE], "private_networks": True}},
    "aws-sqs": {"soc": {"settings": {"queue": "wired-tickets"}}},
    "aws-sns": {"soc": {"settings": {"topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:wired-oncall"}}},
    "aws-s3": {"soc": {"settings": {"bucket": "wired-evidence", "prefix": "alerts"}}},
    "aws-cloudwatch-log": {"soc": {"settings": {"log_group": "/wired/alerts"}}},
    "aws-eventbridge": {"soc": {"settings": {"bus": "wired-bus"}}},
    "aws-lambda": {"soc": {"settings": {"function": "wired-respond"}}},
    "aws-firehose": {"soc": {"settings": {"stream": "wired-siem"}}},
}
OUTPUTS["defaults"] = [{"outputs": [f"{service}:soc" for service in OUTPUTS], "always": True}]
# What else a file of the configuration turns on.
FILES = {
    "apps.json": {
        "okta": {
            "type": "okta_system_log", "schedule": "rate(1 minute)", "settings": {"url": HERE}, "hosts": [HERE], "private_networks": True,
        },
    },
    "rule_staging.json": {
        "window": "2s", "threshold": 1000000, "rules": {"root_console_login": {"promote": False}},
        "digest": {"schedule": "cron(0 8 * * ? *)", "output": "slack:soc"},
    },
    "threat_intel.json": {
        # What was looked up before the source was asked is not known for long.
        "enabled": True, "normalized_ioc_types": {"ip": ["ip_address"]}, "cache_seconds": 1,
        "sources": {
            "partner": {
                "type": "csv", "url": f"{HERE}/feed.csv", "private_networks": True, "schedule": "rate(1 day)", "auth": "bearer",
                "csv": {"value": "value", "type": "ip", "sub_type": "sub"},
            },
        },
    },
    "scheduled_queries.json": {
        "packs": {"often": {"schedule": "rate(1 minute)", "delay_seconds": 0}},
        "queries": {"ones": {"query": "SELECT 1 AS n, 'found' AS what", "tags": ["often"]}},
    },
    "lookup_tables.json": {"tables": {"break_glass_users": {"driver": "s3", "bucket": "wired-tables", "key": "users.json"}}},
}
# Bytes that cannot be packed; as text a third more.
LARGE = 2 << 20
# On a busy machine, for what takes a second.
PATIENCE = 120
# A schedule of a minute, and what it starts.
MINUTE = 75
# Installations that are tried at a time.
AT_ONCE = 6


def prepare(folder):
    """As the README begins: `init`, and `generate` for the archive."""
    def streamalert(*arguments):
        subprocess.run([STREAMALERT, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    streamalert("init", PREFIX, "--yes", "--region", REGION)
    streamalert("generate", "--config", PREFIX, "--logs", ARCHIVED)
    (folder / PREFIX / "clusters/ways.json").write_text(json.dumps(WAYS))
    (folder / PREFIX / "outputs.json").write_text(json.dumps(OUTPUTS))
    for name, content in FILES.items():
        (folder / PREFIX / name).write_text(json.dumps(content))
    # It lies in S3 here.
    (folder / PREFIX / "lookup_tables/break_glass_users.json").unlink(missing_ok=True)
    package(folder)


def say(text):
    print(text, flush=True)


def trail():
    return json.loads(gzip.decompress(OBJECT.read_bytes()))["Records"]


def record(way):
    """The trail of the samples is stopped, by way of something."""
    one = copy.deepcopy(next(one for one in trail() if one["eventName"] == "StopLogging"))
    one["eventID"] = f"{one['eventID']}-{way}"
    return one


def send_by_all_ways(one):
    """Each way with where it says that it came from."""
    clients, name = one.clients, one.prefix
    text = lambda way: json.dumps({"Records": [record(way)]})
    clients.s3.put_object(Bucket=f"{name}-bridged", Key="logs/trail.json", Body=text("bridged"))
    # Which the prefix leaves out.
    clients.s3.put_object(Bucket=f"{name}-bridged", Key="other/trail.json", Body=text("other"))
    clients.kinesis.put_record(StreamName=f"{name}-stream", PartitionKey="1", Data=text("stream").encode())
    clients.sns.publish(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}-topic", Message=text("topic"))
    url = clients.sqs.get_queue_url(QueueName=f"{name}-queue")["QueueUrl"]
    clients.sqs.send_message(QueueUrl=url, MessageBody=text("queue"))
    event = json.loads((SAMPLES / "guardduty/eventbridge.jsonl").read_text().splitlines()[0])
    clients.events.put_events(Entries=[
        {"Source": f"{name}.source", "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])},
    ])
    clients.logs.create_log_stream(logGroupName=f"/{name}/app", logStreamName="one")
    clients.logs.put_log_events(logGroupName=f"/{name}/app", logStreamName="one", logEvents=[
        {"timestamp": int(time.time() * 1000), "message": text("logs")},
    ])
    return {
        "a bucket's events of EventBridge": f"s3 / {name}-bridged / logs/trail.json",
        "a stream of Kinesis": f"kinesis / {name}-stream",
        "a topic": f"sns / {name}-topic",
        "a queue": f"sqs / {name}-queue",
        "a rule of EventBridge": f"eventbridge / {name}.source",
        "a log group": f"cloudwatch_logs / /{name}/app",
    }


def told(one, source):
    """Whether somebody was told of an alert that came from there."""
    found = [message for message in one.messages() if source in json.dumps(message)]
    return found, f"{len(one.messages())} messages, none of {source}"


def journey(one, push_seconds, seconds, every_way=False):
    """From a push to an alert, and all else that is to happen. Says how long both took."""
    begun = time.monotonic()
    one.push(push_seconds)
    pushed = time.monotonic()
    one.put_trail()
    until("an alert by way of the bucket", seconds, lambda: told(one, f"s3 / {one.name('logs')} / AWSLogs"))
    took = pushed - begun, time.monotonic() - pushed
    records = len(json.loads(gzip.decompress(OBJECT.read_bytes()))["Records"])
    count = lambda table, least: (lambda lines: (len(lines) >= least, f"{len(lines)} of {least} lines"))(one.archived(table))
    until("the archive of the records", seconds, lambda: count("cloudtrail_events", records))
    until("the archive of the alerts", seconds, lambda: count("alerts", 1))
    if every_way:
        ways = send_by_all_ways(one)
        for way, source in ways.items():
            until(f"an alert by way of {way}", seconds, lambda source=source: told(one, source))
            say(f"an alert came by way of {way}")
        if told(one, "other/trail.json")[0]:
            raise Failed("an object came that no prefix names")
    return took


def targets(one):
    """What the outputs of AWS deliver to, which no plan makes."""
    clients, name = one.clients, one.prefix
    clients.sqs.create_queue(QueueName=f"{name}-tickets")
    clients.sns.create_topic(Name=f"{name}-oncall")
    clients.s3.create_bucket(Bucket=f"{name}-evidence")
    clients.logs.create_log_group(logGroupName=f"/{name}/alerts")
    clients.events.create_event_bus(Name=f"{name}-bus")
    clients.firehose.create_delivery_stream(DeliveryStreamName=f"{name}-siem", ExtendedS3DestinationConfiguration={
        "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/streamalert/{one.name('archive')}", "BucketARN": f"arn:aws:s3:::{name}-evidence",
    })
    clients.lambda_.create_function(
        FunctionName=f"{name}-respond", Runtime="python3.11", Handler="one.handle", Code={"ZipFile": script("one.py", "def handle(*_): pass\n")},
        Role=f"arn:aws:iam::{ACCOUNT}:role/streamalert/{one.name('alert-merger')}",
    )


def outputs_of_aws(one):
    """Nothing is owed to any output."""
    services = [service for service in OUTPUTS if service != "defaults"]
    listed = one.streamalert("alerts", "list", "--output", "json").stdout
    id_ = json.loads(listed.splitlines()[0])["id"]

    def look():
        shown = one.streamalert("alerts", "show", id_).stdout
        told = [line.strip() for line in shown.splitlines() if ":soc " in line]
        return all(any(re.match(rf"to +{service}:soc +delivered ", line) for line in told) for service in services), told

    until("the delivery to every output", PATIENCE, look)


def large(one):
    """A record that fits neither a message nor an alert's item nor a line of Firehose."""
    large = record("large")
    large["requestParameters"]["blob"] = base64.b64encode(random.Random(1).randbytes(LARGE)).decode()
    one.clients.s3.put_object(Bucket=one.name("logs"), Key="large.json", Body=json.dumps({"Records": [large]}))
    until("an alert of a large record", PATIENCE, lambda: told(one, f"s3 / {one.name('logs')} / large.json"))


def letters(one):
    """What cannot be read, or was not there, is kept, and sent again by the function for that."""
    clients, bucket = one.clients, one.name("logs")
    clients.s3.put_object(Bucket=bucket, Key="broken.json", Body=b"no json\n")
    late = {"bucket": {"name": bucket}, "object": {"key": "late.json", "size": 1, "sequencer": "0"}}
    notice = {"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": REGION, "eventName": "ObjectCreated:Put", "s3": late}
    clients.sqs.send_message(QueueUrl=one.url("prod-inputs"), MessageBody=json.dumps({"Records": [notice]}))

    def look():
        listed = one.streamalert("dead", "list", "--output", "json")
        return len(listed.stdout.splitlines()) == 2, listed.stdout.strip() or listed.stderr.strip() or "there is none"

    until("two dead letters", PATIENCE, look)
    sent = one.streamalert("dead", "resend", "--all")
    if sent.stderr.count("stays") != 2:
        raise Failed(f"the dead letters were not tried again: {sent.stderr}")
    # Nobody hears of it but who sends the letter again.
    clients.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    clients.s3.put_object(Bucket=bucket, Key="late.json", Body=json.dumps({"Records": [record("late")]}))
    sent = one.streamalert("dead", "resend", "--all")
    if sent.stderr.count("stays") != 1:
        raise Failed(f"the letter whose object is there now did not go through: {sent.stderr}")
    until("an alert of what came late", PATIENCE, lambda: told(one, f"s3 / {bucket} / late.json"))


def partitions(one):
    """Whatever Firehose has written is entered, also where Athena would not need it."""
    def look():
        entered = one.clients.glue.get_partitions(DatabaseName=one.database, TableName="cloudtrail_events")["Partitions"]
        places = [partition["StorageDescriptor"]["Location"] for partition in entered]
        fits = [place for place in places if place.startswith(f"s3://{one.name('archive')}/cloudtrail_events/dt=")]
        return len(fits) == len(places) > 0, f"partitions: {places}"

    until("a partition", PATIENCE, look)


def app(one):
    """Woken by its schedule or by hand, it fetches logs, which become records of the cluster that names it."""
    told = one.invoke("apps", {"app": "okta", "now": True})
    until("the archive of the app's logs", PATIENCE, lambda: (
        {line["uuid"] for line in one.archived("okta_system")} == {login["uuid"] for login in LOGINS}, f"{len(one.archived('okta_system'))} lines",
    ))
    # An invocation for each app is its own to make.
    itself = ("lambda:InvokeFunction", one.arn("lambda", f"function:{one.name('apps')}:live"))
    until("the schedule of the apps", 2 * MINUTE, lambda: (
        itself in one.calls("apps"), f"it has not invoked itself: {told}, {sorted(action for action, _ in one.calls('apps'))}",
    ))


def queries(one):
    """A row of an answer is a record."""
    until("the archive of the query's rows", 2 * MINUTE, lambda: (
        (lines := one.archived("streamalert_query_result")) and "found" in json.dumps(lines), f"{len(lines)} lines",
    ))


def indicators(one):
    """What a source says of an address is in the next record that has it."""
    told = one.invoke("threat-intel-downloader", {"sources": ["partner"], "force": True})
    time.sleep(2)
    one.clients.s3.put_object(Bucket=f"{one.prefix}-bridged", Key="logs/intel.json", Body=json.dumps({"Records": [record("intel")]}))

    def look():
        lines = [json.dumps(line) for line in one.archived("cloudtrail_events")]
        mine = [line for line in lines if "intel.json" in line]
        return any("streamalert:ioc" in line and "c2" in line for line in mine), f"of {len(lines)} lines, none has an indicator: {mine}; the source: {told}"

    until("an indicator in a record", PATIENCE, look)
    # What a source does not have any more is none.
    one.slack.feed = "\n".join(one.slack.feed.splitlines()[:2])
    told = one.invoke("threat-intel-downloader", {"sources": ["partner"], "force": True})
    if told["sources"][0]["removed"] != 1:
        raise Failed(f"an indicator that its source does not have any more is still there: {told}")


def trials(one):
    """Rules that come later begin on trial, are promoted when their time is over, and meanwhile somebody is told; they ask a lookup table."""
    one.clients.s3.create_bucket(Bucket=f"{one.prefix}-tables")
    one.clients.s3.put_object(Bucket=f"{one.prefix}-tables", Key="users.json", Body=b'{"breakglass-aws": {"owner": "security-operations"}}')
    one.push(PATIENCE, [*PUSHED, LATER])
    states = lambda: {
        item["rule"]["S"]: json.dumps(item) for item in one.clients.dynamodb.scan(TableName=one.name("rules"))["Items"]
    }
    begun = states()
    if not begun:
        raise Failed("rules that came later are not on trial")
    login = copy.deepcopy(next(one for one in trail() if one["eventName"] == "ConsoleLogin" and one["responseElements"]["ConsoleLogin"] == "Success"))
    login["userIdentity"] = {"type": "IAMUser", "userName": "breakglass-aws", "accountId": "111122223333", "arn": "arn:aws:iam::111122223333:user/breakglass-aws"}
    one.clients.s3.put_object(Bucket=f"{one.prefix}-bridged", Key="logs/login.json", Body=json.dumps({"Records": [login]}))
    asked = ("s3:GetObject", f"arn:aws:s3:::{one.prefix}-tables/users.json")
    until("a question to the lookup table", PATIENCE, lambda: (asked in one.calls("rules-engine"), "it was not read"))
    event = {"send_digest": True, "time": "2026-11-01T08:00:00Z"}
    digest, again = one.invoke("rule-promotion", event), one.invoke("rule-promotion", event)
    if (digest["digest"], again["digest"]) != ("owed", "known"):
        raise Failed(f"a digest is not told once: {digest}, {again}")
    promoted = {*digest["promoted"], *again["promoted"]}

    def look():
        promoted.update(one.invoke("rule-promotion", {})["promoted"])
        return len(promoted) > 0, f"none of {', '.join(sorted(begun))} is promoted"

    until("a promotion", PATIENCE, look)
    # Where a rule was live is remembered while no component has it, in case it comes back, and forgotten at last.
    one.clients.s3.delete_object(Bucket=one.name("rules"), Key=f"plugins/{LATER}")
    until("a note on rules that are gone", PATIENCE, lambda: (
        all('"gone"' in state for rule, state in states().items() if rule in begun), f"one is missing of {', '.join(sorted(states()))}",
    ))
    forgotten = sorted(set(begun) & set(states()))
    if not forgotten:
        raise Failed("what was known of rules is forgotten as soon as they are gone")
    long_ago = str(int((time.time() - 31 * 86_400) * 1000))
    for rule in forgotten:
        one.clients.dynamodb.update_item(
            TableName=one.name("rules"), Key={"rule": {"S": rule}}, UpdateExpression="SET gone = :gone",
            ExpressionAttributeValues={":gone": {"N": long_ago}},
        )
    # Any change of a component is looked at.
    kept = one.clients.s3.get_object(Bucket=one.name("rules"), Key=f"plugins/{PUSHED[0]}")["Body"].read()
    one.clients.s3.put_object(Bucket=one.name("rules"), Key=f"plugins/{PUSHED[0]}", Body=kept)
    until("the end of what was known of rules that are long gone", PATIENCE, lambda: (
        not set(begun) & set(states()), f"there is still {', '.join(sorted(states()))}",
    ))
    return len(promoted), digest


def scheduled(one, seconds):
    until("the schedule of the merger", seconds, lambda: (
        any(action == "dynamodb:Query" for action, _ in one.calls("alert-merger")), "it was not started, or got nowhere",
    ))


def without(kind, has, value=None):
    """Takes a resource out of a plan, or a part of it."""
    def change(plan):
        if value is None:
            plan.remove(kind, has)
        else:
            values = plan.one(kind, has)["values"]
            if not value(values):
                raise SystemExit(f"{kind} {has} has no such part")
    return change


def variable(name):
    return lambda values: values["environment"][0]["variables"].pop(name, None)


def permission(action):
    """Takes an action out of a policy."""
    def change(values):
        policy = json.loads(values["policy"])
        had = [one for one in policy["Statement"] if action in one["Action"]]
        for one in had:
            one["Action"] = [other for other in one["Action"] if other != action]
        policy["Statement"] = [one for one in policy["Statement"] if one["Action"]]
        values["policy"] = json.dumps(policy)
        return had
    return change


def statement(sid):
    """Takes a statement out of a policy."""
    def change(values):
        policy = json.loads(values["policy"])
        kept = [one for one in policy["Statement"] if one["Sid"] != sid]
        gone = len(kept) < len(policy["Statement"])
        values["policy"] = json.dumps({**policy, "Statement": kept})
        return gone
    return change


def index(name):
    def change(values):
        kept = [one for one in values["global_secondary_index"] if one["name"] != name]
        gone = len(kept) < len(values["global_secondary_index"])
        values["global_secondary_index"] = kept
        values["attribute"] = [one for one in values["attribute"] if one["name"] not in ("queue", "due")]
        return gone
    return change


FUNCTION = "aws_lambda_function"
# What is missing, and what does not happen then.
CONTROLS = [
    ("the target of the schedule", without("aws_cloudwatch_event_target", "module.alert_merger"), "the schedule of the merger"),
    ("notifications of the bucket of logs", without("aws_s3_bucket_notification", 'module.s3["wired-streamalert-logs"]'), "an alert by way of the bucket"),
    ("the policy of the inputs queue, so S3 may not send", without("aws_sqs_queue_policy", 'module.inputs_queue["prod"].aws_sqs_queue_policy.queue'), "cannot be made"),
    ("the mapping of the inputs queue", without("aws_lambda_event_source_mapping", 'module.classifier["prod"].aws_lambda_event_source_mapping.inputs'), "an alert by way of the bucket"),
    ("the mapping of the records queue", without("aws_lambda_event_source_mapping", "module.rules_engine"), "an alert by way of the bucket"),
    ("the classifier's permission sqs:SendMessage", without("aws_iam_role_policy", 'module.classifier["prod"]', permission("sqs:SendMessage")), "an alert by way of the bucket"),
    ("the alias of the alert processor", without("aws_lambda_alias", "module.alert_processor"), "cannot be made"),
    ("STREAMALERT_ALIAS of the rules engine", without(FUNCTION, "module.rules_engine", variable("STREAMALERT_ALIAS")), "an alert by way of the bucket"),
    ("STREAMALERT_PREFIX of the alert processor", without(FUNCTION, "module.alert_processor", variable("STREAMALERT_PREFIX")), "an alert by way of the bucket"),
    ("the index `due` of the alerts table", without("aws_dynamodb_table", "alerts", index("due")), "an alert by way of the bucket"),
    ("notifications of the rules bucket", without("aws_s3_bucket_notification", "uploads"), "push"),
    ("the compiler's permission s3:PutObject", without("aws_iam_role_policy", "module.plugin_compiler", permission("s3:PutObject")), "push"),
    ("STREAMALERT_ARCHIVE_LOGS of the classifier", without(FUNCTION, 'module.classifier["prod"]', variable("STREAMALERT_ARCHIVE_LOGS")), "the archive of the records"),
    ("STREAMALERT_ALERTS_STREAM of the alert processor", without(FUNCTION, "module.alert_processor", variable("STREAMALERT_ALERTS_STREAM")), "the archive of the alerts"),
]


def without_most(plan):
    """The stages and their first source: of controls, each has less to make."""
    small = copy.deepcopy(plan)
    small.resources = [one for one in small.resources if not re.search(r'"(ways(/[^"]*)?|wired-(bridged|stream|topic|queue))"', one["address"])]
    more = r"module\.(apps|rule_promotion|scheduled_queries|threat_intel_downloader|athena_partitioner|partitions_queue)\[|aws_s3_bucket_notification\.archive"
    small.resources = [one for one in small.resources if not re.match(more, one["address"])]
    small.resources = [one for one in small.resources if one["type"] not in ("aws_cloudwatch_metric_alarm", "aws_cloudwatch_log_stream")]
    return small


def control(number, what, change, expected, plan, patience, make):
    plan = without_most(plan)
    change(plan)
    minute = expected == "the schedule of the merger"
    begun = time.monotonic()
    try:
        one = make(plan, f"c{number}")
        if minute:
            scheduled(one, MINUTE)
        else:
            journey(one, *patience)
    except (Failed, SystemExit, ClientError) as error:
        if expected and expected in str(error):
            return f"without {what}: {str(error).partition(':')[0]}", time.monotonic() - begun
        return f"FAILED: without {what}, not {expected} but: {error}", 0
    if expected:
        return f"FAILED: without {what}, {expected} happens all the same", 0
    return f"with {what}, all of it happens", time.monotonic() - begun


def script(name="bootstrap", text=f"#!/bin/sh\nexec {BUILD / 'bootstrap'}\n"):
    """As good as the program itself, and not so many bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zip_:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = 0o755 << 16
        zip_.writestr(entry, text)
    return out.getvalue()


def run(folder, calls):
    begun = time.monotonic()
    plan = Plan.read(folder / "plan.json")
    slack = Slack()
    conf = folder / PREFIX
    for name in ("outputs.json", *FILES):
        # None of it is a part of another address.
        text = (conf / name).read_text()
        (conf / name).write_text(re.sub(rf"{re.escape(HERE)}(?![0-9])", slack.host, text))
    server = ministack(folder)
    recorder = Recorder(server.port, ACCOUNT)
    faults = []
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        make = lambda plan, prefix, package_: Installation(plan, prefix, recorder, slack, conf, package_, folder)
        one = make(plan, PREFIX, (folder / "bootstrap.zip").read_bytes())
        made = sum(one.made.count.values())
        say(f"{made} resources of {len(one.made.count)} types are made, with the functions' real zip and permissions enforced")
        for kind, count in sorted(one.made.left_out.items()):
            say(f"not made: {count} {kind}: {one.made.why_not(kind)}")
        faults += one.others()
        targets(one)
        try_without = lambda number, item, patience: control(number, *item, plan, patience, lambda plan, prefix: make(plan, prefix, script()))
        # It takes a minute, so it begins first.
        minute = pool.submit(try_without, 0, CONTROLS[0], None)
        try:
            push, alert = journey(one, PATIENCE, PATIENCE, every_way=True)
            say(f"rules were live {push:.1f} s after the push began, and an object in the planned bucket was an alert at the webhook {alert:.1f} s later")
            outputs_of_aws(one)
            say("the alert came to outputs of AWS, too: " + ", ".join(service for service in OUTPUTS if service.startswith("aws-")))
            large(one)
            say("a record of 3 MB became an alert, by way of claims")
            letters(one)
            say("dead letters were kept, and sent again")
            partitions(one)
            say("what lies in the archive was entered as partitions")
            app(one)
            say(f"{len(LOGINS)} logs of a service were fetched by an app, and classified by its cluster")
            queries(one)
            say("the row of a scheduled query became a record")
            indicators(one)
            say("an address that a source of indicators names was marked in a record")
            count, digest = trials(one)
            say(f"rules that came later began on trial, asked a lookup table in S3, and {count} were promoted; the digest: {digest['digest']}")
            # So long in other installations, of which several are busy at a time. Those that miss nothing have no longer.
            patience = max(45, 6 * push), max(15, 6 * alert)
            some = [(f"everything, {n}", lambda _: None, None) for n in (1, 2)]
            others = [pool.submit(try_without, number, item, patience) for number, item in enumerate([*some, *CONTROLS[1:]], 1)]
            for tried in [*others, minute]:
                text, seconds = tried.result()
                say(f"{text} ({seconds:.0f} s)" if seconds else text)
                faults += [text] if text.startswith("FAILED") else []
            scheduled(one, MINUTE)
            say("the schedule started the merger, which nobody else did")
            faults += one.unexpected()
        except Failed as error:
            faults.append(str(error))
            for function in one.plan.functions():
                say(f"--- {function}: {one.log(function)}")
            faults += one.unexpected()
        if not faults:
            faults += used.compare(one, calls, say)
            faults += used.controls(one, calls, say)
            faults += used.outside(one, say)
            faults += moto_gate.enforce(one, folder, say)
    finally:
        recorder.stop()
        server.stop()
        pool.shutdown(cancel_futures=True)
    for fault in faults:
        say(f"FAILED: {fault}".replace("FAILED: FAILED", "FAILED"))
    say(f"wiring and permissions: {time.monotonic() - begun:.0f} s")
    return 1 if faults else 0


def missing():
    """What has to be built before, and is not."""
    needed = [BUILD / "bootstrap", STREAMALERT, *(COMPONENTS / name for name in (*PUSHED, LATER))]
    return [str(path) for path in needed if not path.is_file()]


if __name__ == "__main__":
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    command, *rest = sys.argv[1:]
    if command == "missing":
        print("\n".join(missing()))
    elif command == "prepare":
        prepare(Path(rest[0]).absolute())
    else:
        raise SystemExit(run(Path(rest[0]).absolute(), Path(rest[1]) if len(rest) > 1 else None))
