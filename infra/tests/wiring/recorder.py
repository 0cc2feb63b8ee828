"""Stands between functions and a stand-in, a port for each function, and notes which actions each used on which resources."""

import http.client
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length", "date", "server"}

# A resource of the kind, which the call does not name.
ANY = "?"
# Of calls of many items, the action of each.
TRANSACTED = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


def actions(method, target, headers, body, account):
    """Pairs of action and resource that a request needs permission for."""
    headers = {name.lower(): value for name, value in headers.items()}
    path, _, query = target.partition("?")
    path = urllib.parse.unquote(path)
    query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request", headers.get("authorization", ""))
    region, service = scope.groups() if scope else ("us-east-1", "s3")
    arn = lambda service, rest: f"arn:aws:{service}:{region}:{account}:{rest}"
    called = headers.get("x-amz-target", "").rpartition(".")[2]
    if service == "dynamodb":
        return of_dynamodb(called, json.loads(body), lambda table: arn("dynamodb", f"table/{table}"))
    if service == "sqs":
        asked = json.loads(body)
        name = asked.get("QueueName") or asked["QueueUrl"].rpartition("/")[2]
        called = {"SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage"}.get(called, called)
        return [(f"sqs:{called}", arn("sqs", name))]
    if service == "firehose":
        return [(f"firehose:{called}", arn("firehose", f"deliverystream/{json.loads(body)['DeliveryStreamName']}"))]
    if service == "ssm":
        return [(f"ssm:{called}", arn("ssm", f"parameter/{json.loads(body)['Name'].lstrip('/')}"))]
    if service == "lambda":
        name = re.fullmatch(r"/2015-03-31/functions/(.+)/invocations", path)
        if not name:
            return [(f"lambda:{method}", path)]
        qualifier = f":{query['Qualifier']}" if "Qualifier" in query else ""
        full = name[1] if name[1].startswith("arn:") else arn("lambda", f"function:{name[1]}")
        return [("lambda:InvokeFunction", full + qualifier)]
    if service == "s3":
        return of_s3(method, path, query, headers, body)
    if service == "sns":
        form = dict(urllib.parse.parse_qsl(body.decode()))
        return [(f"sns:{form.get('Action')}", form.get("TopicArn", "*"))]
    if service == "logs":
        asked = json.loads(body)
        return [(f"logs:{called}", arn("logs", f"log-group:{asked['logGroupName']}:log-stream:{asked['logStreamName']}"))]
    if service == "events":
        buses = {entry.get("EventBusName", "default") for entry in json.loads(body)["Entries"]}
        return [("events:PutEvents", bus if bus.startswith("arn:") else arn("events", f"event-bus/{bus}")) for bus in sorted(buses)]
    if service == "athena":
        # A query's id says nothing of its workgroup.
        return [(f"athena:{called}", arn("athena", f"workgroup/{json.loads(body).get('WorkGroup', ANY)}"))]
    if service == "glue":
        asked = json.loads(body)
        database, table = asked.get("DatabaseName"), asked.get("TableName") or asked.get("Name")
        return [(f"glue:{called}", arn("glue", rest)) for rest in ("catalog", f"database/{database}", f"table/{database}/{table}")]
    if service == "ses" and path.endswith("/outbound-emails"):
        asked = json.loads(body)
        action = "SendRawEmail" if "Raw" in asked["Content"] else "SendEmail"
        return [(f"ses:{action}", arn("ses", f"identity/{asked['FromEmailAddress']}"))]
    return [(f"{service}:{called or f'{method} {path}'}", "*")]


def of_dynamodb(called, asked, arn):
    if called == "TransactWriteItems":
        items = [next(iter(item.items())) for item in asked["TransactItems"]]
        return [(f"dynamodb:{TRANSACTED[kind]}", arn(item["TableName"])) for kind, item in items]
    if "RequestItems" in asked:
        return [(f"dynamodb:{called}", arn(table)) for table in asked["RequestItems"]]
    index = f"/index/{asked['IndexName']}" if "IndexName" in asked else ""
    return [(f"dynamodb:{called}", arn(asked["TableName"]) + index)]


def of_s3(method, path, query, headers, body):
    bucket, _, key = path.lstrip("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    if not key:
        if method == "POST" and "delete" in query:
            keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
            return [("s3:DeleteObject", f"{arn}/{key}") for key in keys]
        what = {"versions": "s3:ListBucketVersions", "list-type": "s3:ListBucket"}
        return [(next((what[one] for one in what if one in query), f"s3:{method}"), arn)]
    version = "Version" if "versionId" in query else ""
    action = {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject", "PUT": "PutObject", "POST": "PutObject"}[method]
    needed = [(f"s3:{action}{version}", f"{arn}/{key}")]
    if source := headers.get("x-amz-copy-source"):
        needed.append(("s3:GetObject", "arn:aws:s3:::" + urllib.parse.unquote(source).lstrip("/")))
    return needed


class Recorder:
    """What it hands on says that it came by TLS, which policies of buckets and queues ask for."""

    def __init__(self, port, account):
        self.behind = port
        self.account = account
        self.calls = {}
        self.refused = {}
        self.lock = threading.Lock()
        self.servers = []

    def endpoint(self, who):
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # An answer is one packet, and goes at once.
            wbufsize = -1
            disable_nagle_algorithm = True
            behind = None

            def log_message(self, *_):
                pass

            def any(self):
                body = self.read_body()
                for last in (False, True):
                    try:
                        if self.behind is None:
                            self.behind = http.client.HTTPConnection("127.0.0.1", recorder.behind, timeout=300)
                        self.forward(body)
                        break
                    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                        # It keeps connections no longer than it wants to.
                        self.behind = None
                        if last:
                            raise

            def forward(self, body):
                self.behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in HOP_BY_HOP - {"date"}:
                        self.behind.putheader(name, value)
                self.behind.putheader("X-Forwarded-Proto", "https")
                if body or "content-length" in self.headers:
                    self.behind.putheader("Content-Length", str(len(body)))
                self.behind.endheaders(body)
                answer = self.behind.getresponse()
                content = answer.read()
                recorder.note(who, self, body, answer.status, content)
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                if self.command == "HEAD":
                    self.send_header("Content-Length", answer.getheader("content-length", "0"))
                elif answer.status not in (204, 304):
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def read_body(self):
                if "chunked" not in self.headers.get("transfer-encoding", ""):
                    return self.rfile.read(int(self.headers.get("content-length") or 0))
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = any

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    def note(self, who, handler, body, status, content):
        if who.endswith("/operator"):
            return
        headers = dict(handler.headers.items())
        needed = actions(handler.command, handler.path, headers, body, self.account)
        # Whether an object is not there is said only to those who may list.
        if status == 404 and needed[0][0] == "s3:GetObject":
            needed.append(("s3:ListBucket", needed[0][1].partition("/")[0]))
        with self.lock:
            for call in needed:
                self.calls[who, *call] = self.calls.get((who, *call), 0) + 1
            if status == 403 or status == 400 and b"AccessDenied" in content[:400]:
                self.refused.setdefault((who, *needed[0]), content[:400].decode(errors="replace"))

    def of(self, who):
        with self.lock:
            return {call[1:] for call in self.calls if call[0] == who}

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
