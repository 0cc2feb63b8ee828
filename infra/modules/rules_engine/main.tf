# Records come from the queue; alerts go into the table.

locals {
  data_arn = "arn:${var.installation.partition}:s3:::${var.installation.data_bucket}"
  dynamodb = "arn:${var.installation.partition}:dynamodb:${var.installation.region}:${var.installation.account}:table"

  statements = [
    # It deletes messages itself, too: what is done, before one that came often is tried alone.
    {
      sid       = "Messages"
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      resources = [var.records_queue_arn]
    },
    # What was too large for a message.
    {
      sid       = "Claims"
      actions   = ["s3:GetObject"]
      resources = ["${local.data_arn}/claims/records/*"]
    },
    {
      sid       = "Data"
      actions   = ["s3:PutObject"]
      resources = concat(["${local.data_arn}/alerts/*", "${local.data_arn}/dead/*", "${local.data_arn}/stats/*"], var.alerts_stream == null ? [] : ["${local.data_arn}/claims/archive/*"])
    },
    # A claim that is gone is a dead letter only if S3 says that it is gone.
    {
      sid       = "DataBucket"
      actions   = ["s3:ListBucket"]
      resources = [local.data_arn]
    },
    # Transactions are allowed by what they write.
    {
      sid       = "Alerts"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
      resources = ["${local.dynamodb}/${var.installation.alerts_table}"]
    },
    {
      sid       = "StagedRules"
      actions   = ["dynamodb:Scan"]
      resources = ["${local.dynamodb}/${var.installation.rules_table}"]
    },
    {
      sid       = "Wake"
      actions   = ["lambda:InvokeFunction"]
      resources = [var.alert_processor_arn]
    },
  ]

  # Of lookup tables that lie elsewhere: their contents, and whether they are there.
  lookups = [
    {
      sid       = "LookupObjects"
      actions   = ["s3:GetObject"]
      resources = var.lookups.objects
    },
    {
      sid       = "LookupBuckets"
      actions   = ["s3:ListBucket"]
      resources = var.lookups.buckets
    },
    {
      sid       = "LookupTables"
      actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem"]
      resources = var.lookups.tables
    },
    {
      sid       = "LookupKeys"
      actions   = ["kms:Decrypt"]
      resources = var.lookups.keys
    },
  ]

  archive = [
    {
      sid       = "Archive"
      actions   = ["firehose:PutRecordBatch"]
      resources = var.alerts_stream[*].arn
    },
  ]
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "rules_engine"
  name         = "rules-engine"
  description  = "Asks the rules about every record"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  reserved     = var.settings.reserved
  environment = merge(
    { STREAMALERT_RULE_METRICS = var.rule_metrics },
    { for name, on in { STREAMALERT_LOG_RULE_STATISTICS = var.log_rule_statistics } : name => "true" if on },
    { for name in var.alerts_stream[*].name : "STREAMALERT_ALERTS_STREAM" => name },
  )
  statements = concat(
    local.statements,
    [for statement in local.lookups : statement if length(statement.resources) > 0],
    [for statement in local.archive : statement if var.alerts_stream != null],
  )
}

resource "aws_lambda_event_source_mapping" "records" {
  event_source_arn        = var.records_queue_arn
  function_name           = module.function.alias.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.settings.concurrency
  }

  depends_on = [module.function, var.wait_for]
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}
