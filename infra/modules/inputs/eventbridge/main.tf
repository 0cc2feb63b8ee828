# Events of one source come by the cluster's inputs queue.

variable "rule" {
  type = object({
    name          = string
    pattern       = string
    bus           = string
    accounts      = list(string)
    organizations = list(string)
  })
}

variable "queue" {
  type = object({
    arn      = string
    dead     = string
    may_send = string
  })
  description = "The cluster's inputs queue; `may_send` is there when its policy is."
}

resource "aws_cloudwatch_event_rule" "rule" {
  name           = var.rule.name
  description    = "Events for streamalert"
  event_bus_name = var.rule.bus
  event_pattern  = var.rule.pattern
}

resource "aws_cloudwatch_event_target" "queue" {
  rule           = aws_cloudwatch_event_rule.rule.name
  event_bus_name = var.rule.bus
  target_id      = "inputs"
  arn            = var.queue.arn

  dead_letter_config {
    arn = var.queue.dead
  }
}

# Others may send events to the bus.
resource "aws_cloudwatch_event_permission" "account" {
  for_each = toset(var.rule.accounts)

  principal      = each.value
  statement_id   = "streamalert-${substr(sha256(var.rule.name), 0, 8)}-${each.value}"
  event_bus_name = var.rule.bus
}

resource "aws_cloudwatch_event_permission" "organization" {
  for_each = toset(var.rule.organizations)

  principal      = "*"
  statement_id   = "streamalert-${substr(sha256(var.rule.name), 0, 8)}-${each.value}"
  event_bus_name = var.rule.bus

  condition {
    key   = "aws:PrincipalOrgID"
    type  = "StringEquals"
    value = each.value
  }
}

output "rule" {
  value = aws_cloudwatch_event_rule.rule.name
}
