# Every five minutes: sources of indicators of compromise that are due are fetched.

locals {
  statements = [
    {
      sid       = "Indicators"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Scan", "dynamodb:UpdateItem"]
      resources = [var.table_arn]
    },
    # All that lie there, so that a source is configured without an apply.
    {
      sid       = "Secrets"
      actions   = ["ssm:GetParameter"]
      resources = [var.parameters_arn]
    },
  ]
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "threat_intel_downloader"
  name         = "threat-intel-downloader"
  description  = "Fetches indicators of compromise"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  reserved     = var.settings.reserved
  statements   = local.statements
  # The next round is the next attempt.
  asynchronous = { attempts = 0, age_seconds = 300 }
}

# When a source is due is said by threat_intel.json, which changes without an apply.
module "rounds" {
  source      = "../schedule"
  name        = "${var.installation.prefix}-streamalert-threat-intel"
  description = "Looks which sources of indicators are due"
  expression  = "rate(5 minutes)"
  id          = "threat-intel-downloader"
  alias       = module.function.alias
  input       = jsonencode({})
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}
