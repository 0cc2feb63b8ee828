"""Fails where two resources of one type would have one name: the second takes the first one's place.

    names.py PLAN.json
"""

import collections
import json
import sys


def resources(module):
    yield from (one for one in module.get("resources", []) if one["mode"] == "managed")
    for child in module.get("child_modules", []):
        yield from resources(child)


NAMES = {
    "aws_cloudwatch_event_rule": "name", "aws_cloudwatch_metric_alarm": "alarm_name", "aws_iam_role": "name", "aws_sqs_queue": "name",
    "aws_lambda_function": "function_name", "aws_kinesis_firehose_delivery_stream": "name", "aws_glue_catalog_table": "name",
}

with open(sys.argv[1], encoding="utf-8") as file:
    plan = json.load(file)
addresses = collections.defaultdict(list)
for one in resources(plan["planned_values"]["root_module"]):
    if one["type"] in NAMES:
        addresses[one["type"], one["values"][NAMES[one["type"]]]].append(one["address"])
twice = {name: found for name, found in addresses.items() if len(found) > 1}
for (_, name), found in twice.items():
    print(f"{name}: {', '.join(found)}")
assert len(addresses) > 50, f"only {len(addresses)} names"
sys.exit(bool(twice))
