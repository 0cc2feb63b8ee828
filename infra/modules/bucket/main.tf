# A bucket that nobody outside sees, encrypted, with what is to be forgotten.

variable "name" {
  type = string
}

variable "partition" {
  type = string
}

variable "key_arn" {
  type = string
}

variable "protected" {
  type        = bool
  description = "It cannot be destroyed with what is in it."
}

variable "versioned" {
  type    = bool
  default = false
}

variable "rules" {
  type = list(object({
    id         = string
    prefix     = optional(string, "")
    days       = optional(number)
    old_days   = optional(number)
    infrequent = optional(number)
  }))
  default     = []
  description = "What is deleted after so many days, older versions of it after `old_days`, or stored for less money after `infrequent`."
}

variable "statements" {
  type        = any
  default     = []
  description = "More of its policy, as IAM has it."
}

locals {
  arn = "arn:${var.partition}:s3:::${var.name}"
}

resource "aws_s3_bucket" "bucket" {
  bucket        = var.name
  force_destroy = !var.protected
}

resource "aws_s3_bucket_ownership_controls" "bucket" {
  bucket = aws_s3_bucket.bucket.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "bucket" {
  bucket                  = aws_s3_bucket.bucket.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "bucket" {
  bucket = aws_s3_bucket.bucket.id
  rule {
    # One call for many objects.
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "bucket" {
  count = var.versioned ? 1 : 0

  bucket = aws_s3_bucket.bucket.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "bucket" {
  bucket = aws_s3_bucket.bucket.id

  rule {
    id     = "parts of uploads that were given up"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = [for rule in var.rules : rule if rule.days != null || rule.old_days != null || rule.infrequent != null]
    content {
      id     = rule.value.id
      status = "Enabled"
      filter {
        prefix = rule.value.prefix
      }
      dynamic "expiration" {
        for_each = rule.value.days[*]
        content {
          days = expiration.value
        }
      }
      dynamic "noncurrent_version_expiration" {
        for_each = rule.value.old_days[*]
        content {
          noncurrent_days = noncurrent_version_expiration.value
        }
      }
      dynamic "transition" {
        for_each = rule.value.infrequent[*]
        content {
          days          = transition.value
          storage_class = "STANDARD_IA"
        }
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.bucket]
}

resource "aws_s3_bucket_policy" "bucket" {
  bucket = aws_s3_bucket.bucket.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyEncrypted"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.arn, "${local.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      var.statements,
    )
  })

  depends_on = [aws_s3_bucket_public_access_block.bucket]
}

output "name" {
  value       = aws_s3_bucket.bucket.bucket
  description = "There when the bucket is."
}

output "arn" {
  value = local.arn
}

output "policy" {
  value       = aws_s3_bucket_policy.bucket.id
  description = "There when services may write."
}
