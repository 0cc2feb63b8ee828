# Who is to be told, and of what. Metrics of the namespace StreamAlert/PREFIX are those that the functions write themselves; see
# host/lambdas/README.md.

locals {
  topic_arn = var.settings.topic_arn != null ? var.settings.topic_arn : aws_sns_topic.alarms[0].arn
  period    = var.settings.evaluation_minutes * 60
  # As host/lambdas/src/metrics.rs has it.
  ours = "StreamAlert/${var.prefix}"

  # Of these, more than so many in a period are told.
  sums = merge(
    {
      for name, function in var.functions : "${name}-errors" => {
        description = "The function ${function} fails: its log says why"
        namespace   = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = function }, more_than = var.settings.errors
      }
    },
    {
      for name, function in var.functions : "${name}-throttles" => {
        description = "The function ${function} is held back: the account's concurrency is used up, or what is reserved for it"
        namespace   = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = function }, more_than = var.settings.throttles
      }
    },
    {
      for name, stream in var.streams : "${name}-write-throttles" => {
        description = "Producers write faster to the stream ${stream} than it takes"
        namespace   = "AWS/Kinesis", metric = "WriteProvisionedThroughputExceeded", dimensions = { StreamName = stream }, more_than = 0
      }
    },
    {
      for name, stream in var.delivery_streams : "archive-${name}-failed" => {
        description = "Records of ${stream} do not fit the columns of their table: they lie below failed/ in the archive"
        namespace   = "AWS/Firehose", metric = "FailedConversion.Records", dimensions = { DeliveryStreamName = stream }, more_than = 0
      }
    },
    {
      "deliveries-dead" = {
        description = "Alerts were refused by an output, or given up: `streamalert alerts list --aws` names them"
        namespace   = local.ours, metric = "Dead", dimensions = { Function = "alert_processor" }, more_than = 0
      }
      "plugins-failing" = {
        description = "A rule fails on records, which are dead letters: `streamalert dead list --aws` names rule and component"
        namespace   = local.ours, metric = "Faults", dimensions = { Function = "rules_engine" }, more_than = var.settings.faults
      }
      "inputs-unaccounted" = {
        description = "Inputs came to nothing, neither record nor dead letter: a fault of streamalert"
        namespace   = local.ours, metric = "Unaccounted", dimensions = { Function = "classifier" }, more_than = 0
      }
    },
  )

  # Of these, a value above so much is told.
  maxima = merge(
    {
      for name, queue in var.queues : "${name}-age" => {
        description = "The oldest message of ${queue} is old: whoever empties it fails, or cannot keep up"
        namespace   = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = queue }, more_than = var.settings.queue_age_seconds
      }
    },
    {
      for name, queue in var.dead_queues : "${name}-dead" => {
        description = "Messages that nobody got through wait in ${queue}"
        namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = queue }, more_than = 0
      }
    },
    {
      for name, function in var.stream_readers : "${name}-iterator-age" => {
        description = "The function ${function} lags behind its streams"
        namespace   = "AWS/Lambda", metric = "IteratorAge", dimensions = { FunctionName = function }, more_than = var.settings.iterator_age_seconds * 1000
      }
    },
    {
      for name, stream in var.streams : "${name}-iterator-age" => {
        description = "Whoever reads the stream ${stream} lags behind"
        namespace   = "AWS/Kinesis", metric = "GetRecords.IteratorAgeMilliseconds", dimensions = { StreamName = stream }, more_than = var.settings.iterator_age_seconds * 1000
      }
    },
    {
      "plugins-refused" = {
        description = "A component was refused; what was live before goes on: `streamalert plugins status` says why"
        namespace   = local.ours, metric = "RefusedComponents", dimensions = { Function = "plugin_compiler" }, more_than = 0
      }
      "configuration-refused" = {
        description = "The configuration was refused; what was live before goes on: `streamalert plugins status` says why"
        namespace   = local.ours, metric = "ConfRefused", dimensions = { Function = "plugin_compiler" }, more_than = 0
      }
    },
  )

  # What functions count by reason, all together.
  queries = {
    "dead-letters" = {
      description = "Logs could not be processed: `streamalert dead list --aws` says which, and why"
      expression  = "SELECT SUM(DeadLetters) FROM SCHEMA(\"${local.ours}\", Function, Reason)"
      more_than   = var.settings.dead_letters
    }
  }
}

resource "aws_sns_topic" "alarms" {
  count = var.settings.topic_arn == null ? 1 : 0

  name              = "${var.prefix}-streamalert-alarms"
  kms_master_key_id = var.key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.settings.topic_arn == null ? 1 : 0

  arn = aws_sns_topic.alarms[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms[0].arn
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.settings.emails)

  topic_arn = local.topic_arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "sum" {
  for_each = local.sums

  alarm_name          = "${var.prefix}-streamalert-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = local.period
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.more_than
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "maximum" {
  for_each = local.maxima

  alarm_name          = "${var.prefix}-streamalert-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Maximum"
  period              = local.period
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.more_than
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "query" {
  for_each = local.queries

  alarm_name          = "${var.prefix}-streamalert-${each.key}"
  alarm_description   = each.value.description
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.more_than
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]

  metric_query {
    id          = "all"
    expression  = each.value.expression
    period      = local.period
    return_data = true
  }
}

# Every minute the merger says it; where it is silent, nobody sees to what is left.
resource "aws_cloudwatch_metric_alarm" "undelivered" {
  alarm_name          = "${var.prefix}-streamalert-oldest-undelivered"
  alarm_description   = "An alert is owed to an output for long, or the alert merger does not say: `streamalert alerts list --aws` names it"
  namespace           = local.ours
  metric_name         = "OldestUndelivered"
  dimensions          = { Function = "alert_merger" }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = var.settings.silent_merger_minutes
  datapoints_to_alarm = var.settings.silent_merger_minutes
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.settings.oldest_alert_seconds
  treat_missing_data  = "breaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
}

output "topic_arn" {
  value = local.topic_arn
}
