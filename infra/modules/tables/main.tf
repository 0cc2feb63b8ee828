# Tables, each as a file of host/aws/src has it: alerts alert_table/layout.rs, rules rule_table.rs, apps app_table.rs, indicators of
# compromise ioc_table.rs.

variable "alerts" {
  type = string
}

variable "rules" {
  type = string
}

variable "apps" {
  type        = string
  default     = null
  description = "Without a name, there is none."
}

variable "iocs" {
  type        = string
  default     = null
  description = "Without a name, there is none."
}

variable "key_arn" {
  type = string
}

variable "stream" {
  type        = bool
  description = "For the alert merger."
}

variable "protected" {
  type = bool
}

resource "aws_dynamodb_table" "alerts" {
  name                        = var.alerts
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  range_key                   = "part"
  deletion_protection_enabled = var.protected
  stream_enabled              = var.stream
  stream_view_type            = var.stream ? "NEW_IMAGE" : null

  dynamic "attribute" {
    for_each = { id = "S", part = "S", queue = "S", due = "N", day = "S", seq = "S" }
    content {
      name = attribute.key
      type = attribute.value
    }
  }

  # What is owed, dead or waiting, and when it is due.
  global_secondary_index {
    name               = "due"
    projection_type    = "INCLUDE"
    non_key_attributes = ["attempts", "bytes", "seq"]
    hash_key           = "queue"
    range_key          = "due"
  }

  # Alerts of a day, for the command line.
  global_secondary_index {
    name               = "newest"
    projection_type    = "INCLUDE"
    non_key_attributes = ["rule"]
    hash_key           = "day"
    range_key          = "seq"
  }

  ttl {
    attribute_name = "exp"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.key_arn
  }
}

resource "aws_dynamodb_table" "rules" {
  name                        = var.rules
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "rule"
  deletion_protection_enabled = var.protected

  attribute {
    name = "rule"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.key_arn
  }
}

resource "aws_dynamodb_table" "apps" {
  count = var.apps == null ? 0 : 1

  name                        = var.apps
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "app"
  deletion_protection_enabled = var.protected

  attribute {
    name = "app"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.key_arn
  }
}

resource "aws_dynamodb_table" "iocs" {
  count = var.iocs == null ? 0 : 1

  name                        = var.iocs
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "ioc_value"
  deletion_protection_enabled = var.protected

  attribute {
    name = "ioc_value"
    type = "S"
  }

  ttl {
    attribute_name = "expiration_ts"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.key_arn
  }
}

output "alerts_stream_arn" {
  value = aws_dynamodb_table.alerts.stream_arn
}

output "names" {
  value       = concat([aws_dynamodb_table.alerts.name, aws_dynamodb_table.rules.name], aws_dynamodb_table.apps[*].name, aws_dynamodb_table.iocs[*].name)
  description = "There when the tables are."
}
