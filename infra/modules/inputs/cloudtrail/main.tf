# A trail into a bucket that a cluster reads.

variable "name" {
  type = string
}

variable "trail" {
  type = object({
    bucket       = string
    multi_region = bool
    organization = string
    data_events  = list(string)
  })
}

variable "key_arn" {
  type = string
}

variable "wait_for" {
  type        = any
  default     = null
  description = "The bucket's policy."
}

resource "aws_cloudtrail" "trail" {
  name                          = var.name
  s3_bucket_name                = var.trail.bucket
  is_multi_region_trail         = var.trail.multi_region
  is_organization_trail         = var.trail.organization != ""
  include_global_service_events = true
  enable_log_file_validation    = true
  kms_key_id                    = var.key_arn

  advanced_event_selector {
    name = "what is managed"
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }

  # Types of resources, such as AWS::S3::Object: each event of these is paid for.
  dynamic "advanced_event_selector" {
    for_each = toset(var.trail.data_events)
    content {
      name = "data of ${advanced_event_selector.value}"
      field_selector {
        field  = "eventCategory"
        equals = ["Data"]
      }
      field_selector {
        field  = "resources.type"
        equals = [advanced_event_selector.value]
      }
    }
  }

  depends_on = [var.wait_for]
}

output "arn" {
  value = aws_cloudtrail.trail.arn
}
