# A schedule that wakes a function, by its alias.

variable "name" {
  type        = string
  description = "Of the rule."
}

variable "description" {
  type = string
}

variable "expression" {
  type        = string
  description = "As EventBridge writes it: rate(…) or cron(…)."
}

variable "alias" {
  type        = any
  description = "Of the function."
}

variable "id" {
  type        = string
  description = "Of the target and of the permission: a function may have several schedules."
}

variable "input" {
  type        = string
  default     = null
  description = "The event, as JSON. Without one, it is that of EventBridge."
}

variable "transformer" {
  type = object({
    paths    = map(string)
    template = string
  })
  default     = null
  description = "In the place of `input`: an event with something of the schedule's in it."
}

resource "aws_cloudwatch_event_rule" "rule" {
  name                = var.name
  description         = var.description
  schedule_expression = var.expression
}

resource "aws_cloudwatch_event_target" "target" {
  rule      = aws_cloudwatch_event_rule.rule.name
  target_id = var.id
  arn       = var.alias.arn
  input     = var.input

  dynamic "input_transformer" {
    for_each = var.transformer[*]
    content {
      input_paths    = input_transformer.value.paths
      input_template = input_transformer.value.template
    }
  }

  depends_on = [aws_lambda_permission.rule]
}

resource "aws_lambda_permission" "rule" {
  statement_id  = var.id
  action        = "lambda:InvokeFunction"
  function_name = var.alias.function_name
  qualifier     = var.alias.name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.rule.arn
}
