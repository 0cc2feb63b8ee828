"""An installation that was made of a plan, and what happens in it."""

import gzip
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from botocore.exceptions import ClientError
from create import Made
from moto_gate import role_of
from plan import renamed
from standin import ACCOUNT, REGION, Clients

ROOT = Path(__file__).parents[3]
BUILD = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
STREAMALERT = BUILD / "streamalert"
COMPONENTS = ROOT / "target/guests/example-rules"
# An output, rules for what is sent, and an app.
PUSHED = ["slack.wasm", "aws_defense_evasion.wasm", "guardduty.wasm", "okta_app.wasm"]
# Rules that come later, and ask a lookup table.
LATER = "aws_identity.wasm"
SAMPLES = ROOT / "samples"
# Of the trail's file: a trail is stopped, flow logs and a detector are deleted.
OBJECT = SAMPLES / "cloudtrail/111122223333_CloudTrail_us-east-1_20261117T1100Z_Zt4mHw8cPy6uJf1e.json.gz"


# Of the service that the app asks, and of the feed.
TOKEN = "00QCjAl4MlV-WPXM-ABCDEFGHIJKLMNOPQRST"
LOGINS = [
    {
        "uuid": f"uuid-{number}", "published": "2026-11-01T00:00:00.000Z", "eventType": "user.session.start", "version": "0", "severity": "INFO",
        "legacyEventType": None, "displayMessage": "User login to Okta", "target": None, "transaction": {"type": "WEB", "id": "t"},
        "actor": {"id": "00u1", "type": "User", "alternateId": "ann@northwind.example", "displayName": "Ann"},
        "authenticationContext": {"externalSessionId": "x"}, "client": {"ipAddress": "192.0.2.7", "zone": "null"},
        "debugContext": {"debugData": {"requestUri": "/login"}}, "outcome": {"result": "SUCCESS", "reason": None},
        "request": {"ipChain": []}, "securityContext": {"asNumber": None},
    }
    for number in range(3)
]
# Of the source of indicators: who comes in the trail, and somebody else.
FEED = "value,sub\n203.0.113.66,c2\n198.51.100.240/28,scanner\n"


class Slack:
    """A webhook as Slack's; what it is told is kept by path, so by installation. Beside it a system log as Okta's, and a feed."""

    def __init__(self):
        self.told = {}
        self.feed = FEED
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                slack.told.setdefault(self.path.rpartition("/")[2], []).append(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def do_GET(self):
                path, _, query = self.path.partition("?")
                asked = dict(urllib.parse.parse_qsl(query))
                headers, status, body = {"Content-Type": "text/csv"}, 200, slack.feed
                if path == "/api/v1/logs":
                    # Events once, and a place to go on at.
                    url = f"{slack.host}{path}?sortOrder=ASCENDING&limit={asked.get('limit', 100)}&after=3"
                    headers = {"Content-Type": "application/json", "Link": f'<{url}>; rel="next"'}
                    status = 200 if self.headers.get("authorization") == f"SSWS {TOKEN}" else 401
                    body = json.dumps([] if "after" in asked else LOGINS) if status == 200 else '{"errorCode": "E0000011"}'
                elif path != "/feed.csv" or self.headers.get("authorization") != f"Bearer {TOKEN}":
                    status = 404
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def package(folder):
    """The functions' zip, as `streamalert package` makes it, of a build for tests."""
    program, zip_ = folder / "bootstrap", folder / "bootstrap.zip"
    shutil.copy(BUILD / "bootstrap", program)
    # Of its 130 MB most are for debuggers.
    if shutil.which("strip"):
        subprocess.run(["strip", program], check=True)
    with zipfile.ZipFile(zip_, "w") as out:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        out.writestr(entry, program.read_bytes(), compresslevel=1)
    program.unlink()
    return zip_


class Failed(Exception):
    """What was waited for does not happen."""


class Installation:
    def __init__(self, plan, prefix, recorder, slack, conf, package_, folder):
        self.prefix = prefix
        self.recorder = recorder
        self.slack = slack
        operator = recorder.endpoint(f"{prefix}/operator")
        self.clients = Clients(operator)
        variables = lambda function: {
            "AWS_ENDPOINT_URL": recorder.endpoint(f"{prefix}/{function}"), "STREAMALERT_S3_PATH_STYLE": "true",
            # So that nobody waits for ten seconds until what was pushed is used.
            "STREAMALERT_REFRESH_SECONDS": "1",
        }
        self.plan_file = folder / "plan.json"
        self.plan = plan.renamed(prefix)
        self.made = Made(self.clients, self.plan, package_, variables)
        self.conf = folder / "installations" / prefix
        shutil.copytree(conf, self.conf)
        # An operator has this line where it is not AWS.
        settings = {"prefix": prefix, "region": REGION, "alias": "live", "endpoint": operator, "path_style": True}
        (self.conf / "aws.json").write_text(json.dumps(settings))
        for file in (*(self.conf / "clusters").glob("*.json"), *(one for one in self.conf.glob("*.json") if one.name != "aws.json")):
            file.write_text(renamed(file.read_text(), prefix))
        secret = {"url": f"{slack.host}/services/T0/B0/{prefix}"}
        self.clients.ssm.put_parameter(
            Name=f"/{prefix}/streamalert/outputs/slack/soc", Value=json.dumps(secret), Type="SecureString",
        )
        for place in ("apps/okta", "outputs/threat-intel/partner"):
            self.clients.ssm.put_parameter(
                Name=f"/{prefix}/streamalert/{place}", Value=json.dumps({"token": TOKEN}), Type="SecureString",
            )
        self.database = f"{prefix}_streamalert"

    def name(self, what):
        return f"{self.prefix}-streamalert-{what}"

    def others(self):
        """What is there and not planned, or the other way round."""
        clients, plan = self.clients, self.plan
        planned = lambda kind, key: {one["values"][key] for one in plan.of(kind)}
        there = {
            "bucket": ({one["Name"] for one in clients.s3.list_buckets()["Buckets"]}, planned("aws_s3_bucket", "bucket")),
            "queue": ({url.rpartition("/")[2] for url in clients.sqs.list_queues()["QueueUrls"]}, planned("aws_sqs_queue", "name")),
            "table": (set(clients.dynamodb.list_tables()["TableNames"]), planned("aws_dynamodb_table", "name")),
            "function": ({one["FunctionName"] for one in clients.lambda_.list_functions()["Functions"]}, planned("aws_lambda_function", "function_name")),
            "role": ({one["RoleName"] for one in clients.iam.list_roles()["Roles"]}, planned("aws_iam_role", "name")),
            "topic": ({one["TopicArn"] for one in clients.sns.list_topics()["Topics"]}, planned("aws_sns_topic", "arn")),
            "stream": (set(clients.kinesis.list_streams()["StreamNames"]), planned("aws_kinesis_stream", "name")),
        }
        return [f"the {kind} {name} is {'made' if name in made else 'planned'} only" for kind, (made, plan) in there.items() for name in made ^ plan]

    def streamalert(self, *arguments):
        """As an operator calls it."""
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
        where = "--config" if arguments[0] == "push" else "--aws"
        return subprocess.run([STREAMALERT, *arguments, where, str(self.conf)], env=environment, capture_output=True, text=True)

    def push(self, seconds, names=PUSHED):
        components = [str(COMPONENTS / name) for name in names]
        done = self.streamalert("push", *components, "--conf", "--wait", str(round(seconds)))
        if done.returncode:
            raise Failed(f"push: {done.stderr.strip() or done.stdout.strip()}")

    def put_trail(self):
        self.clients.s3.put_object(
            Bucket=self.name("logs"), Key=f"AWSLogs/111122223333/CloudTrail/{OBJECT.name}", Body=OBJECT.read_bytes(),
        )

    def invoke(self, function, event):
        """Waits for the answer."""
        answer = self.clients.lambda_.invoke(FunctionName=self.name(function), Qualifier="live", Payload=json.dumps(event))
        text = answer["Payload"].read().decode()
        if answer.get("FunctionError"):
            raise Failed(f"{function}: {text}")
        return json.loads(text)

    def messages(self):
        return self.slack.told.get(self.prefix, [])

    def archived(self, table):
        """Lines in the archive."""
        lines = []
        for one in self.clients.s3.list_objects_v2(Bucket=self.name("archive"), Prefix=f"{table}/").get("Contents", []):
            text = self.clients.s3.get_object(Bucket=self.name("archive"), Key=one["Key"])["Body"].read()
            text = gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text
            lines += [json.loads(line) for line in text.decode().splitlines() if line]
        return lines

    def calls(self, function):
        return self.recorder.of(f"{self.prefix}/{function}")

    def refused(self):
        return {call: why for call, why in self.recorder.refused.items() if call[0].startswith(f"{self.prefix}/")}

    def unexpected(self):
        """Calls that were refused, but for looks at the uploads before anything is live, which are refused by intent."""
        return [f"{who} may not {action} on {arn}" for who, action, arn in self.refused() if not self.is_early(arn)]

    def is_early(self, arn):
        return arn.startswith(tuple(f"arn:aws:s3:::{self.name('rules')}/{folder}/" for folder in ("conf", "plugins")))

    @staticmethod
    def arn(service, rest):
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"

    def url(self, queue):
        return self.clients.sqs.get_queue_url(QueueName=self.name(queue))["QueueUrl"]

    def as_function(self, function):
        """Clients with what a function may do."""
        taken = role_of(self.clients, f"probe-{function}", self.plan.policies()[self.name(function)])
        endpoint = self.recorder.endpoint(f"outside/{function}")
        return Clients(endpoint, taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])

    def log(self, function):
        """The last lines that a function wrote, for whoever looks for a fault."""
        try:
            events = self.clients.logs.filter_log_events(logGroupName=f"/aws/lambda/{self.name(function)}")["events"]
        except ClientError as error:
            return str(error)
        lines = [one["message"].strip() for one in events if "_aws" not in one["message"]]
        return "\n".join(line for line in lines if not line.startswith(("START", "END", "REPORT", "INIT")))[-800:]


def until(what, seconds, look):
    """What `look` finds, or why it does not happen."""
    begun = time.monotonic()
    while True:
        found, now = look()
        if found:
            return found
        if time.monotonic() - begun > seconds:
            raise Failed(f"{what} does not happen within {seconds:.0f} s: {now}")
        time.sleep(0.2)
