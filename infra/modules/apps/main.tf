# Every minute: each app that is due gets an invocation of its own, which fetches its logs and has the classifier of its cluster take them.

locals {
  lambda = "arn:${var.installation.partition}:lambda:${var.installation.region}:${var.installation.account}:function"
  table  = "arn:${var.installation.partition}:dynamodb:${var.installation.region}:${var.installation.account}:table/${var.table}"

  statements = [
    {
      sid       = "Apps"
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"]
      resources = [local.table]
    },
    # Itself, for each app; and who classifies their logs.
    {
      sid       = "Invoke"
      actions   = ["lambda:InvokeFunction"]
      resources = concat(["${local.lambda}:${var.installation.prefix}-streamalert-apps:${var.installation.alias}"], var.classifier_arns)
    },
    # All that lie there, so that an app is configured without an apply.
    {
      sid       = "Secrets"
      actions   = ["ssm:GetParameter"]
      resources = [var.parameters_arn]
    },
    # A log that is too large to be handed on.
    {
      sid       = "DeadLetters"
      actions   = ["s3:PutObject"]
      resources = ["arn:${var.installation.partition}:s3:::${var.installation.data_bucket}/dead/*"]
    },
  ]
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "apps"
  name         = "apps"
  description  = "Fetches logs of services that do not send them"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  reserved     = var.settings.reserved
  environment  = var.named ? { STREAMALERT_APPS_TABLE = var.table } : {}
  statements   = local.statements
  # The next minute looks again.
  asynchronous = { attempts = 0, age_seconds = 60 }
}

# When it is an app's turn is said by apps.json, which changes without an apply.
module "minute" {
  source      = "../schedule"
  name        = "${var.installation.prefix}-streamalert-apps"
  description = "Looks whose turn it is among apps"
  expression  = "rate(1 minute)"
  id          = "apps"
  alias       = module.function.alias
  input       = jsonencode({})
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}
