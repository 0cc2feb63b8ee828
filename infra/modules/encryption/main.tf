# The key of everything that is stored: buckets, queues, tables, logs, variables of functions.

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

locals {
  # Which of our resources a service may use it for is said by the policy of the queue or bucket.
  senders = ["s3.amazonaws.com", "sns.amazonaws.com"]
  # These tell whose account they act for.
  services = ["events.amazonaws.com", "cloudwatch.amazonaws.com"]
}

resource "aws_kms_key" "key" {
  description             = "${var.prefix}-streamalert: what is stored"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Who may use it is said by the policies of the account.
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.partition}:iam::${var.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Senders"
        Effect    = "Allow"
        Principal = { Service = local.senders }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
      {
        Sid       = "Services"
        Effect    = "Allow"
        Principal = { Service = local.services }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
      },
      # Trails and flow logs, into buckets of ours.
      {
        Sid       = "Trails"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = ["kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = { StringLike = { "aws:SourceArn" = "arn:${var.partition}:cloudtrail:*:${var.account}:trail/*" } }
      },
      {
        Sid       = "FlowLogs"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${var.partition}:logs:${var.region}:${var.account}:log-group:*" }
        }
      },
    ]
  })
}

resource "aws_kms_alias" "key" {
  name          = "alias/${var.prefix}-streamalert"
  target_key_id = aws_kms_key.key.key_id
}

output "arn" {
  value = aws_kms_key.key.arn
}
