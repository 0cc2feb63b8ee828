"""Makes on a stand-in what a plan says, and nothing else."""

import json
import re

# What cannot be made, or has no effect there, with the reason.
LEFT_OUT = {
    "terraform_data": "no resource of AWS: it keeps the key of compiled code in the state, and the test gives one",
    "aws_kms_alias": "ministack's KMS keeps aliases, but nothing looks a key up by it",
    "aws_sqs_queue_redrive_allow_policy": "ministack does not ask it",
    "aws_s3_bucket_lifecycle_configuration": "nothing expires within a test; tests/check.py reads it",
    "aws_cloudwatch_metric_alarm": "functions write metrics to their logs, and ministack makes none of them; tests/check.py compares both",
    "aws_athena_workgroup": "ministack's Athena asks none: a query says itself where its answer goes",
    "aws_iam_role_policy_attachment": "there is none",
}

# For calls that name no workgroup, ministack asks for permission on everything.
ON_ANYTHING = "athena:"
# Permissions that AWS knows by the first name only.
ALSO_ASKED = {"sqs:SendMessage": ["sqs:SendMessageBatch"], "sqs:DeleteMessage": ["sqs:DeleteMessageBatch"]}


def given(values, **names):
    """Arguments by the API's names, without those that are not set."""
    return {name: values[key] for name, key in names.items() if values.get(key) not in (None, "", [], {})}


class Made:
    def __init__(self, clients, plan, package, variables):
        self.clients = clients
        # In the place of AWS's own addresses, by function.
        self.variables = variables
        self.package = package
        self.count = {}
        self.left_out = {}
        # These are known by their own names only once they are there.
        for key in plan.of("aws_kms_key"):
            real = clients.kms.create_key(Description=key["values"]["description"], Policy=key["values"]["policy"])["KeyMetadata"]
            plan = plan.replaced(key["values"]["key_id"], real["KeyId"])
            self.counted("aws_kms_key")
        for kind, make in ORDER.items():
            for one in plan.of(kind):
                try:
                    make(self, one["values"])
                except Exception as error:
                    raise SystemExit(f"{one['address']} cannot be made: {error}") from error
                self.counted(kind)
        self.plan = plan
        for one in plan.resources:
            kind = one["type"]
            if kind in LEFT_OUT:
                self.left_out[kind] = self.left_out.get(kind, 0) + 1
            elif kind not in ORDER and kind != "aws_kms_key":
                raise SystemExit(f"{one['address']}: nothing here makes a {kind}, and nothing says why not")

    @staticmethod
    def why_not(kind):
        return LEFT_OUT[kind]

    def counted(self, kind):
        self.count[kind] = self.count.get(kind, 0) + 1

    def bucket(self, values):
        self.clients.s3.create_bucket(Bucket=values["bucket"])

    def bucket_policy(self, values):
        # AWS says the role of a session there, ministack the session.
        policy = re.sub(r'("aws:PrincipalArn":"arn:aws:)iam(::\d+:)role/streamalert/([\w-]+)"', r'\1sts\2assumed-role/\3/*"', values["policy"])
        self.clients.s3.put_bucket_policy(Bucket=values["bucket"], Policy=policy)

    def bucket_ownership(self, values):
        rules = [{"ObjectOwnership": rule["object_ownership"]} for rule in values["rule"]]
        self.clients.s3.put_bucket_ownership_controls(Bucket=values["bucket"], OwnershipControls={"Rules": rules})

    def bucket_access(self, values):
        block = given(values, BlockPublicAcls="block_public_acls", BlockPublicPolicy="block_public_policy",
                      IgnorePublicAcls="ignore_public_acls", RestrictPublicBuckets="restrict_public_buckets")
        self.clients.s3.put_public_access_block(Bucket=values["bucket"], PublicAccessBlockConfiguration=block)

    def bucket_encryption(self, values):
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": given(default, SSEAlgorithm="sse_algorithm", KMSMasterKeyID="kms_master_key_id"),
                "BucketKeyEnabled": bool(rule["bucket_key_enabled"]),
            }
            for rule in values["rule"] for default in rule["apply_server_side_encryption_by_default"]
        ]
        self.clients.s3.put_bucket_encryption(Bucket=values["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})

    def bucket_versioning(self, values):
        status = values["versioning_configuration"][0]["status"]
        self.clients.s3.put_bucket_versioning(Bucket=values["bucket"], VersioningConfiguration={"Status": status})

    def bucket_notification(self, values):
        def queue(one):
            rules = [{"Name": name, "Value": one[f"filter_{name}"]} for name in ("prefix", "suffix") if one.get(f"filter_{name}")]
            return {"Id": one["id"], "QueueArn": one["queue_arn"], "Events": one["events"], "Filter": {"Key": {"FilterRules": rules}}}

        configuration = {"QueueConfigurations": [queue(one) for one in values.get("queue") or []]}
        if values.get("eventbridge"):
            configuration["EventBridgeConfiguration"] = {}
        self.clients.s3.put_bucket_notification_configuration(Bucket=values["bucket"], NotificationConfiguration=configuration)

    def queue(self, values):
        attributes = given(values, VisibilityTimeout="visibility_timeout_seconds", MessageRetentionPeriod="message_retention_seconds",
                           MaximumMessageSize="max_message_size", ReceiveMessageWaitTimeSeconds="receive_wait_time_seconds",
                           KmsMasterKeyId="kms_master_key_id", KmsDataKeyReusePeriodSeconds="kms_data_key_reuse_period_seconds",
                           RedrivePolicy="redrive_policy")
        self.clients.sqs.create_queue(QueueName=values["name"], Attributes={name: str(value) for name, value in attributes.items()})

    def queue_policy(self, values):
        url = self.clients.sqs.get_queue_url(QueueName=values["queue_url"].rpartition("/")[2])["QueueUrl"]
        self.clients.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": values["policy"]})

    def table(self, values):
        keys = lambda one: [
            {"AttributeName": one[name], "KeyType": kind} for name, kind in (("hash_key", "HASH"), ("range_key", "RANGE")) if one.get(name)
        ]
        indexes = [
            {
                "IndexName": one["name"], "KeySchema": keys(one),
                "Projection": given(one, ProjectionType="projection_type", NonKeyAttributes="non_key_attributes"),
            }
            for one in values.get("global_secondary_index") or []
        ]
        more = {"GlobalSecondaryIndexes": indexes} if indexes else {}
        if values.get("stream_enabled"):
            more["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": values["stream_view_type"]}
        table = self.clients.dynamodb.create_table(
            TableName=values["name"], BillingMode=values["billing_mode"], KeySchema=keys(values),
            AttributeDefinitions=[{"AttributeName": one["name"], "AttributeType": one["type"]} for one in values["attribute"]], **more,
        )["TableDescription"]
        for one in values.get("ttl") or []:
            self.clients.dynamodb.update_time_to_live(
                TableName=values["name"], TimeToLiveSpecification={"AttributeName": one["attribute_name"], "Enabled": one["enabled"]},
            )
        return table

    def topic(self, values):
        self.clients.sns.create_topic(Name=values["name"], Attributes=given(values, KmsMasterKeyId="kms_master_key_id"))

    def topic_policy(self, values):
        self.clients.sns.set_topic_attributes(TopicArn=values["arn"], AttributeName="Policy", AttributeValue=values["policy"])

    def subscription(self, values):
        self.clients.sns.subscribe(TopicArn=values["topic_arn"], Protocol=values["protocol"], Endpoint=values["endpoint"])

    def stream(self, values):
        mode = values["stream_mode_details"][0]["stream_mode"]
        more = {"ShardCount": values["shard_count"]} if values.get("shard_count") else {}
        self.clients.kinesis.create_stream(StreamName=values["name"], StreamModeDetails={"StreamMode": mode}, **more)

    def log_group(self, values):
        self.clients.logs.create_log_group(logGroupName=values["name"])
        self.clients.logs.put_retention_policy(logGroupName=values["name"], retentionInDays=values["retention_in_days"])

    def log_stream(self, values):
        self.clients.logs.create_log_stream(logGroupName=values["log_group_name"], logStreamName=values["name"])

    def log_subscription(self, values):
        self.clients.logs.put_subscription_filter(
            logGroupName=values["log_group_name"], filterName=values["name"], filterPattern=values["filter_pattern"],
            destinationArn=values["destination_arn"],
        )

    def role(self, values):
        self.clients.iam.create_role(RoleName=values["name"], Path=values["path"], AssumeRolePolicyDocument=values["assume_role_policy"])

    def role_policy(self, values):
        policy = json.loads(values["policy"])
        for statement in policy["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            statement["Action"] = actions + [more for action in actions for more in ALSO_ASKED.get(action, [])]
            # ministack asks for the group of logs by its name alone, also where it is about a stream of it.
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            groups = [re.match(r"arn:aws:logs:.*:log-group:[^:]+(?=:)", one) for one in resources]
            statement["Resource"] = resources + [group[0] for group in groups if group]
            if any(action.startswith(ON_ANYTHING) for action in actions):
                statement["Resource"] = ["*"]
        self.clients.iam.put_role_policy(RoleName=values["role"], PolicyName=values["name"], PolicyDocument=json.dumps(policy))

    def glue_database(self, values):
        self.clients.glue.create_database(DatabaseInput={"Name": values["name"]})

    def glue_table(self, values):
        columns = lambda list_: [{"Name": one["name"], "Type": one["type"]} for one in list_]
        storage = values["storage_descriptor"][0]
        self.clients.glue.create_table(DatabaseName=values["database_name"], TableInput={
            "Name": values["name"], "TableType": values["table_type"], "Parameters": values["parameters"],
            "PartitionKeys": columns(values["partition_keys"]),
            "StorageDescriptor": {
                "Columns": columns(storage["columns"]),
                **given(storage, Location="location", InputFormat="input_format", OutputFormat="output_format"),
                "SerdeInfo": given(storage["ser_de_info"][0], SerializationLibrary="serialization_library"),
            },
        })

    def delivery_stream(self, values):
        to = values["extended_s3_configuration"][0]
        # Without the conversion to Parquet, which ministack does not do: lines of JSON lie where Parquet would.
        self.clients.firehose.create_delivery_stream(DeliveryStreamName=values["name"], ExtendedS3DestinationConfiguration={
            **given(to, RoleARN="role_arn", BucketARN="bucket_arn", Prefix="prefix", ErrorOutputPrefix="error_output_prefix"),
            "BufferingHints": {"SizeInMBs": to["buffering_size"], "IntervalInSeconds": to["buffering_interval"]},
        })

    def function(self, values):
        short = values["function_name"].split("-streamalert-", 1)[1]
        variables = {**values["environment"][0]["variables"], **self.variables(short)}
        more = {}
        for letters in values.get("dead_letter_config") or []:
            more["DeadLetterConfig"] = {"TargetArn": letters["target_arn"]}
        self.clients.lambda_.create_function(
            FunctionName=values["function_name"], Runtime=values["runtime"], Handler=values["handler"], Role=values["role"],
            Architectures=values["architectures"], MemorySize=values["memory_size"], Timeout=values["timeout"],
            Publish=values["publish"], Environment={"Variables": variables}, Code={"ZipFile": self.package}, **more,
        )

    def alias(self, values):
        self.clients.lambda_.create_alias(
            FunctionName=values["function_name"], Name=values["name"], FunctionVersion=values["function_version"],
        )

    def invoke_config(self, values):
        self.clients.lambda_.put_function_event_invoke_config(
            FunctionName=values["function_name"], Qualifier=values["qualifier"],
            MaximumRetryAttempts=values["maximum_retry_attempts"], MaximumEventAgeInSeconds=values["maximum_event_age_in_seconds"],
        )

    def permission(self, values):
        self.clients.lambda_.add_permission(**given(
            values, FunctionName="function_name", StatementId="statement_id", Action="action", Principal="principal",
            Qualifier="qualifier", SourceArn="source_arn", SourceAccount="source_account",
        ))

    def mapping(self, values):
        more = given(values, StartingPosition="starting_position", BatchSize="batch_size",
                     MaximumBatchingWindowInSeconds="maximum_batching_window_in_seconds",
                     ParallelizationFactor="parallelization_factor", FunctionResponseTypes="function_response_types",
                     BisectBatchOnFunctionError="bisect_batch_on_function_error", MaximumRetryAttempts="maximum_retry_attempts",
                     MaximumRecordAgeInSeconds="maximum_record_age_in_seconds")
        for scaling in values.get("scaling_config") or []:
            more["ScalingConfig"] = {"MaximumConcurrency": scaling["maximum_concurrency"]}
        for destination in values.get("destination_config") or []:
            more["DestinationConfig"] = {"OnFailure": {"Destination": destination["on_failure"][0]["destination_arn"]}}
        self.clients.lambda_.create_event_source_mapping(
            EventSourceArn=values["event_source_arn"], FunctionName=values["function_name"], **more,
        )

    def rule(self, values):
        self.clients.events.put_rule(**given(values, Name="name", EventPattern="event_pattern", ScheduleExpression="schedule_expression",
                                             EventBusName="event_bus_name"))

    def target(self, values):
        target = {"Id": values["target_id"], "Arn": values["arn"], **given(values, Input="input")}
        for transformer in values.get("input_transformer") or []:
            target["InputTransformer"] = given(transformer, InputPathsMap="input_paths", InputTemplate="input_template")
        for letters in values.get("dead_letter_config") or []:
            target["DeadLetterConfig"] = {"Arn": letters["arn"]}
        answer = self.clients.events.put_targets(Rule=values["rule"], Targets=[target], **given(values, EventBusName="event_bus_name"))
        if answer["FailedEntryCount"]:
            raise ValueError(answer["FailedEntries"])


# What others need comes first.
ORDER = {
    "aws_iam_role": Made.role,
    "aws_iam_role_policy": Made.role_policy,
    "aws_s3_bucket": Made.bucket,
    "aws_s3_bucket_ownership_controls": Made.bucket_ownership,
    "aws_s3_bucket_public_access_block": Made.bucket_access,
    "aws_s3_bucket_server_side_encryption_configuration": Made.bucket_encryption,
    "aws_s3_bucket_versioning": Made.bucket_versioning,
    "aws_s3_bucket_policy": Made.bucket_policy,
    "aws_sqs_queue": Made.queue,
    "aws_sqs_queue_policy": Made.queue_policy,
    "aws_s3_bucket_notification": Made.bucket_notification,
    "aws_dynamodb_table": Made.table,
    "aws_sns_topic": Made.topic,
    "aws_sns_topic_policy": Made.topic_policy,
    "aws_sns_topic_subscription": Made.subscription,
    "aws_kinesis_stream": Made.stream,
    "aws_cloudwatch_log_group": Made.log_group,
    "aws_cloudwatch_log_stream": Made.log_stream,
    "aws_glue_catalog_database": Made.glue_database,
    "aws_glue_catalog_table": Made.glue_table,
    "aws_kinesis_firehose_delivery_stream": Made.delivery_stream,
    "aws_lambda_function": Made.function,
    "aws_lambda_alias": Made.alias,
    "aws_lambda_function_event_invoke_config": Made.invoke_config,
    "aws_lambda_permission": Made.permission,
    "aws_lambda_event_source_mapping": Made.mapping,
    "aws_cloudwatch_log_subscription_filter": Made.log_subscription,
    "aws_cloudwatch_event_rule": Made.rule,
    "aws_cloudwatch_event_target": Made.target,
}
