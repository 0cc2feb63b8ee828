# Flow logs of a VPC, a subnet or an interface, into a bucket: half the price of the way by CloudWatch Logs.

variable "flow" {
  type = object({
    kind    = string
    id      = string
    bucket  = string
    prefix  = string
    traffic = string
    format  = string
    seconds = number
  })
}

variable "partition" {
  type = string
}

variable "wait_for" {
  type        = any
  default     = null
  description = "The bucket's policy."
}

resource "aws_flow_log" "flow" {
  vpc_id                   = var.flow.kind == "vpc" ? var.flow.id : null
  subnet_id                = var.flow.kind == "subnet" ? var.flow.id : null
  eni_id                   = var.flow.kind == "eni" ? var.flow.id : null
  traffic_type             = var.flow.traffic
  log_format               = var.flow.format
  max_aggregation_interval = var.flow.seconds
  log_destination_type     = "s3"
  log_destination          = "arn:${var.partition}:s3:::${var.flow.bucket}/${var.flow.prefix}/"

  depends_on = [var.wait_for]
}

output "id" {
  value = aws_flow_log.flow.id
}
