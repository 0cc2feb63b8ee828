#!/usr/bin/env python3
"""Compares a plan with the code that will run in it.

    check.py PLAN.json CONF SOURCES

PLAN.json is `terraform show -json` of a plan in which everything is known, CONF the configuration it was made of, SOURCES the folder of
the project. Says what is wrong, a line for each, and exits with 1 if anything is.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent

# Calls that only the command line makes, with the operator's own permissions.
OPERATORS = {
    "glue.GetTables", "glue.CreateDatabase of glue.rs", "glue.CreateTable", "glue.UpdateTable", "glue.GetPartitions of glue.rs", "glue.BatchUpdatePartition",
    "dynamodb.delete_item of app_table.rs", "dynamodb.update_item of lookup.rs", "dynamodb.scan of lookup.rs",
    "s3.get_bucket_versioning", "s3.list_object_versions", "ssm.put_parameter", "ssm.delete_parameter", "secrets_manager.get_secret_value",
    "lambda.get_alias", "lambda.update_alias", "lambda.list_versions_by_function", "secrets_manager.create_secret", "secrets_manager.put_secret_value", "secrets_manager.delete_secret",
}
# IAM knows operations by other names, or by what they do.
ACTIONS = {
    "s3.list_objects_v2": ["s3:ListBucket"],
    "s3.head_object": ["s3:GetObject"],
    "dynamodb.transact_write_items": ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
    "sqs.send_message_batch": ["sqs:SendMessage"],
    "sqs.delete_message_batch": ["sqs:DeleteMessage"],
    "lambda.invoke": ["lambda:InvokeFunction"],
}
# Made by AWS itself with the function's role, or part of another call.
BY_AWS = {
    "logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt", "kms:GenerateDataKey", "s3:GetObjectVersion", "sqs:ReceiveMessage",
    "sqs:GetQueueAttributes", "ses:SendRawEmail", "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords",
    "kinesis:GetShardIterator", "kinesis:ListShards", "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator",
    "dynamodb:ListStreams", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
    # By Athena, for whoever asks a query.
    "glue:BatchGetPartition", "glue:CreateDatabase", "glue:GetDatabase", "glue:GetPartition", "glue:GetPartitions", "glue:GetTables",
    "s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts",
}
# Functions that are there only if something asks for them: by what.
OPTIONAL = {"apps": "apps", "threat-intel-downloader": "feeds", "rule-promotion": "rule staging", "athena-partitioner": "entered partitions", "scheduled-queries": "scheduled queries"}
# They run no components, and no configuration tells them what to do.
BLIND = {"athena-partitioner"}
# Wakes them, in the place of a source.
SCHEDULES = {"alert-merger": "rate(1 minute)", "apps": "rate(1 minute)", "scheduled-queries": "rate(1 minute)", "rule-promotion": "rate(10 minutes)", "threat-intel-downloader": "rate(5 minutes)"}
# Where the service knows no resource, with the reason.
STARS = {
    ("ec2:DescribeNetworkInterfaces", "EC2 describes everything or nothing"),
    ("ec2:DescribeSubnets", "EC2 describes everything or nothing"),
}
POLICY_BYTES_MAX = 10_240
faults = []


def fault(text):
    faults.append(text)


class Plan:
    def __init__(self, path):
        document = json.loads(Path(path).read_text())
        self.resources = []
        self.variables = {name: value.get("value") for name, value in document.get("variables", {}).items()}
        stack = [document["planned_values"]["root_module"]]
        while stack:
            module = stack.pop()
            self.resources += module.get("resources", [])
            stack += module.get("child_modules", [])

    def of(self, kind, has=""):
        return [resource for resource in self.resources if resource["type"] == kind and has in resource["address"]]


def listed(value):
    return value if isinstance(value, list) else [value]


def read_conf(folder):
    read = lambda path: json.loads(path.read_text())
    clusters = {path.stem: read(path) for path in sorted((folder / "clusters").glob("*.json"))}
    optional = lambda name: read(folder / f"{name}.json") if (folder / f"{name}.json").is_file() else None
    return read(folder / "aws.json"), clusters, optional("outputs") or {}, optional


class Expected:
    """What the table says of an installation."""

    def __init__(self, plan, folder):
        self.plan = plan
        aws, self.clusters, self.outputs, optional = read_conf(folder)
        self.apps, staging, queries = optional("apps"), optional("rule_staging"), optional("scheduled_queries")
        lookups, intel = optional("lookup_tables") or {}, optional("threat_intel") or {}
        self.lookups = list(lookups.get("tables", {}).values()) if lookups.get("enabled", True) else []
        prefix = aws["prefix"]
        name = lambda key, what: aws.get(key, f"{prefix}-streamalert-{what}")
        self.single = {
            "prefix": prefix, "region": aws["region"], "alias": aws.get("alias", "live"), "account": "000000000000",
            "rules_bucket": name("rules_bucket", "rules"), "data_bucket": name("data_bucket", "data"),
            "records_queue": name("records_queue", "records"), "alerts_table": name("alerts_table", "alerts"),
            "rules_table": name("rules_table", "rules"), "apps_table": name("apps_table", "apps"),
            "archive_bucket": name("archive_bucket", "archive"), "results_bucket": name("results_bucket", "athena-results"),
            "iocs_table": intel.get("dynamodb_table_name") or f"{prefix}-streamalert-iocs",
            "workgroup": aws.get("workgroup", f"{prefix}-streamalert"),
            "database": aws.get("database", f"{prefix}_streamalert".replace("-", "_")),
            "key": plan.of("aws_kms_key")[0]["values"]["arn"],
        }
        self.arn = lambda service, rest, region=None, account=None: (
            f"arn:aws:{service}:{region or aws['region']}:{account or '000000000000'}:{rest}"
        )
        streams = [stream["values"]["name"] for stream in plan.of("aws_kinesis_firehose_delivery_stream")]
        alerts = f"{prefix.replace('-', '_')}_streamalert_alerts"
        self.log_streams = [self.arn("firehose", f"deliverystream/{one}") for one in streams if one != alerts]
        self.alerts_stream = [self.arn("firehose", f"deliverystream/{one}") for one in streams if one == alerts]
        self.has_network = self.plan.variables.get("network") is not None
        self.flags = {
            "always": True,
            "network": self.has_network,
            "archive": bool(self.alerts_stream),
            "archived logs": bool(self.log_streams),
            "table stream": bool(self.plan.variables.get("alerts_stream")),
            "outputs that pass": any(
                service in self.outputs
                for service in ("aws-sns", "aws-sqs", "aws-lambda", "aws-ses", "aws-cloudwatch-log", "aws-eventbridge")
            ),
            "outputs that last": bool(self.alerts_stream) or "aws-firehose" in self.outputs,
            "apps": self.apps is not None,
            "rule staging": staging is not None and staging.get("enabled", True),
            "scheduled queries": bool(self.alerts_stream) and queries is not None and queries.get("enabled", True),
            "queries of archived logs": bool(self.log_streams) and queries is not None and queries.get("enabled", True),
            "threat intelligence": intel.get("enabled", False),
            "feeds": intel.get("enabled", False) and bool(intel.get("sources")),
            "entered partitions": bool(self.alerts_stream) and (self.plan.variables.get("archive") or {}).get("partitions", "projected") != "projected",
        }
        self.digest = staging and staging.get("digest")
        self.on_aws = {
            cluster: conf for cluster, conf in self.clusters.items()
            if set(conf["data_sources"]) & {"kinesis", "s3", "sns", "sqs", "eventbridge", "cloudwatch_logs"}
            or self.apps is not None and conf["data_sources"].get("streamalert_app")
        }

    def sources(self, cluster, service):
        """Names with what more is said of them."""
        conf = self.on_aws[cluster]
        more = conf.get("infrastructure", {}).get(service, {})
        named = [name for name in conf["data_sources"].get(service, {}) if not re.search(r"[*?\[]", name)]
        return {name: more.get(name, {}) for name in [*named, *more]}

    def descriptors(self, service):
        return [
            {key: str(value) for key, value in descriptor.get("settings", {}).items()}
            for descriptor in self.outputs.get(service, {}).values()
        ]

    def list_of(self, name, cluster):
        here = [cluster] if cluster else list(self.on_aws)
        over = lambda service: [item for one in here for item in self.sources(one, service).items()]
        if name == "log_streams":
            return self.log_streams
        if name == "alerts_stream":
            return self.alerts_stream
        if name == "lookup objects":
            return [f"arn:aws:s3:::{one['bucket']}/{one['key']}" for one in self.lookups if one["driver"] == "s3"]
        if name == "lookup buckets":
            return [f"arn:aws:s3:::{one['bucket']}" for one in self.lookups if one["driver"] == "s3"]
        if name == "lookup tables":
            return [self.arn("dynamodb", f"table/{one['table']}") for one in self.lookups if one["driver"] == "dynamodb"]
        if name == "lookup keys":
            return (self.plan.variables.get("lookup_key_arns") or []) if self.lookups else []
        if name == "classifiers of apps":
            return [
                self.arn("lambda", f"function:{self.single['prefix']}-streamalert-classifier-{one.replace('_', '-')}:{self.single['alias']}")
                for one, conf in self.on_aws.items() if conf["data_sources"].get("streamalert_app")
            ]
        if name == "objects":
            return [f"arn:aws:s3:::{bucket}/{prefix}*" for bucket, more in over("s3") for prefix in more.get("prefixes", [""])]
        if name == "buckets":
            return [f"arn:aws:s3:::{bucket}" for bucket, _ in over("s3")]
        if name == "queues":
            return [more.get("arn", self.arn("sqs", queue)) for queue, more in over("sqs")]
        if name == "streams":
            return [more.get("arn", self.arn("kinesis", f"stream/{stream}")) for stream, more in over("kinesis")]
        if name == "unhandled":
            needed = over("kinesis") or over("cloudwatch_logs")
            return [self.arn("sqs", f"{self.single['prefix']}-streamalert-{cluster}-inputs-dead")] if needed else []
        if name == "foreign_keys":
            services = ("s3", "kinesis", "sqs") if cluster else ("s3",)
            return [more["kms_key_arn"] for service in services for _, more in over(service) if "kms_key_arn" in more]
        if name in ("subnets", "security_groups"):
            kind, what = {"subnets": ("aws_subnet", "subnet"), "security_groups": ("aws_security_group", "security-group")}[name]
            given = (self.plan.variables.get("network") or {}).get("subnet_ids" if name == "subnets" else "security_group_ids")
            ids = given or [
                resource["values"]["id"] for resource in self.plan.of(kind) if resource["name"] == "functions"
            ]
            return [self.arn("ec2", f"{what}/{id}") for id in ids]
        service = name.split()[1]
        settings = self.descriptors(service)
        region = lambda one: one.get("region")
        if service == "aws-firehose":
            return [self.arn("firehose", f"deliverystream/{one['stream']}") for one in settings]
        if service == "aws-s3":
            return [f"arn:aws:s3:::{one['bucket']}/{one.get('prefix', 'alerts/').rstrip('/')}/*" for one in settings]
        if service == "aws-sns":
            return [one["topic"] for one in settings]
        if service == "aws-sqs":
            found = []
            for one in settings:
                url = re.match(r"https?://sqs\.([^.]+)\.[^/]+/(\d+)/(.+)$", one["queue"])
                if url:
                    found += [] if name.endswith("by name") else [self.arn("sqs", url[3], url[1], url[2])]
                else:
                    found.append(self.arn("sqs", one["queue"]))
            return found
        if service == "aws-lambda":
            full = lambda one: one if one.startswith("arn:") else self.arn("lambda", f"function:{one}")
            return [":".join(filter(None, [full(one["function"]), one.get("qualifier")])) for one in settings]
        if service == "aws-ses":
            identities = lambda one: [one["from_email"], one["from_email"].split("@")[1]]
            return [self.arn("ses", f"identity/{identity}", region(one)) for one in settings for identity in identities(one)]
        if service == "aws-cloudwatch-log":
            group = lambda one: self.arn("logs", f"log-group:{one['log_group']}", region(one))
            if name.endswith("group"):
                return [f"{group(one)}:*" for one in settings]
            return [f"{group(one)}:log-stream:{one.get('log_stream', 'alerts')}" for one in settings]
        if service == "aws-eventbridge":
            bus = lambda one: one.get("bus", "default")
            return [
                bus(one) if bus(one).startswith("arn:") else self.arn("events", f"event-bus/{bus(one)}", region(one))
                for one in settings
            ]
        if service == "aws-securityhub":
            return [
                self.arn("securityhub", f"product/{one['account_id']}/default", region(one), one["account_id"]) for one in settings
            ]
        raise SystemExit(f"permissions.tsv: the list {name} is not known")

    def functions(self):
        stages = ["classifier", "rules-engine", "alert-merger", "alert-processor", "plugin-compiler"]
        stages += [stage for stage, flag in OPTIONAL.items() if self.flags[flag]]
        names = {f"classifier-{cluster.replace('_', '-')}": ("classifier-CLUSTER", cluster) for cluster in self.on_aws}
        names.update({stage: (stage, None) for stage in stages})
        return names

    def grants(self, rows):
        all_ = {}
        for function, (kind, cluster) in self.functions().items():
            grants = set()
            for row_function, action, resource, when, _ in rows:
                # `*live` are all that look what is live.
                if row_function not in ("*", kind) and not (row_function == "*live" and kind not in BLIND) or not self.flags[when]:
                    continue
                list_ = re.fullmatch(r"\{@(.+)\}", resource)
                if list_:
                    grants |= {(action, one) for one in self.list_of(list_[1], cluster)}
                    continue
                values = {**self.single, "cluster": cluster, "function": f"{self.single['prefix']}-streamalert-{function}"}
                grants.add((action, re.sub(r"\{(\w+)\}", lambda match: values[match[1]], resource)))
            all_[f"{self.single['prefix']}-streamalert-{function}"] = grants
        return all_


def table():
    lines = (HERE / "permissions.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return rows[1:]


def permissions(plan, folder, rows):
    expected = Expected(plan, folder).grants(rows)
    functions = {resource["values"]["function_name"] for resource in plan.of("aws_lambda_function")}
    for name in functions ^ set(expected):
        fault(f"function {name} is in {'the plan' if name in functions else 'the table'} only")
    planned = defaultdict(set)
    for policy in plan.of("aws_iam_role_policy"):
        text = policy["values"]["policy"]
        bytes_ = len(re.sub(r"\s", "", text))
        if bytes_ > POLICY_BYTES_MAX:
            fault(f"the policy of {policy['values']['role']} has {bytes_} bytes, and a role {POLICY_BYTES_MAX}")
        for statement in json.loads(text)["Statement"]:
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    if "*" in action:
                        fault(f"{policy['values']['role']} may {action}: name the actions")
                    if resource == "*" and action not in {action for action, _ in STARS}:
                        fault(f"{policy['values']['role']} may {action} on everything")
                    planned[policy["values"]["role"]].add((action, resource))
    for name in sorted(functions & set(expected)):
        for action, resource in sorted(expected[name] - planned[name]):
            fault(f"{name} needs {action} on {resource}, and may not")
        for action, resource in sorted(planned[name] - expected[name]):
            fault(f"{name} may {action} on {resource}, and has no use for it")
    attached = plan.of("aws_iam_role_policy_attachment")
    for one in attached:
        fault(f"{one['address']}: policies of others say more than a function uses")
    return sum(len(planned[name]) for name in functions)


def calls(sources, rows):
    """Every call of the code is in the table, and nothing else."""
    used = {action for _, action, *_ in rows}
    made = set(BY_AWS)
    for path in sorted((sources / "host").rglob("src/**/*.rs")):
        text = path.read_text().split("#[cfg(test)]\nmod tests {")[0]
        for service, operation in re.findall(r"\b(s3|sqs|dynamodb|firehose|sns|lambda|ssm|secrets_manager)\s*\.(\w+)\(\)", text):
            call = f"{service}.{operation}"
            if operation == "clone" or call in OPERATORS or f"{call} of {path.name}" in OPERATORS:
                continue
            words = "".join(word.capitalize() for word in operation.split("_"))
            actions = ACTIONS.get(call, [f"{service}:{words}"])
            made |= set(actions)
            for action in set(actions) - used:
                fault(f"{path.relative_to(sources)} calls {call}, and permissions.tsv has no {action}")
        signed_as = re.search(r'signed_as: "(\w+)"', text)
        for operation in sorted(set(re.findall(r'"(?:AWSGlue|AmazonAthena)\.(\w+)"', text))) if signed_as else []:
            action = f"{signed_as[1]}:{operation}"
            call = action.replace(":", ".")
            if call in OPERATORS or f"{call} of {path.name}" in OPERATORS:
                continue
            made.add(action)
            if action not in used:
                fault(f"{path.relative_to(sources)} calls {action}, and permissions.tsv does not have it")
        for target in re.findall(r'Operation::(?:Target\("[\w.]+\.(\w+)"\)|Path\("[^"]+", "(\w+)"\))', text):
            action = f"{signed_as[1] if signed_as else '?'}:{target[0] or target[1]}"
            made.add(action)
            if signed_as and action not in used:
                fault(f"{path.relative_to(sources)} calls {action}, and permissions.tsv does not have it")
    for action in sorted(used - made):
        fault(f"permissions.tsv has {action}, which nothing in host/ calls")
    return len(made)


def variables(plan, sources):
    """Functions are told what they read, and nothing else."""
    code = "".join(path.read_text() for crate in ("aws", "lambdas") for path in (sources / "host" / crate / "src").rglob("*.rs"))
    read = set(re.findall(r'"(STREAMALERT_\w+)"', code))
    stages = {re.sub(r".*/", "", str(path)).removesuffix(".rs") for path in (sources / "host/lambdas/src").glob("*.rs")}
    for function in plan.of("aws_lambda_function"):
        values = function["values"]
        given = values["environment"][0]["variables"]
        for name in sorted(set(given) - read):
            fault(f"{values['function_name']} has the variable {name}, which nothing reads")
        if given["STREAMALERT_FUNCTION"] not in stages:
            fault(f"{values['function_name']}: there is no stage {given['STREAMALERT_FUNCTION']}")
            continue
        text = (sources / f"host/lambdas/src/{given['STREAMALERT_FUNCTION']}.rs").read_text()
        looks = "LiveSet::open" in text or "CodeKey::read" in text
        if looks != ("STREAMALERT_RULES_BUCKET" in given):
            fault(f"{values['function_name']} {'is not' if looks else 'is'} told where rules are, and it {'reads' if looks else 'does not read'} them")
        size = sum(len(name) + len(str(value)) for name, value in given.items())
        if size > 4096:
            fault(f"the variables of {values['function_name']} have {size} bytes, and 4096 are the most")
    return len(read)


def commands(sources):
    """Commands that name functions name all of them."""
    stages = set(re.findall(r'"(\w+)" => Arc::new', (sources / "host/lambdas/src/function.rs").read_text()))
    text = lambda name: (sources / f"host/cli/src/commands/{name}.rs").read_text()
    goes_back = re.search(r"const STAGES: \[&str; \d+\] = \[(.*?)\];", text("rollback"), re.S)[1]
    for name, known in (
        ("rollback", {stage.replace("-", "_") for stage in re.findall(r'"([\w-]+)"', goes_back)}),
        ("invoke", set(re.findall(r'Stage::\w+ => "(\w+)"', text("invoke")))),
    ):
        for stage in sorted(stages ^ known):
            fault(f"streamalert {name} {'does not know' if stage in stages else 'knows'} the function {stage}, which there is{'' if stage in stages else ' not'}")


def metrics(plan, sources):
    """Alarms listen to metrics that are written."""
    written = defaultdict(set)
    texts = [path.read_text() for path in (sources / "host/lambdas/src").glob("*.rs")]
    text_of = defaultdict(str)
    for text in texts:
        for function in re.findall(r'Meter::of\(environment, "(\w+)"\)', text):
            written[function] |= set(re.findall(r'"([A-Z]\w+)"', text))
            text_of[function] += text
    # What is counted by rule.
    written["rules_engine"] |= set(re.findall(r'"([A-Z]\w+)"', (sources / "host/lambdas/src/metrics.rs").read_text()))
    base = re.search(r'const NAMESPACE: &str = "(\w+)";', (sources / "host/lambdas/src/metrics.rs").read_text())[1]
    prefix = plan.of("aws_lambda_function")[0]["values"]["environment"][0]["variables"]["STREAMALERT_PREFIX"]
    namespace = f"{base}/{prefix}"
    alarms = plan.of("aws_cloudwatch_metric_alarm")
    for alarm in alarms:
        values = alarm["values"]
        if (values["namespace"] or "").startswith(base) and values["namespace"] != namespace:
            fault(f"{values['alarm_name']}: functions write to {namespace}, not to {values['namespace']}")
        if values["namespace"] == namespace:
            function = values["dimensions"]["Function"]
            by = set(values["dimensions"]) - {"Function"}
            if values["metric_name"] not in written[function] or any(f'[("{one}", ' not in text_of[function] for one in by) or len(by) > 1:
                fault(f"{values['alarm_name']}: {function} writes no {values['metric_name']}{''.join(f' by {one}' for one in by)}")
        for query in values["metric_query"]:
            metric, asked, dimensions = re.fullmatch(
                r'SELECT SUM\((\w+)\) FROM SCHEMA\("([^"]+)", ([\w, "]+)\)', query["expression"]
            ).groups()
            if asked != namespace:
                fault(f"{values['alarm_name']}: functions write to {namespace}, not to {asked}")
            dimension, = set(dimensions.replace('"', "").split(", ")) - {"Function"}
            if not any(metric in written[function] and f'[("{dimension}", ' in text for function, text in text_of.items()):
                fault(f"{values['alarm_name']}: nothing writes {metric} by {dimension}")
        if not values["alarm_actions"]:
            fault(f"{values['alarm_name']} tells nobody")
    return len(alarms)


def layout(plan, sources):
    """Tables are as the code has them."""
    text = (sources / "host/aws/src/alert_table/layout.rs").read_text()
    constants = dict(re.findall(r'pub const (\w+): &str = "(\w+)";', text))
    attributes = re.search(r"let attributes = \[(.*?)\];", text)[1]
    attributes = {constants[name]: kind for name, kind in re.findall(r"\((\w+), (\w)\)", attributes)}
    keys = re.search(r"set_key_schema\(Some\(keys\((\w+), (\w+)\)\)\)", text).groups()
    word = lambda name: name.strip('"') if name.startswith('"') else constants[name]
    indexes = {
        constants[name]: (constants[hash_], constants[range_], {word(one) for one in re.findall(r'"?\w+"?', with_)})
        for name, hash_, range_, with_ in re.findall(r"index\((\w+), (\w+), (\w+), &\[([^\]]*)\]\)", text)
    }
    alerts, = [table["values"] for table in plan.of("aws_dynamodb_table") if table["name"] == "alerts"]
    compare = [
        ("attributes", {one["name"]: one["type"] for one in alerts["attribute"]}, attributes),
        ("keys", (alerts["hash_key"], alerts["range_key"]), tuple(constants[key] for key in keys)),
        ("expiry", alerts["ttl"][0]["attribute_name"], constants["EXPIRY"]),
        ("indexes", {
            one["name"]: (one["hash_key"], one["range_key"], set(one["non_key_attributes"]))
            for one in alerts["global_secondary_index"]
        }, indexes),
    ]
    rules, = [table["values"] for table in plan.of("aws_dynamodb_table") if table["name"] == "rules"]
    key = re.search(r'pub const RULE: &str = "(\w+)";', (sources / "host/aws/src/rule_table.rs").read_text())[1]
    compare.append(("keys of the rules table", rules["hash_key"], key))
    for apps in (table["values"] for table in plan.of("aws_dynamodb_table") if table["name"] == "apps"):
        key = re.search(r'pub const APP: &str = "(\w+)";', (sources / "host/aws/src/app_table.rs").read_text())[1]
        compare.append(("keys of the apps table", (apps["hash_key"], apps["range_key"]), (key, None)))
    for iocs in (table["values"] for table in plan.of("aws_dynamodb_table") if table["name"] == "iocs"):
        constants = dict(re.findall(r'pub const (\w+): &str = "(\w+)";', (sources / "host/aws/src/ioc_table.rs").read_text()))
        planned = (iocs["hash_key"], iocs["range_key"], iocs["ttl"][0]["attribute_name"])
        compare.append(("keys of the table of indicators", planned, (constants["VALUE"], None, constants["EXPIRY"])))
    for what, planned, code in compare:
        if planned != code:
            fault(f"tables, {what}: planned {planned}, and the code has {code}")


def wiring(plan):
    """Everything invokes functions by their alias; names fit; queues keep a message for as long as a function may have it."""
    aliases = {alias["values"]["arn"] for alias in plan.of("aws_lambda_alias")}
    functions = {function["values"]["function_name"]: function["values"] for function in plan.of("aws_lambda_function")}
    queues = {queue["values"]["arn"]: queue["values"] for queue in plan.of("aws_sqs_queue")}
    mappings = plan.of("aws_lambda_event_source_mapping")
    for mapping in mappings:
        values = mapping["values"]
        if values["function_name"] not in aliases:
            fault(f"{mapping['address']}: {values['function_name']} is no alias")
        if values["function_response_types"] != ["ReportBatchItemFailures"]:
            fault(f"{mapping['address']}: one item that fails would bring all of them again")
        queue = queues.get(values["event_source_arn"])
        function = functions.get(values["function_name"].split(":")[6])
        if queue and function and queue["visibility_timeout_seconds"] < function["timeout"]:
            fault(f"{queue['name']}: a message comes again while {function['function_name']} has it")
    for target in plan.of("aws_cloudwatch_event_target"):
        if ":function:" in target["values"]["arn"] and target["values"]["arn"] not in aliases:
            fault(f"{target['address']}: {target['values']['arn']} is no alias")
    for permission in plan.of("aws_lambda_permission"):
        if not permission["values"].get("qualifier") or not permission["values"].get("source_arn"):
            fault(f"{permission['address']}: permits more than one source to call the alias")
    dead = {json.loads(queue["redrive_policy"])["deadLetterTargetArn"] for queue in queues.values() if queue.get("redrive_policy")}
    for arn, queue in queues.items():
        if arn not in dead and not queue.get("redrive_policy"):
            fault(f"{queue['name']}: what nobody gets through is deleted")
        if queue["max_message_size"] != 1048576:
            fault(f"{queue['name']}: refuses what functions send")
    for kind, most in {"aws_s3_bucket": 63, "aws_iam_role": 64, "aws_lambda_function": 64, "aws_sqs_queue": 80,
                       "aws_kinesis_firehose_delivery_stream": 64, "aws_cloudwatch_event_rule": 64}.items():
        names = [next(one["values"][key] for key in ("function_name", "bucket", "name") if one["values"].get(key)) for one in plan.of(kind)]
        for name in names:
            if len(name) > most:
                fault(f"{kind} {name} has more than {most} characters")
        for name in {name for name in names if names.count(name) > 1}:
            fault(f"{kind} {name} is there twice")
    return len(mappings)


def inputs(plan, folder):
    """Every source of conf/ has a way to its cluster's classifier."""
    expected = Expected(plan, folder)
    prefix, account, region = (expected.single[key] for key in ("prefix", "account", "region"))
    queue = lambda cluster: f"arn:aws:sqs:{region}:{account}:{prefix}-streamalert-{cluster}-inputs"
    function = lambda cluster: f"{prefix}-streamalert-classifier-{cluster.replace('_', '-')}"
    alias = lambda cluster: expected.arn("lambda", f"function:{function(cluster)}:{expected.single['alias']}")
    mapped = {(one["values"]["event_source_arn"], one["values"]["function_name"]) for one in plan.of("aws_lambda_event_source_mapping")}
    notified = {
        (bucket["values"]["bucket"], one["queue_arn"], one["filter_prefix"] or "")
        for bucket in plan.of("aws_s3_bucket_notification") for one in bucket["values"]["queue"]
    }
    rules = {rule["values"]["name"]: json.loads(rule["values"]["event_pattern"] or "{}") for rule in plan.of("aws_cloudwatch_event_rule")}
    targets = [(rules.get(one["values"]["rule"], {}), one["values"]["arn"]) for one in plan.of("aws_cloudwatch_event_target")]
    subscribed = {(one["values"]["topic_arn"], one["values"]["endpoint"]) for one in plan.of("aws_sns_topic_subscription")}
    filters = {(one["values"]["log_group_name"], one["values"]["destination_arn"]) for one in plan.of("aws_cloudwatch_log_subscription_filter")}
    permitted = {
        (one["values"]["source_arn"], one["values"]["function_name"]) for one in plan.of("aws_lambda_permission")
        if one["values"]["principal"] == "logs.amazonaws.com"
    }
    policies = {}
    for policy in plan.of("aws_sqs_queue_policy"):
        for statement in json.loads(policy["values"]["policy"])["Statement"]:
            if statement["Effect"] == "Allow":
                policies.setdefault(statement["Resource"], {})[statement["Principal"]["Service"]] = statement["Condition"]["ArnLike"]["aws:SourceArn"]
    count = 0

    def need(there, what):
        nonlocal count
        count += 1
        if not there:
            fault(f"{what} leads nowhere")

    def may_send(cluster, service, arn):
        patterns = policies.get(queue(cluster), {}).get(service, [])
        return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), arn) for pattern in patterns)

    for cluster in expected.on_aws:
        need((queue(cluster), alias(cluster)) in mapped, f"the inputs queue of {cluster}")
        for name, more in expected.sources(cluster, "kinesis").items():
            need((more.get("arn", expected.arn("kinesis", f"stream/{name}")), alias(cluster)) in mapped, f"the stream {name}")
        for name, more in expected.sources(cluster, "sqs").items():
            need((more.get("arn", expected.arn("sqs", name)), alias(cluster)) in mapped, f"the queue {name}")
        for name, more in expected.sources(cluster, "sns").items():
            topic = more.get("arn", expected.arn("sns", name))
            need((topic, queue(cluster)) in subscribed and may_send(cluster, "sns.amazonaws.com", topic), f"the topic {name}")
        for name, more in expected.sources(cluster, "eventbridge").items():
            pattern = more.get("pattern", {"source": [name]})
            need((pattern, queue(cluster)) in targets, f"the event source {name}")
        for name, more in expected.sources(cluster, "cloudwatch_logs").items():
            group = expected.arn("logs", f"log-group:{name}:*")
            need((name, alias(cluster)) in filters and (group, function(cluster)) in permitted, f"the log group {name}")
        for name, more in expected.sources(cluster, "s3").items():
            for start in more.get("prefixes", [""]):
                kind = more.get("notify", "bucket")
                if kind == "bucket":
                    there = (name, queue(cluster), start) in notified and may_send(cluster, "s3.amazonaws.com", f"arn:aws:s3:::{name}")
                elif kind == "topic":
                    there = (more["topic_arn"], queue(cluster)) in subscribed and may_send(cluster, "sns.amazonaws.com", more["topic_arn"])
                else:
                    there = any(
                        pattern.get("detail", {}).get("bucket") == {"name": [name]} and arn == queue(cluster)
                        and pattern["detail"].get("object", {"key": [{"prefix": ""}]})["key"] == [{"prefix": start}]
                        for pattern, arn in targets
                    )
                need(there, f"s3://{name}/{start} of {cluster}")
    for rule, values in ((rule, rule["values"]) for rule in plan.of("aws_cloudwatch_event_rule") if rule["values"].get("event_pattern")):
        bus = values.get("event_bus_name") or "default"
        arn = expected.arn("events", f"rule/{values['name']}" if bus == "default" else f"rule/{bus}/{values['name']}")
        need(any(may_send(cluster, "events.amazonaws.com", arn) for cluster in expected.on_aws), f"the rule {values['name']}")
    # A bucket has one set of notifications: a second one would replace the first.
    buckets = [one["values"]["bucket"] for one in plan.of("aws_s3_bucket_notification")]
    for bucket in {bucket for bucket in buckets if buckets.count(bucket) > 1}:
        fault(f"{bucket} has two sets of notifications")
    # Schedules reach the alias, with its permission.
    schedules = {rule["values"]["name"]: rule["values"] for rule in plan.of("aws_cloudwatch_event_rule") if rule["values"].get("schedule_expression")}
    woken = defaultdict(set)
    may_wake = {
        (one["values"]["source_arn"], one["values"]["function_name"], one["values"]["qualifier"]) for one in plan.of("aws_lambda_permission")
        if one["values"]["principal"] == "events.amazonaws.com"
    }
    for target in (one["values"] for one in plan.of("aws_cloudwatch_event_target") if one["values"]["rule"] in schedules):
        name, alias_ = (target["arn"].split(":")[6:] + [None])[:2]
        if (expected.arn("events", f"rule/{target['rule']}"), name, alias_) in may_wake:
            woken[name].add(schedules[target["rule"]]["schedule_expression"])
    for stage in expected.functions():
        if stage in SCHEDULES:
            need(SCHEDULES[stage] in woken[f"{prefix}-streamalert-{stage}"], f"the schedule {SCHEDULES[stage]} of {stage}")
    if expected.flags["rule staging"] and expected.digest:
        when = expected.digest.get("schedule", "cron(30 13 * * ? *)")
        need(when in woken[f"{prefix}-streamalert-rule-promotion"], f"the schedule {when} of the digest")
    if expected.flags["entered partitions"]:
        here = f"arn:aws:sqs:{region}:{account}:{prefix}-streamalert-athena-partitioner"
        there = (expected.single["archive_bucket"], here, "") in notified
        there = there and (here, expected.arn("lambda", f"function:{prefix}-streamalert-athena-partitioner:{expected.single['alias']}")) in mapped
        need(there and f"arn:aws:s3:::{expected.single['archive_bucket']}" in policies.get(here, {}).get("s3.amazonaws.com", []), "the archive's bucket")
    return count


def storage(plan, sources):
    """What is stored is encrypted by our key and, where it has to be, kept."""
    key = plan.of("aws_kms_key")[0]["values"]
    if not key["enable_key_rotation"]:
        fault("the key is never rotated")
    for table in plan.of("aws_dynamodb_table"):
        values = table["values"]
        if not values["point_in_time_recovery"][0]["enabled"] or values["billing_mode"] != "PAY_PER_REQUEST":
            fault(f"{values['name']}: no recovery, or paid by the hour")
        if values["server_side_encryption"][0]["kms_key_arn"] != key["arn"]:
            fault(f"{values['name']}: not encrypted by our key")
    for log in plan.of("aws_cloudwatch_log_group"):
        if not log["values"]["retention_in_days"] or log["values"]["kms_key_id"] != key["arn"]:
            fault(f"{log['values']['name']}: kept without an end, or not encrypted by our key")
    for queue in plan.of("aws_sqs_queue"):
        if queue["values"]["kms_master_key_id"] != key["arn"]:
            fault(f"{queue['values']['name']}: not encrypted by our key")
    # Nothing may be gone that a message or an alert still names.
    limits = (sources / "host/aws/src/limits.rs").read_text()
    limit = lambda name: int(re.search(rf"const {name}: \w+ = (\d+);", limits)[1])
    data = plan.of("aws_s3_bucket_lifecycle_configuration", "module.data_bucket")[0]["values"]["rule"]
    kept = {rule["filter"][0]["prefix"]: rule["expiration"][0]["days"] for rule in data if rule["expiration"]}
    for prefix, days in (("claims/records/", limit("CLAIM_DAYS")), ("claims/alerts/", limit("CLAIM_DAYS")), ("alerts/", 2 * limit("ALERT_DAYS"))):
        if kept.get(prefix) is None:
            fault(f"{prefix} of the data bucket is kept for ever")
        elif kept[prefix] < days:
            fault(f"{prefix} of the data bucket is kept for {kept[prefix]} days, and something may name it for {days}")
    names = {bucket["values"]["bucket"] for bucket in plan.of("aws_s3_bucket")}
    rules = next(policy for policy in plan.of("aws_s3_bucket_policy") if policy["address"].startswith("module.rules_bucket"))
    denied = [one for one in json.loads(rules["values"]["policy"])["Statement"] if one["Sid"] == "OnlyTheCompilerMakesLive"]
    compiler = [role["values"] for role in plan.of("aws_iam_role") if role["values"]["name"].endswith("-plugin-compiler")][0]
    arn = f"arn:aws:iam::000000000000:role{compiler['path']}{compiler['name']}"
    if not denied or denied[0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] != arn or not denied[0]["Resource"].endswith("/live/*"):
        fault("others than the plugin compiler may write to live/")
    versioned = {one["address"].split(".aws_")[0] for one in plan.of("aws_s3_bucket_versioning")}
    if "module.rules_bucket" not in versioned:
        fault("the rules bucket keeps no versions")
    for kind in ("aws_s3_bucket_public_access_block", "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_policy"):
        if {one["values"]["bucket"] for one in plan.of(kind)} != names:
            fault(f"not every bucket has its {kind}")


def watched(plan):
    """Each function, queue and stream is watched by the alarms that are of use for it; and what functions are made for."""
    on = set()
    for alarm in plan.of("aws_cloudwatch_metric_alarm"):
        if alarm["values"].get("metric_name"):
            on |= {(alarm["values"]["metric_name"], name) for name in alarm["values"]["dimensions"].values()}
        on |= {(word, None) for query in alarm["values"].get("metric_query") or [] for word in re.findall(r"\w+", query["expression"])}

    def need(metric, name):
        if (metric, name) not in on:
            fault(f"no alarm watches {metric} of {name or 'all functions'}")

    aliases = {alias["values"]["function_name"] for alias in plan.of("aws_lambda_alias")}
    for values in (function["values"] for function in plan.of("aws_lambda_function")):
        name = values["function_name"]
        need("Errors", name)
        need("Throttles", name)
        if values["architectures"] != [plan.variables["architecture"]]:
            fault(f"{name} is made for {values['architectures']}")
        # An alias goes back to a version only.
        if not values["publish"] or name not in aliases:
            fault(f"{name} has no versions, or no alias")
    dead = {json.loads(queue["values"]["redrive_policy"])["deadLetterTargetArn"].split(":")[-1]
            for queue in plan.of("aws_sqs_queue") if queue["values"].get("redrive_policy")}
    for queue in plan.of("aws_sqs_queue"):
        name = queue["values"]["name"]
        need("ApproximateNumberOfMessagesVisible" if name in dead else "ApproximateAgeOfOldestMessage", name)
    for mapping in (one["values"] for one in plan.of("aws_lambda_event_source_mapping")):
        if ":kinesis:" in (mapping["event_source_arn"] or ""):
            need("IteratorAge", mapping["function_name"].split(":function:")[-1].split(":")[0])
    for metric, function in (("OldestUndelivered", "alert_merger"), ("Dead", "alert_processor"), ("Faults", "rules_engine"),
                             ("RefusedComponents", "plugin_compiler"), ("DeadLetters", None)):
        need(metric, function)
    there = {function["values"]["environment"][0]["variables"]["STREAMALERT_FUNCTION"] for function in plan.of("aws_lambda_function")}
    for metric, function in (("Unknown", "rule_promotion"), ("QueryFailures", "scheduled_queries"), ("UnknownTables", "athena_partitioner")):
        if function in there:
            need(metric, function)
    for metric, function in (("Failures", "apps"), ("DownloadFailures", "threat_intel_downloader"), ("LookupTablesNotRead", "rules_engine")):
        if function in there:
            need(metric, None)
    need("LookupFailures", "rules_engine")
    for log in (plan.variables.get("alarms") or {}).get("quiet") or {}:
        need("Records", log)
    return len(on)


def main():
    plan, folder, sources = Plan(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    rows = table()
    grants = permissions(plan, folder, rows)
    made = calls(sources, rows)
    read = variables(plan, sources)
    commands(sources)
    alarms = metrics(plan, sources)
    layout(plan, sources)
    mappings = wiring(plan)
    sources_ = inputs(plan, folder)
    storage(plan, sources)
    watched(plan)
    for text in faults:
        print(text)
    if faults:
        raise SystemExit(1)
    functions = len(plan.of("aws_lambda_function"))
    print(f"{functions} functions, {grants} permissions, {made} actions, {read} variables, {alarms} alarms, {mappings} mappings, "
          f"{sources_} ways in agree with code and configuration")


if __name__ == "__main__":
    main()
