# New objects of the archive become partitions of their tables, for readers that do not reckon partitions themselves.

locals {
  glue     = "arn:${var.installation.partition}:glue:${var.installation.region}:${var.installation.account}"
  database = var.database
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "athena_partitioner"
  name         = "athena-partitioner"
  description  = "Enters partitions of the archive's tables"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  environment = merge(
    { STREAMALERT_PARTITIONS = var.all ? "all" : "needed" },
    { for name in var.database_named[*] : "STREAMALERT_DATABASE" => name },
  )
  # It runs no components and reads no configuration.
  reads_rules = false

  statements = [
    {
      sid       = "Messages"
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      resources = [var.queue_arn]
    },
    {
      sid       = "Partitions"
      actions   = ["glue:BatchCreatePartition", "glue:GetTable"]
      resources = ["${local.glue}:catalog", "${local.glue}:database/${local.database}", "${local.glue}:table/${local.database}/*"]
    },
  ]
}

resource "aws_lambda_event_source_mapping" "objects" {
  event_source_arn = var.queue_arn
  function_name    = module.function.alias.arn
  # Of the same hour, many objects are one partition; and what is new is to be found within a minute.
  batch_size                         = 100
  maximum_batching_window_in_seconds = 20
  function_response_types            = ["ReportBatchItemFailures"]

  # Two of them know nothing of one another's partitions.
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
