# One bucket of logs, and the queues of all clusters that hear of its new objects.
#
# A bucket has one set of notifications: where it is ours (`bucket`), whatever else was there is replaced. Where somebody else has
# notifications of it, let it send events to EventBridge (`eventbridge`) or hear of its topic (`topic`): these add to what is there.

variable "bucket" {
  type = string
}

variable "created" {
  type        = bool
  description = "The bucket is ours."
}

variable "prefix" {
  type        = string
  description = "Of names of the installation."
}

variable "readings" {
  type = list(object({
    cluster   = string
    prefix    = string
    suffix    = string
    notify    = string
    topic_arn = string
  }))
}

variable "queues" {
  type = map(object({
    arn      = string
    dead     = string
    may_send = string
  }))
  description = "Inputs queue of each cluster; `may_send` is there when its policy is."
}

locals {
  of = { for kind in ["bucket", "eventbridge", "topic"] : kind => [for reading in var.readings : reading if reading.notify == kind] }

  topics = { for reading in local.of.topic : "${reading.cluster}/${reading.topic_arn}" => reading... }

  by_bridge = { for reading in local.of.eventbridge : "${reading.cluster}/${reading.prefix}" => reading }
}

resource "aws_s3_bucket_notification" "bucket" {
  count = length(local.of.bucket) > 0 || var.created && length(local.of.eventbridge) > 0 ? 1 : 0

  bucket      = var.bucket
  eventbridge = length(local.of.eventbridge) > 0

  dynamic "queue" {
    for_each = local.of.bucket
    content {
      id            = "${queue.value.cluster} ${queue.value.prefix}"
      queue_arn     = var.queues[queue.value.cluster].arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = queue.value.prefix
      filter_suffix = queue.value.suffix
    }
  }

  lifecycle {
    precondition {
      condition = alltrue(flatten([
        for place, one in local.of.bucket : [
          for other in slice(local.of.bucket, place + 1, length(local.of.bucket)) :
          !(startswith(one.prefix, other.prefix) || startswith(other.prefix, one.prefix)) || !(endswith(one.suffix, other.suffix) || endswith(other.suffix, one.suffix))
        ]
      ]))
      error_message = "Two clusters would hear of the same objects of ${var.bucket}, which S3 refuses: give each `prefixes` of its own in `infrastructure.s3`."
    }
  }
}

resource "aws_cloudwatch_event_rule" "objects" {
  for_each = local.by_bridge

  name        = substr("${var.prefix}-streamalert-${each.value.cluster}-s3-${substr(sha256("${var.bucket}/${each.value.prefix}"), 0, 12)}", 0, 64)
  description = "New objects of s3://${var.bucket}/${each.value.prefix}"

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = merge(
      { bucket = { name = [var.bucket] } },
      { for key, prefix in { object = each.value.prefix } : key => { key = [{ prefix = prefix }] } if prefix != "" },
    )
  })
}

resource "aws_cloudwatch_event_target" "objects" {
  for_each = local.by_bridge

  rule      = aws_cloudwatch_event_rule.objects[each.key].name
  target_id = "inputs"
  arn       = var.queues[each.value.cluster].arn

  dead_letter_config {
    arn = var.queues[each.value.cluster].dead
  }
}

resource "aws_sns_topic_subscription" "objects" {
  for_each = local.topics

  topic_arn = each.value[0].topic_arn
  protocol  = "sqs"
  endpoint  = var.queues[each.value[0].cluster].arn
}

output "notified" {
  value = concat(
    aws_s3_bucket_notification.bucket[*].id,
    [for target in aws_cloudwatch_event_target.objects : target.id],
    [for subscription in aws_sns_topic_subscription.objects : subscription.id],
  )
}
