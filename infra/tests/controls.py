#!/usr/bin/env python3
"""Makes a good plan bad in many ways, and sees that check.py finds each of them.

    controls.py PLAN.json CONF SOURCES
"""

import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
plan_path, conf, sources = map(Path, sys.argv[1:])
good = json.loads(plan_path.read_text())


def resources(plan, kind, has=""):
    stack, found = [plan["planned_values"]["root_module"]], []
    while stack:
        module = stack.pop()
        found += [one for one in module.get("resources", []) if one["type"] == kind and has in one["address"]]
        stack += module.get("child_modules", [])
    if not found:
        raise SystemExit(f"the plan has no {kind} {has}")
    return found


def policy(plan, function, change):
    values = resources(plan, "aws_iam_role_policy", f"module.{function}.")[0]["values"]
    document = json.loads(values["policy"])
    change(document["Statement"])
    values["policy"] = json.dumps(document)


def remove(plan, kind, has):
    stack = [plan["planned_values"]["root_module"]]
    while stack:
        module = stack.pop()
        module["resources"] = [
            one for one in module.get("resources", []) if not (one["type"] == kind and has in one["address"])
        ]
        stack += module.get("child_modules", [])


def value(kind, has, key, new):
    def change(plan):
        resources(plan, kind, has)[0]["values"][key] = new
    return change


def allow(action, resource):
    return lambda all_: all_.append({"Sid": "New", "Effect": "Allow", "Action": [action], "Resource": [resource]})


def without(sid):
    return lambda all_: all_.remove(next(one for one in all_ if one["Sid"] == sid))


def variable(plan):
    resources(plan, "aws_lambda_function")[0]["values"]["environment"][0]["variables"]["STREAMALERT_COLOUR"] = "red"


def no_deny(plan):
    values = resources(plan, "aws_s3_bucket_policy", "module.rules_bucket")[0]["values"]
    document = json.loads(values["policy"])
    document["Statement"] = [one for one in document["Statement"] if one["Sid"] != "OnlyTheCompilerMakesLive"]
    values["policy"] = json.dumps(document)


def expiry(plan):
    rules = resources(plan, "aws_s3_bucket_lifecycle_configuration", "module.data_bucket")[0]["values"]["rule"]
    next(one for one in rules if one["id"] == "records in messages")["expiration"][0]["days"] = 14


def index(plan):
    table = next(one for one in resources(plan, "aws_dynamodb_table") if one["name"] == "alerts")
    table["values"]["global_secondary_index"][0]["non_key_attributes"] = ["attempts"]


def unqualified(plan):
    values = resources(plan, "aws_lambda_event_source_mapping", "module.rules_engine")[0]["values"]
    values["function_name"] = values["function_name"].rsplit(":", 1)[0]


BAD = [
    ("a permission is missing", lambda plan: policy(plan, "rules_engine", without("StagedRules")), "needs dynamodb:Scan"),
    ("a permission is not used", lambda plan: policy(plan, "alert_merger", allow("s3:DeleteObject", "arn:aws:s3:::x/*")), "has no use for it"),
    ("everything may be read", lambda plan: policy(plan, "alert_processor", allow("ssm:GetParameter", "*")), "on everything"),
    ("an action is a pattern", lambda plan: policy(plan, "alert_processor", allow("s3:Get*", "arn:aws:s3:::x/*")), "name the actions"),
    ("a variable that nothing reads", variable, "which nothing reads"),
    ("a stage that is not there", lambda plan: resources(plan, "aws_lambda_function", "alert_merger")[0]["values"]["environment"][0]["variables"].update(STREAMALERT_FUNCTION="merger"), "there is no stage merger"),
    ("an alarm on nothing", value("aws_cloudwatch_metric_alarm", "undelivered", "metric_name", "Oldest"), "writes no Oldest"),
    ("an alarm of another function", value("aws_cloudwatch_metric_alarm", "undelivered", "dimensions", {"Function": "classifier"}), "classifier writes no"),
    ("an alarm on metrics of another installation", value("aws_cloudwatch_metric_alarm", "undelivered", "namespace", "StreamAlert/other"), "functions write to"),
    ("a query about another installation", lambda plan: resources(plan, "aws_cloudwatch_metric_alarm", "query")[0]["values"]["metric_query"][0].update(expression='SELECT SUM(DeadLetters) FROM SCHEMA("StreamAlert", Function, Reason)'), "functions write to"),
    ("claims that are gone before their messages", expiry, "may name it"),
    ("an index without what is read of it", index, "tables, indexes"),
    ("a mapping that no rollback moves", unqualified, "is no alias"),
    ("a mapping that fails as a whole", value("aws_lambda_event_source_mapping", "module.rules_engine", "function_response_types", []), "would bring all of them again"),
    ("a queue that gives a message twice", value("aws_sqs_queue", "module.records_queue.aws_sqs_queue.queue", "visibility_timeout_seconds", 1), "comes again while"),
    ("a queue without dead letters", value("aws_sqs_queue", "module.records_queue.aws_sqs_queue.queue", "redrive_policy", None), "is deleted"),
    ("a bucket that tells nobody", lambda plan: remove(plan, "aws_s3_bucket_notification", "module.s3["), "leads nowhere"),
    ("a queue that S3 may not send to", lambda plan: remove(plan, "aws_sqs_queue_policy", "module.inputs_queue["), "leads nowhere"),
    ("uploads that anybody makes live", no_deny, "others than the plugin compiler"),
    ("uploads without versions", lambda plan: remove(plan, "aws_s3_bucket_versioning", "module.rules_bucket"), "keeps no versions"),
    ("a public bucket", lambda plan: remove(plan, "aws_s3_bucket_public_access_block", "module.data_bucket"), "not every bucket"),
    ("a table by another key", lambda plan: resources(plan, "aws_dynamodb_table")[0]["values"]["server_side_encryption"][0].update(kms_key_arn="x"), "not encrypted by our key"),
    ("a function that nobody hears of being held back", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", "rules-engine-throttles"), "no alarm watches Throttles"),
    ("a queue that may grow old", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", "records-age"), "no alarm watches ApproximateAgeOfOldestMessage"),
    ("dead letters that nobody hears of", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", "records-dead"), "no alarm watches ApproximateNumberOfMessagesVisible"),
    ("a plugin that may fail", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", "plugins-failing"), "no alarm watches Faults"),
    ("alerts that nobody gets", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", "undelivered"), "no alarm watches OldestUndelivered"),
    ("a function for another processor", value("aws_lambda_function", "module.rules_engine", "architectures", ["x86_64"]), "is made for"),
    ("a function that cannot go back", value("aws_lambda_function", "module.rules_engine", "publish", False), "has no versions"),
    ("a function less", lambda plan: remove(plan, "aws_lambda_function", "module.resend"), "is in the table only"),
]

# Of what is there only where a file of conf/ asks for it.
BAD_FULL = [
    ("an app that nobody wakes", lambda plan: remove(plan, "aws_cloudwatch_event_target", "module.apps[0]."), "of apps leads nowhere"),
    ("a round that EventBridge may not begin", lambda plan: remove(plan, "aws_lambda_permission", "module.rule_promotion[0].module.rounds"), "of rule-promotion leads nowhere"),
    ("a digest that is never due", lambda plan: remove(plan, "aws_cloudwatch_event_rule", "module.rule_promotion[0].module.digest[0]"), "of the digest leads nowhere"),
    ("queries at another time", value("aws_cloudwatch_event_rule", "module.scheduled_queries[0]", "schedule_expression", "rate(1 day)"), "of scheduled-queries leads nowhere"),
    ("sources that nobody asks", lambda plan: remove(plan, "aws_cloudwatch_event_target", "module.threat_intel_downloader[0]."), "of threat-intel-downloader leads nowhere"),
    ("an archive that does not tell of its objects", lambda plan: remove(plan, "aws_s3_bucket_notification", "aws_s3_bucket_notification.archive"), "the archive's bucket leads nowhere"),
    ("a partitioner that nothing is mapped to", lambda plan: remove(plan, "aws_lambda_event_source_mapping", "module.athena_partitioner"), "the archive's bucket leads nowhere"),
    ("a partitioner with the key of compiled code", lambda plan: resources(plan, "aws_lambda_function", "module.athena_partitioner")[0]["values"]["environment"][0]["variables"].update(STREAMALERT_RULES_BUCKET="x"), "does not read them"),
    ("an app that may not invoke its classifier", lambda plan: policy(plan, "apps[0]", without("Invoke")), "needs lambda:InvokeFunction"),
    ("an app with the secrets of outputs", lambda plan: policy(plan, "apps[0]", allow("ssm:GetParameter", "arn:aws:ssm:eu-west-1:000000000000:parameter/acme-soc/streamalert/outputs/*")), "has no use for it"),
    ("a query of any workgroup", lambda plan: policy(plan, "scheduled_queries[0]", allow("athena:StartQueryExecution", "arn:aws:athena:eu-west-1:000000000000:workgroup/*")), "has no use for it"),
    ("a lookup table that nobody may read", lambda plan: policy(plan, "rules_engine", without("LookupTables")), "needs dynamodb:GetItem"),
    ("indicators that a classifier may not look up", lambda plan: policy(plan, 'classifier["production"]', without("Indicators")), "needs dynamodb:BatchGetItem"),
    ("a compiler that decides nothing", lambda plan: policy(plan, "plugin_compiler", without("Decisions")), "needs dynamodb:PutItem"),
    ("a table of apps by another key", lambda plan: next(one for one in resources(plan, "aws_dynamodb_table") if one["name"] == "apps")["values"].update(hash_key="name"), "tables, keys of the apps table"),
    ("indicators that never expire", lambda plan: next(one for one in resources(plan, "aws_dynamodb_table") if one["name"] == "iocs")["values"]["ttl"][0].update(attribute_name="exp"), "tables, keys of the table of indicators"),
    ("apps that may fail", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", "apps-failing"), "no alarm watches Failures"),
    ("an alarm on an app by a dimension that nobody writes", lambda plan: resources(plan, "aws_cloudwatch_metric_alarm", 'app["acme_okta"]')[0]["values"].update(dimensions={"Function": "apps", "Name": "acme_okta"}), "apps writes no SecondsSinceSuccess by Name"),
    ("a log type that may go quiet", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", 'quiet["cloudtrail:events"]'), "no alarm watches Records of cloudtrail:events"),
    ("trials that nobody can judge", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", ".trials["), "no alarm watches Unknown"),
    ("queries that come to nothing", lambda plan: remove(plan, "aws_cloudwatch_metric_alarm", "queries-failing"), "no alarm watches QueryFailures"),
    ("a function less", lambda plan: remove(plan, "aws_lambda_function", "module.scheduled_queries"), "is in the table only"),
]
if "conf-full" in str(conf):
    BAD = BAD_FULL

missed = []
for what, change, told in BAD:
    bad = copy.deepcopy(good)
    change(bad)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(bad, file)
        file.flush()
        answer = subprocess.run([sys.executable, HERE / "check.py", file.name, conf, sources], capture_output=True, text=True)
    if answer.returncode != 1 or told not in answer.stdout:
        missed.append(f"{what}: not found, but {answer.stdout.strip() or answer.stderr.strip()[-300:]}")
print("\n".join(missed) or f"{len(BAD)} faults that were put into the plan are found")
sys.exit(bool(missed))
