"""Calls in AWS, as CloudTrail records them."""
import json

from matchers.recorded import Calls
from rules.helpers.base import every
from streamalert.shared.rule import rule

DESTROYERS = {
    "DeleteAccountPublicAccessBlock",
    "DeleteCluster",
    "DeleteDBCluster",
    "DeleteDeliveryChannel",
    "DeleteDetector",
    "DeleteFlowLogs",
    "DeleteSubnet",
    "DeleteTrail",
    "DeleteVpc",
    "StopConfigurationRecorder",
    "StopLogging",
    "UpdateTrail",
}

ACCESS_BLOCKS = frozenset(["PutAccountPublicAccessBlock", "PutBucketPublicAccessBlock"])


@rule(logs=["cloudtrail:events"])
def cloudtrail_critical_api_calls(rec):
    """
    author:       detection
    description:  Something that watches or holds much was deleted or switched off.
    """
    name = rec["eventName"]
    if name in DESTROYERS:
        return True
    if name == "UpdateDetector":
        return not rec["requestParameters"].get("enable", True)
    if name in ACCESS_BLOCKS:
        switches = rec["requestParameters"].get("PublicAccessBlockConfiguration", {})
        return any(value is False for value in switches.values())
    return False


@rule(logs=["cloudtrail:events"])
def cloudtrail_mfa_policy_abuse_attempt(rec):
    """
    author:       detection
    description:  Without a second factor, somebody tried to get rid of one or to make another.
    """
    session = rec["userIdentity"].get("sessionContext", {})
    if session.get("attributes", {}).get("mfaAuthenticated") != "false":
        return False
    if rec["eventName"] == "CreateVirtualMFADevice":
        return rec.get("errorCode") == "EntityAlreadyExists"
    return rec["eventName"] in ("DeactivateMFADevice", "DeleteVirtualMFADevice")


@rule(logs=["cloudtrail:events"], matchers=[Calls.of_config])
def config_compliance(rec):
    """
    author:       detection
    description:  A resource does not keep to a rule of AWS Config.
    """
    found = every(rec["requestParameters"].get("evaluations"))
    return any(evaluation.get("complianceType") == "NON_COMPLIANT" for evaluation in found)


@rule(logs=["cloudtrail:events"], matchers=[Calls.by_config])
def config_auto_remediation(rec):
    """
    author:       detection
    description:  AWS Config mended something by itself.
    """
    return rec["eventName"].startswith("StartAutomation")


@rule(logs=["cloudtrail:events"], req_subkeys={"requestParameters": []})
def cloudtrail_snapshot_or_ami_made_public(rec):
    """
    author:       detection
    description:  An image or a snapshot was given to everybody.
    """
    asked = rec["requestParameters"]
    if rec["eventName"] in ("ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute"):
        return "all" in every(asked.get("valuesToAdd"))
    if rec["eventName"] == "ModifyImageAttribute":
        added = asked.get("launchPermission", {}).get("add", {})
    elif rec["eventName"] == "ModifySnapshotAttribute":
        added = asked.get("createVolumePermission", {}).get("add", {})
    else:
        return False
    return any(item.get("group") == "all" for item in added.get("items", []))


#: Where each call has its policy, as text but for S3.
POLICIES = {
    "CreateElasticsearchDomain": ["accessPolicies"],
    "CreateKey": ["policy"],
    "CreateTopic": ["attributes", "Policy"],
    "PutBucketPolicy": ["bucketPolicy"],
    "PutKeyPolicy": ["policy"],
    "PutResourcePolicy": ["resourcePolicy"],
    "SetQueueAttributes": ["attributes", "Policy"],
    "SetRepositoryPolicy": ["policyText"],
    "SetTopicAttributes": ["attributeValue"],
    "SetVaultAccessPolicy": ["policy", "policy"],
    "UpdateElasticsearchDomainConfig": ["accessPolicies"],
}


@rule(logs=["cloudtrail:events"])
def cloudtrail_public_resources(rec):
    """
    author:       detection
    description:  A policy lets everybody in.
    """
    if rec["eventName"] not in POLICIES:
        return False
    policy = rec["requestParameters"]
    for key in POLICIES[rec["eventName"]]:
        policy = policy.get(key) or {}
    if isinstance(policy, str):
        policy = json.loads(policy)
    return any(is_for_all(statement) for statement in every(policy.get("Statement")))


def is_for_all(statement):
    who = statement.get("Principal")
    who = who.get("AWS") if isinstance(who, dict) else who
    return statement.get("Effect") == "Allow" and "*" in every(who) and not statement.get("Condition")
