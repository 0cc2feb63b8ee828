# What is written to a log group calls the classifier.

variable "group" {
  type = object({
    name   = string
    filter = string
    create = bool
    days   = number
  })
}

variable "function_arn" {
  type        = string
  description = "Of the alias."
}

variable "key_arn" {
  type = string
}

variable "permitted" {
  type        = any
  description = "There when the log group may call it."
}

resource "aws_cloudwatch_log_group" "group" {
  count = var.group.create ? 1 : 0

  name              = var.group.name
  retention_in_days = var.group.days
  kms_key_id        = var.key_arn
}

resource "aws_cloudwatch_log_subscription_filter" "group" {
  name            = "streamalert"
  log_group_name  = var.group.create ? aws_cloudwatch_log_group.group[0].name : var.group.name
  filter_pattern  = var.group.filter
  destination_arn = var.function_arn

  depends_on = [var.permitted]
}

output "subscription" {
  value = aws_cloudwatch_log_subscription_filter.group.id
}
