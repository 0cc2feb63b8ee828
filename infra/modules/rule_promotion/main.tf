# Every ten minutes: trials of rules whose time is over end; and, if somebody is to be told, a digest of how trials stand.

locals {
  dynamodb = "arn:${var.installation.partition}:dynamodb:${var.installation.region}:${var.installation.account}:table"

  statements = [
    {
      sid       = "Decisions"
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"]
      resources = ["${local.dynamodb}/${var.installation.rules_table}"]
    },
    # What trials are counted by; and the digest, which is an alert.
    {
      sid       = "Alerts"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:Query"]
      resources = ["${local.dynamodb}/${var.installation.alerts_table}"]
    },
    {
      sid       = "LargeAlerts"
      actions   = ["s3:PutObject"]
      resources = ["arn:${var.installation.partition}:s3:::${var.installation.data_bucket}/alerts/*"]
    },
    {
      sid       = "Wake"
      actions   = ["lambda:InvokeFunction"]
      resources = [var.alert_processor_arn]
    },
  ]
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "rule_promotion"
  name         = "rule-promotion"
  description  = "Ends trials of rules"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  environment  = { for name in var.alerts_stream[*].name : "STREAMALERT_ALERTS_STREAM" => name }
  statements   = local.statements
  # A round is made up for by the next one, a digest is not: it is of its time, however often it is begun.
  asynchronous = { attempts = 2, age_seconds = 3600 }
}

module "rounds" {
  source      = "../schedule"
  name        = "${var.installation.prefix}-streamalert-rule-promotion"
  description = "Looks at trials of rules"
  expression  = "rate(10 minutes)"
  id          = "rounds"
  alias       = module.function.alias
  input       = jsonencode({})
}

module "digest" {
  source = "../schedule"
  count  = var.digest == null ? 0 : 1

  name        = "${var.installation.prefix}-streamalert-rule-digest"
  description = "Tells how trials of rules stand"
  expression  = var.digest
  id          = "digest"
  alias       = module.function.alias
  # When it was due: the same digest is told once.
  transformer = { paths = { time = "$.time" }, template = "{\"send_digest\": true, \"time\": <time>}" }
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}
