"""A second opinion on policies: what functions were seen to do with S3 and SQS, done again on moto with the planned policies in force.

moto knows which resource a call is about for these two services only (and not for GetQueueUrl); of all others it takes `*` for it, which
no policy here names.
"""

import json
import urllib.request

from botocore.exceptions import ClientError
from standin import ACCOUNT, Clients, moto

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]}
# How a call is made again, by its action.
CALLS = {
    "s3:GetObject": lambda clients, bucket, key: clients.s3.get_object(Bucket=bucket, Key=key),
    "s3:PutObject": lambda clients, bucket, key: clients.s3.put_object(Bucket=bucket, Key=key, Body=b"x"),
    "s3:DeleteObject": lambda clients, bucket, key: clients.s3.delete_object(Bucket=bucket, Key=key),
    "s3:ListBucket": lambda clients, bucket, _: clients.s3.list_objects_v2(Bucket=bucket),
    "sqs:SendMessage": lambda clients, queue, _: clients.sqs.send_message(QueueUrl=queue, MessageBody="x"),
    "sqs:DeleteMessage": lambda clients, queue, _: clients.sqs.delete_message(QueueUrl=queue, ReceiptHandle="x"),
}
FORBIDDEN = 403


def role_of(clients, name, statements):
    """A role of ours with these policies; those of functions may be taken by Lambda only."""
    clients.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    document = {"Version": "2012-10-17", "Statement": statements}
    clients.iam.put_role_policy(RoleName=name, PolicyName="function", PolicyDocument=json.dumps(document))
    return clients.sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}", RoleSessionName="tests")["Credentials"]


def is_denied(attempt):
    try:
        attempt()
        return False
    except ClientError as error:
        # What is not there, or no receipt, is said only to those who may ask.
        return error.response["ResponseMetadata"]["HTTPStatusCode"] == FORBIDDEN


def enforce(one, folder, say):
    server = moto(folder)
    try:
        operator = Clients(server.endpoint)
        urls = {}
        resources = {resource for short in one.plan.functions() for _, resource in one.calls(short)}
        for bucket in sorted({one.removeprefix("arn:aws:s3:::").partition("/")[0] for one in resources if one.startswith("arn:aws:s3")}):
            operator.s3.create_bucket(Bucket=bucket)
        for queue in sorted(one for one in resources if one.startswith("arn:aws:sqs")):
            urls[queue] = operator.sqs.create_queue(QueueName=queue.rpartition(":")[2])["QueueUrl"]
        policies = one.plan.policies()
        sessions = {}
        for short in one.plan.functions():
            taken = role_of(operator, f"probe-{short}", policies[one.name(short)])
            sessions[short] = Clients(server.endpoint, taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
        # From here on, everything asks for permission.
        urllib.request.urlopen(urllib.request.Request(
            f"{server.endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}, method="POST",
        ))

        def attempt(short, action, resource):
            if action.startswith("sqs:"):
                return is_denied(lambda: CALLS[action](sessions[short], urls[resource], None))
            bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
            return is_denied(lambda: CALLS[action](sessions[short], bucket, key))

        faults, tried = [], 0
        for short in sessions:
            for action, resource in sorted(one.calls(short)):
                if action in CALLS and not one.is_early(resource):
                    tried += 1
                    if attempt(short, action, resource):
                        faults.append(f"moto: {short} may not {action} on {resource}")
        beyond = [
            ("rules-engine", "s3:PutObject", f"arn:aws:s3:::{one.name('rules')}/live/index"),
            ("classifier-prod", "s3:GetObject", f"arn:aws:s3:::{one.prefix}-bridged/logs/trail.json"),
            ("alert-processor", "sqs:SendMessage", one.arn("sqs", one.name("records"))),
            ("alert-merger", "s3:DeleteObject", f"arn:aws:s3:::{one.name('data')}/alerts/x"),
        ]
        for call in beyond:
            if not attempt(*call):
                faults.append(f"moto: {call[0]} may {call[1]} on {call[2]}")
        say(f"moto permits all {tried} calls of S3 and SQS, and refuses {len(beyond)} that no policy has")
        return faults
    finally:
        server.stop()
