# Every minute: groups of alerts whose time has come are folded, and the processor is woken for all that is left.

locals {
  data_arn = "arn:${var.installation.partition}:s3:::${var.installation.data_bucket}"
  table    = "arn:${var.installation.partition}:dynamodb:${var.installation.region}:${var.installation.account}:table/${var.installation.alerts_table}"

  statements = [
    {
      sid = "Alerts"
      actions = [
        "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem",
      ]
      resources = [local.table]
    },
    {
      sid       = "Due"
      actions   = ["dynamodb:Query"]
      resources = [local.table, "${local.table}/index/due"]
    },
    {
      sid       = "LargeAlerts"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${local.data_arn}/alerts/*"]
    },
    {
      sid       = "DataBucket"
      actions   = ["s3:ListBucket"]
      resources = [local.data_arn]
    },
    {
      sid       = "Wake"
      actions   = ["lambda:InvokeFunction"]
      resources = [var.alert_processor_arn]
    },
  ]

  # The end of its name is the time that it was made.
  stream = [
    {
      sid       = "TableStream"
      actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
      resources = ["${local.table}/stream/*"]
    },
  ]
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "alert_merger"
  name         = "alert-merger"
  description  = "Folds groups of alerts, and sees to what is left"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  reserved     = var.settings.reserved
  environment  = { for name in var.alerts_stream[*].name : "STREAMALERT_ALERTS_STREAM" => name }
  statements   = concat(local.statements, [for statement in local.stream : statement if var.table_stream])
  # The next minute is soon enough.
  asynchronous = { attempts = 0, age_seconds = 60 }
}

module "minute" {
  source      = "../schedule"
  name        = "${var.installation.prefix}-streamalert-alert-merger"
  description = "Wakes the alert merger"
  expression  = "rate(1 minute)"
  id          = "alert-merger"
  alias       = module.function.alias
}

moved {
  from = aws_cloudwatch_event_rule.minute
  to   = module.minute.aws_cloudwatch_event_rule.rule
}

moved {
  from = aws_cloudwatch_event_target.minute
  to   = module.minute.aws_cloudwatch_event_target.target
}

moved {
  from = aws_lambda_permission.minute
  to   = module.minute.aws_lambda_permission.rule
}

resource "aws_lambda_event_source_mapping" "table" {
  count = var.table_stream ? 1 : 0

  event_source_arn              = var.table_stream_arn
  function_name                 = module.function.alias.arn
  starting_position             = "LATEST"
  batch_size                    = 100
  function_response_types       = ["ReportBatchItemFailures"]
  maximum_retry_attempts        = 0
  maximum_record_age_in_seconds = 60

  # A lease and what came of an attempt are changes, too.
  filter_criteria {
    filter {
      pattern = jsonencode({ eventName = ["INSERT"] })
    }
  }

  depends_on = [module.function]
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}
