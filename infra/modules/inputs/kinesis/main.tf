# A stream of ours, who else may write to it, and log groups of other accounts that do.

variable "prefix" {
  type = string
}

variable "partition" {
  type = string
}

variable "region" {
  type = string
}

variable "account" {
  type = string
}

variable "stream" {
  type = object({
    name                = string
    arn                 = string
    shards              = number
    retention_hours     = number
    writer_accounts     = list(string)
    log_sender_accounts = list(string)
  })
}

variable "key_arn" {
  type = string
}

locals {
  role        = "${var.prefix}-streamalert-write-${var.stream.name}"
  logs        = length(var.stream.log_sender_accounts) > 0
  destination = "${var.prefix}-streamalert-${var.stream.name}"
}

resource "aws_kinesis_stream" "stream" {
  name             = var.stream.name
  shard_count      = var.stream.shards > 0 ? var.stream.shards : null
  retention_period = var.stream.retention_hours
  encryption_type  = "KMS"
  kms_key_id       = var.key_arn

  # Without a number of shards, as many as there have to be.
  stream_mode_details {
    stream_mode = var.stream.shards > 0 ? "PROVISIONED" : "ON_DEMAND"
  }
}

resource "aws_iam_role" "writers" {
  count = length(var.stream.writer_accounts) > 0 ? 1 : 0

  name        = substr(local.role, 0, 64)
  path        = "/streamalert/"
  description = "Who has it may write to the stream ${var.stream.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = [for account in var.stream.writer_accounts : "arn:${var.partition}:iam::${account}:root"] }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "writers" {
  count = length(var.stream.writer_accounts) > 0 ? 1 : 0

  name   = "stream"
  role   = aws_iam_role.writers[0].name
  policy = local.policy
}

# Log groups of other accounts subscribe to this.
resource "aws_cloudwatch_log_destination" "logs" {
  count = local.logs ? 1 : 0

  name       = local.destination
  role_arn   = aws_iam_role.logs[0].arn
  target_arn = aws_kinesis_stream.stream.arn

  depends_on = [aws_iam_role_policy.logs]
}

resource "aws_cloudwatch_log_destination_policy" "logs" {
  count = local.logs ? 1 : 0

  destination_name = aws_cloudwatch_log_destination.logs[0].name
  access_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Senders"
      Effect    = "Allow"
      Principal = { AWS = var.stream.log_sender_accounts }
      Action    = "logs:PutSubscriptionFilter"
      Resource  = "arn:${var.partition}:logs:${var.region}:${var.account}:destination:${local.destination}"
    }]
  })
}

resource "aws_iam_role" "logs" {
  count = local.logs ? 1 : 0

  name        = substr("${var.prefix}-streamalert-logs-${var.stream.name}", 0, 64)
  path        = "/streamalert/"
  description = "CloudWatch Logs writes to the stream ${var.stream.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringLike = {
          "aws:SourceArn" = [for account in concat([var.account], var.stream.log_sender_accounts) : "arn:${var.partition}:logs:*:${account}:*"]
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "logs" {
  count = local.logs ? 1 : 0

  name   = "stream"
  role   = aws_iam_role.logs[0].name
  policy = local.policy
}

locals {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Write"
        Effect   = "Allow"
        Action   = ["kinesis:PutRecord", "kinesis:PutRecords"]
        Resource = var.stream.arn
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = "kms:GenerateDataKey"
        Resource = var.key_arn
      },
    ]
  })
}

output "arn" {
  value = aws_kinesis_stream.stream.arn
}
