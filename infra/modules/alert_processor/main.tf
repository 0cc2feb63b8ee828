# What is due is delivered to each output.

locals {
  data_arn = "arn:${var.installation.partition}:s3:::${var.installation.data_bucket}"
  table    = "arn:${var.installation.partition}:dynamodb:${var.installation.region}:${var.installation.account}:table/${var.installation.alerts_table}"

  statements = [
    {
      sid       = "Alerts"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
      resources = [local.table]
    },
    {
      sid       = "Due"
      actions   = ["dynamodb:Query"]
      resources = [local.table, "${local.table}/index/due"]
    },
    {
      sid       = "LargeAlerts"
      actions   = ["s3:GetObject"]
      resources = ["${local.data_arn}/alerts/*"]
    },
    {
      sid       = "DataBucket"
      actions   = ["s3:ListBucket"]
      resources = [local.data_arn]
    },
    # All that lie there, so that an output is configured without an apply.
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
  stage        = "alert_processor"
  name         = "alert-processor"
  description  = "Delivers alerts"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  reserved     = var.settings.reserved
  environment  = { for name in var.alerts_stream[*].name : "STREAMALERT_ALERTS_STREAM" => name }
  statements   = concat(local.statements, [for statement in local.for_outputs : statement if length(statement.resources) > 0])
  # It is woken again within the minute, and finds whatever is due.
  asynchronous = { attempts = 0, age_seconds = 60 }
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}

output "role_arn" {
  value = module.function.role_arn
}
