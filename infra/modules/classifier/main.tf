# A classifier: of a cluster, with its inputs queue, or the one that sends dead letters again.

locals {
  arn      = "arn:${var.installation.partition}:s3:::"
  data_arn = "${local.arn}${var.installation.data_bucket}"
  logs     = join(",", var.archive.logs)
  resends  = var.cluster == null
  # A record of Kinesis that is too old, and an event of CloudWatch Logs that failed thrice.
  leaves_letters = length(var.streams) + length(var.log_groups) > 0

  keys = distinct([for source in concat(var.readings, var.streams, var.queues) : source.kms_key_arn if source.kms_key_arn != ""])

  data = [
    {
      sid       = "Cursors"
      actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      resources = ["${local.data_arn}/cursors/*"]
    },
    {
      sid       = "Data"
      actions   = ["s3:PutObject"]
      resources = concat(["${local.data_arn}/dead/*", "${local.data_arn}/claims/records/*"], local.logs == "" ? [] : ["${local.data_arn}/claims/archive/*"])
    },
    # Without it, nobody could tell that an object has no cursor.
    {
      sid       = "DataBucket"
      actions   = ["s3:ListBucket"]
      resources = [local.data_arn]
    },
    {
      sid       = "Records"
      actions   = ["sqs:SendMessage"]
      resources = [var.records_queue_arn]
    },
  ]

  letters = [
    {
      sid       = "DeadLetters"
      actions   = ["s3:GetObject", "s3:DeleteObject"]
      resources = ["${local.data_arn}/dead/*"]
    },
  ]

  archive = [
    {
      sid       = "Archive"
      actions   = ["firehose:PutRecordBatch"]
      resources = var.archive.streams
    },
  ]

  objects = [
    {
      sid       = "Logs"
      actions   = ["s3:GetObject", "s3:GetObjectVersion"]
      resources = distinct([for reading in var.readings : "${local.arn}${reading.bucket}/${reading.prefix}*"])
    },
    # An announced object that is gone is a dead letter only if S3 says that it is gone.
    {
      sid       = "LogBuckets"
      actions   = ["s3:ListBucket"]
      resources = distinct([for reading in var.readings : "${local.arn}${reading.bucket}"])
    },
  ]

  messages = [
    {
      sid       = "Messages"
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      resources = concat(var.inputs[*].arn, var.queues[*].arn)
    },
  ]

  stream_records = [
    {
      sid       = "Streams"
      actions   = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
      resources = var.streams[*].arn
    },
  ]

  indicators = [
    {
      sid       = "Indicators"
      actions   = ["dynamodb:BatchGetItem"]
      resources = var.iocs_arn[*]
    },
  ]

  foreign_keys = [
    {
      sid       = "ForeignKeys"
      actions   = ["kms:Decrypt"]
      resources = local.keys
    },
  ]
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "classifier"
  name         = local.resends ? "classifier" : "classifier-${replace(var.cluster, "_", "-")}"
  description  = local.resends ? "Sends dead letters again" : "Logs of the cluster ${var.cluster} become records"
  memory       = var.memory
  timeout      = var.timeout
  log_level    = var.log_level
  log_days     = var.log_days

  environment = { for name, value in { STREAMALERT_ARCHIVE_LOGS = local.logs } : name => value if value != "" }

  dead_letters_arn = local.leaves_letters ? var.inputs.dead : null
  asynchronous     = length(var.log_groups) > 0 ? { attempts = 2, age_seconds = 21600 } : null

  statements = concat(
    local.data,
    [for statement in local.letters : statement if local.resends],
    [for statement in local.archive : statement if length(var.archive.streams) > 0],
    [for statement in local.objects : statement if length(var.readings) > 0],
    [for statement in local.messages : statement if var.inputs != null],
    [for statement in local.stream_records : statement if length(var.streams) > 0],
    [for statement in local.indicators : statement if var.iocs_arn != null],
    [for statement in local.foreign_keys : statement if length(local.keys) > 0],
  )
}

resource "aws_lambda_event_source_mapping" "inputs" {
  count = var.inputs == null ? 0 : 1

  event_source_arn        = var.inputs.arn
  function_name           = module.function.alias.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.concurrency
  }

  depends_on = [module.function, var.wait_for]
}

resource "aws_lambda_event_source_mapping" "queue" {
  for_each = { for queue in var.queues : queue.name => queue }

  event_source_arn        = each.value.arn
  function_name           = module.function.alias.arn
  batch_size              = each.value.batch_size
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = each.value.concurrency
  }

  depends_on = [module.function, var.wait_for]
}

resource "aws_lambda_event_source_mapping" "stream" {
  for_each = { for stream in var.streams : stream.name => stream }

  event_source_arn                   = each.value.arn
  function_name                      = module.function.alias.arn
  starting_position                  = each.value.start
  batch_size                         = each.value.batch_size
  maximum_batching_window_in_seconds = each.value.window_seconds
  parallelization_factor             = each.value.parallel
  function_response_types            = ["ReportBatchItemFailures"]
  # What cannot be read is a dead letter; what fails is an outage, and waits in the stream.
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = -1
  maximum_record_age_in_seconds  = -1

  destination_config {
    on_failure {
      destination_arn = var.inputs.dead
    }
  }

  depends_on = [module.function, var.wait_for]
}

resource "aws_lambda_permission" "logs" {
  for_each = toset(var.log_groups)

  statement_id   = "logs-${substr(sha256(each.value), 0, 12)}"
  action         = "lambda:InvokeFunction"
  function_name  = module.function.alias.function_name
  qualifier      = module.function.alias.name
  principal      = "logs.amazonaws.com"
  source_account = var.installation.account
  source_arn     = "arn:${var.installation.partition}:logs:${var.installation.region}:${var.installation.account}:log-group:${each.value}:*"
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}

output "logs_permitted" {
  value       = [for permission in aws_lambda_permission.logs : permission.id]
  description = "There when log groups may call it."
}
