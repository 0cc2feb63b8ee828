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
    {
      for name, alarm in {
        "partitions-unknown-tables" = {
          function    = "athena-partitioner"
          description = "Objects of the archive are of a table that the catalog does not have: `streamalert tables create --aws` makes it"
          namespace   = local.ours, metric = "UnknownTables", dimensions = { Function = "athena_partitioner" }, more_than = 0
        }
        "lookups-failing" = {
          function    = "rules-engine"
          description = "Rules asked a lookup table that could not answer, so that their records are dead letters: `streamalert lookup-tables list --aws` says why"
          namespace   = local.ours, metric = "LookupFailures", dimensions = { Function = "rules_engine" }, more_than = 0
        }
        "queries-failing" = {
          function    = "scheduled-queries"
          description = "A scheduled query came to nothing: the log of the function scheduled-queries says which, and why"
          namespace   = local.ours, metric = "QueryFailures", dimensions = { Function = "scheduled_queries" }, more_than = 0
        }
        "queries-missed" = {
          function    = "scheduled-queries"
          description = "Times of a scheduled query were missed, and are not caught up: `catch_up` of its pack is too small, or the function failed"
          namespace   = local.ours, metric = "MissedSchedules", dimensions = { Function = "scheduled_queries" }, more_than = 0
        }
      } : name => alarm if contains(keys(var.functions), alarm.function)
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
      function    = "classifier"
      description = "Logs could not be processed: `streamalert dead list --aws` says which, and why"
      expression  = "SELECT SUM(DeadLetters) FROM SCHEMA(\"${local.ours}\", Function, Reason)"
      more_than   = var.settings.dead_letters
      period      = local.period
    }
    "lookup-tables-not-read" = {
      function    = "rules-engine"
      description = "A lookup table cannot be read anew, and what it was goes on: the log of the function rules-engine says which, and why"
      expression  = "SELECT SUM(LookupTablesNotRead) FROM SCHEMA(\"${local.ours}\", Function, \"Table\")"
      more_than   = 0
      # A table that is being replaced may not be there for a moment.
      period = 900
    }
    "downloads-failing" = {
      function    = "threat-intel-downloader"
      description = "Indicators of a source are not fetched: `streamalert threat-intel status --aws` says of which, and why"
      expression  = "SELECT SUM(DownloadFailures) FROM SCHEMA(\"${local.ours}\", Function, Source)"
      more_than   = 2
      period      = 3600
    }
    "apps-failing" = {
      function    = "apps"
      description = "Logs of an app are not fetched: `streamalert app status --aws` says of which, and why"
      expression  = "SELECT SUM(Failures) FROM SCHEMA(\"${local.ours}\", App, Function)"
      more_than   = var.settings.app_failures
      # What fails once is tried again within minutes.
      period = 1800
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
  for_each = { for name, query in local.queries : name => query if contains(keys(var.functions), query.function) }

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
    period      = each.value.period
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

# Every minute the function says it of each app; of one that never came to the end, and where the function is silent, nobody says it.
resource "aws_cloudwatch_metric_alarm" "app" {
  for_each = var.apps

  alarm_name          = "${var.prefix}-streamalert-app-${each.key}-late"
  alarm_description   = "The app ${each.key} has not come to the end of its service's logs for long: `streamalert app status --aws` says why"
  namespace           = local.ours
  metric_name         = "SecondsSinceSuccess"
  dimensions          = { Function = "apps", App = each.key }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 6
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value
  treat_missing_data  = "breaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
}

# Rules whose trials nobody can judge stay on trial: of what happens in a round, so much may pass.
resource "aws_cloudwatch_metric_alarm" "trials" {
  count = contains(keys(var.functions), "rule-promotion") ? 1 : 0

  alarm_name          = "${var.prefix}-streamalert-trials-unknown"
  alarm_description   = "For an hour it was not known what rules on trial have raised, so that they stay there: `streamalert rules report --aws` names them"
  namespace           = local.ours
  metric_name         = "Unknown"
  dimensions          = { Function = "rule_promotion" }
  statistic           = "Minimum"
  period              = 900
  evaluation_periods  = 4
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
}

# Of a log type without a record, nobody says anything.
resource "aws_cloudwatch_metric_alarm" "quiet" {
  for_each = var.settings.quiet

  alarm_name          = "${var.prefix}-streamalert-quiet-${each.key}"
  alarm_description   = "Of ${each.key} there are fewer than ${each.value.records} records in ${each.value.minutes} minutes: its source may be broken"
  namespace           = local.ours
  metric_name         = "Records"
  dimensions          = { Function = "classifier", LogType = each.key }
  statistic           = "Sum"
  period              = each.value.minutes * 60
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = each.value.records
  treat_missing_data  = "breaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
}

output "topic_arn" {
  value = local.topic_arn
}
