# What users upload is checked, compiled, and made live.

locals {
  rules_arn = "arn:${var.installation.partition}:s3:::${var.installation.rules_bucket}"

  statements = [
    {
      sid       = "Messages"
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      resources = [var.uploads_queue_arn]
    },
    {
      sid       = "Uploads"
      actions   = ["s3:GetObject"]
      resources = ["${local.rules_arn}/plugins/*", "${local.rules_arn}/conf/*"]
    },
    # Nobody else may: the bucket's policy says so, too.
    {
      sid       = "Live"
      actions   = ["s3:PutObject", "s3:DeleteObject"]
      resources = ["${local.rules_arn}/live/*"]
    },
  ]

  # Which rules begin on trial is decided where they become live.
  trials = [
    {
      sid       = "Decisions"
      actions   = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"]
      resources = ["arn:${var.installation.partition}:dynamodb:${var.installation.region}:${var.installation.account}:table/${var.installation.rules_table}"]
    },
  ]
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "plugin_compiler"
  name         = "plugin-compiler"
  description  = "Checks and compiles what is in the rules bucket"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  statements   = concat(local.statements, [for statement in local.trials : statement if var.stages_rules])
}

resource "aws_lambda_event_source_mapping" "uploads" {
  event_source_arn = var.uploads_queue_arn
  function_name    = module.function.alias.arn
  # It looks at everything, whatever it is told: what is uploaded together is one event.
  batch_size                         = 100
  maximum_batching_window_in_seconds = 1
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2
  }

  depends_on = [module.function, var.wait_for]
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}

output "role_arn" {
  value = module.function.role_arn
}
