# Messages of a topic come by the cluster's inputs queue.

variable "topic" {
  type = object({
    name   = string
    arn    = string
    create = bool
  })
}

variable "queue_arn" {
  type = string
}

variable "key_arn" {
  type = string
}

resource "aws_sns_topic" "topic" {
  count = var.topic.create ? 1 : 0

  name              = var.topic.name
  kms_master_key_id = var.key_arn
}

# With SNS's envelope: it says which topic a message is of.
resource "aws_sns_topic_subscription" "topic" {
  topic_arn = var.topic.create ? aws_sns_topic.topic[0].arn : var.topic.arn
  protocol  = "sqs"
  endpoint  = var.queue_arn
}

output "subscription" {
  value = aws_sns_topic_subscription.topic.id
}
