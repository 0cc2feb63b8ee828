"""Starts a server that stands in for AWS, and makes clients of it."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import botocore.config
import botocore.session

STANDINS = Path(__file__).parents[3] / "target/standins"
ACCOUNT = "000000000000"
REGION = "us-east-1"
START_SECONDS = 60


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Standin:
    """Of the process group that it is started in, nothing is left."""

    def __init__(self, python, arguments, environment, health, log, port):
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = log
        with open(log, "w") as output:
            self.process = subprocess.Popen(
                [python, *arguments], env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True, cwd=log.parent,
            )
        begun = time.monotonic()
        while time.monotonic() - begun < START_SECONDS:
            try:
                with urllib.request.urlopen(self.endpoint + health, timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
            if self.process.poll() is not None:
                break
        self.stop()
        raise SystemExit(f"{arguments[1]} does not start: {log.read_text()[-2000:]}")

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def ministack(folder):
    """With permissions enforced: policies of roles, and those of buckets."""
    port = free_port()
    environment = {
        "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "LAMBDA_EXECUTOR": "local", "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0", "LOG_LEVEL": "WARNING", "AUTH": "true", "TMPDIR": str(folder), "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "MINISTACK_REGION": REGION, "AWS_SESSION_TOKEN": "",
    }
    python = STANDINS / "ministack-1.5.33/bin/python"
    return Standin(str(python), ["-m", "ministack"], environment, "/_ministack/health", folder / "ministack.log", port)


def moto(folder):
    """Nothing is permitted but by policies, once it is told so."""
    port = free_port()
    python = STANDINS / "moto-5.2.5/bin/python"
    environment = {"MOTO_ACCOUNT_ID": ACCOUNT, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000"}
    code = ("import sys\nfrom moto.server import DomainDispatcherApplication, create_backend_app, run_simple\n"
            "run_simple('127.0.0.1', int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)")
    return Standin(str(python), ["-c", code, str(port)], environment, "/moto-api/data.json", folder / "moto.log", port)


class Clients:
    def __init__(self, endpoint, access="test", secret="test", token=None):
        self.endpoint = endpoint
        self.credentials = {"aws_access_key_id": access, "aws_secret_access_key": secret, "aws_session_token": token}
        self.session = botocore.session.get_session()
        self.made = {}

    def __getattr__(self, service):
        name = service.strip("_").replace("_", "-")
        if name not in self.made:
            config = botocore.config.Config(
                s3={"addressing_style": "path"}, retries={"max_attempts": 1}, region_name=REGION,
            )
            self.made[name] = self.session.create_client(name, endpoint_url=self.endpoint, config=config, **self.credentials)
        return self.made[name]
