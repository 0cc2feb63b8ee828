"""Calls in AWS, as CloudWatch tells of them."""
from rules.helpers.base import contains_any, every, get_keys
from streamalert.shared.rule import rule

EVERYWHERE = {"0.0.0.0/0", "::/0"}


@rule(logs=["cloudwatch:events"], req_subkeys={"detail": ["requestParameters", "eventName"]})
def unencrypted_ami_volume(rec):
    """
    author:       detection
    description:  An image was made of a disk that is not encrypted.
    """
    if rec["detail"]["eventName"] != "CreateImage":
        return False
    disks = rec["detail"]["requestParameters"].get("blockDeviceMapping", {}).get("items", [])
    return any(not disk.get("ebs", {}).get("encrypted", True) for disk in disks)


@rule(logs=["cloudwatch:events"], req_subkeys={"detail": ["requestParameters", "eventName"]})
def public_ami(rec):
    """
    author:       detection
    description:  An image was given to everybody.
    """
    detail = rec["detail"]
    if detail["eventName"] != "ModifyImageAttribute":
        return False
    return any(group == "all" for group in get_keys(detail["requestParameters"].get("launchPermission", {}), "group"))


@rule(logs=["cloudwatch:events"], req_subkeys={"detail": ["requestParameters", "eventName"]})
def cloudtrail_network_acl_ingress_anywhere(rec):
    """
    author:       detection
    description:  A network lets in whoever comes.
    """
    detail = rec["detail"]
    if detail["eventName"] != "CreateNetworkAclEntry":
        return False
    asked = detail["requestParameters"]
    return asked["cidrBlock"] in EVERYWHERE and asked["ruleAction"] == "allow" and asked["egress"] is False


@rule(logs=["cloudwatch:events"], req_subkeys={"detail": ["requestParameters", "eventName"]})
def cloudtrail_security_group_ingress_anywhere(rec):
    """
    author:       detection
    description:  A security group lets in whoever comes.
    """
    return rec["detail"]["eventName"] == "AuthorizeSecurityGroupIngress" and any(
        network in EVERYWHERE
        for key in ("cidrIp", "cidrIpv6")
        for network in get_keys(rec["detail"]["requestParameters"], key)
    )


@rule(logs=["cloudwatch:events"], req_subkeys={"detail": ["requestParameters", "eventName"]})
def cloudtrail_put_bucket_acl(rec):
    """
    author:       detection
    description:  A bucket was opened to everybody, or to everybody with an account.
    """
    if rec["detail"]["eventName"] != "PutBucketAcl":
        return False
    groups = every(get_keys(rec["detail"]["requestParameters"], "URI"))
    return any(contains_any(group, ("/AllUsers", "/AuthenticatedUsers")) for group in groups)
