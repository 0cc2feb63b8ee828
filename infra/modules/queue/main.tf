# A queue, the one that its dead messages go to, and who may send to it.

variable "name" {
  type = string
}

variable "arn" {
  type        = string
  description = "Of the queue that will be, known before it is."
}

variable "key_arn" {
  type = string
}

variable "visibility_seconds" {
  type        = number
  description = "So long nobody else gets a message that somebody has: as long as the function has time, and a little."
}

variable "attempts" {
  type        = number
  default     = 10
  description = "After so many it is a dead letter. A large object is read over several."
}

variable "senders" {
  type = list(object({
    sid     = string
    service = string
    sources = list(string)
  }))
  default     = []
  description = "Services that may send, each for these of its resources only. Roles need no mention."
}

variable "account" {
  type = string
}

locals {
  retention_seconds = 14 * 24 * 60 * 60

  secure = {
    Sid       = "OnlyEncrypted"
    Effect    = "Deny"
    Principal = "*"
    Action    = "sqs:*"
    Resource  = var.arn
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }

  senders = [
    for sender in var.senders : {
      Sid       = sender.sid
      Effect    = "Allow"
      Principal = { Service = sender.service }
      Action    = "sqs:SendMessage"
      Resource  = var.arn
      Condition = merge(
        { ArnLike = { "aws:SourceArn" = sender.sources } },
        # A bucket's ARN names no account.
        { for key, value in { StringEquals = { "aws:SourceAccount" = var.account } } : key => value if sender.service == "s3.amazonaws.com" },
      )
    }
    if length(sender.sources) > 0
  ]
}

resource "aws_sqs_queue" "queue" {
  name                       = var.name
  visibility_timeout_seconds = var.visibility_seconds
  message_retention_seconds  = local.retention_seconds
  # Of 1 MiB: what functions send may be as large.
  max_message_size                  = 1048576
  receive_wait_time_seconds         = 20
  kms_master_key_id                 = var.key_arn
  kms_data_key_reuse_period_seconds = 3600

  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = var.attempts })
}

resource "aws_sqs_queue" "dead" {
  name                              = "${var.name}-dead"
  message_retention_seconds         = local.retention_seconds
  max_message_size                  = 1048576
  kms_master_key_id                 = var.key_arn
  kms_data_key_reuse_period_seconds = 3600
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url            = aws_sqs_queue.dead.url
  redrive_allow_policy = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [var.arn] })
}

resource "aws_sqs_queue_policy" "queue" {
  queue_url = aws_sqs_queue.queue.url
  policy    = jsonencode({ Version = "2012-10-17", Statement = concat([local.secure], local.senders) })
}

resource "aws_sqs_queue_policy" "dead" {
  queue_url = aws_sqs_queue.dead.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [merge(local.secure, { Resource = "${var.arn}-dead" })],
      # What a rule of EventBridge could not hand over goes here, too.
      [for sender in local.senders : merge(sender, { Resource = "${var.arn}-dead" }) if sender.Principal.Service == "events.amazonaws.com"],
    )
  })
}

output "queue" {
  value = aws_sqs_queue.queue
}

output "dead" {
  value = aws_sqs_queue.dead
}

output "policy" {
  value       = aws_sqs_queue_policy.queue.id
  description = "There when senders may send."
}
