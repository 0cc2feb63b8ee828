"""What is allowed in GitHub Enterprise."""
from streamalert.shared.rule import rule


@rule(logs=["ghe:general"])
def github_disable_dismiss_stale_pull_request_approvals(rec):
    """
    author:       detection
    description:  What was approved once stays so, whatever is pushed later.
    """
    return rec["action"] == "protected_branch.dismiss_stale_reviews"


@rule(logs=["ghe:general"])
def github_disable_required_pull_request_reviews(rec):
    """
    author:       detection
    description:  Nobody has to look at a change any more.
    """
    return rec["action"] in ("protected_branch.dismissal_restricted_users_teams", "protected_branch.destroy_reviews")


@rule(logs=["ghe:general"])
def github_disable_required_status_checks(rec):
    """
    author:       detection
    description:  Tests no longer have to pass.
    """
    if rec["action"] != "protected_branch.update_required_status_checks_enforcement_level":
        return False
    return rec["data"].get("required_status_checks_enforcement_level") == 0


@rule(logs=["ghe:general"])
def github_disable_two_factor_requirement_org(rec):
    """
    author:       detection
    description:  A password alone is enough.
    """
    return rec["action"] == "org.disable_two_factor_requirement"


@rule(logs=["ghe:general"])
def github_oauth_application_create(rec):
    """
    author:       detection
    description:  An application was let in.
    """
    return rec["action"] == "oauth_application.create"


@rule(logs=["ghe:general"])
def github_site_admin_user_promotion(rec):
    """
    author:       detection
    description:  Somebody may do everything now.
    """
    return rec["action"] == "user.promote"
