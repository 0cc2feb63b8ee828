# Every minute: queries that are due are asked of Athena, and each row of their answers becomes a record, as from a source of logs.

locals {
  s3       = "arn:${var.installation.partition}:s3:::"
  data_arn = "${local.s3}${var.installation.data_bucket}"
  athena   = "arn:${var.installation.partition}:athena:${var.installation.region}:${var.installation.account}"
  glue     = "arn:${var.installation.partition}:glue:${var.installation.region}:${var.installation.account}"

  statements = [
    {
      sid       = "Queries"
      actions   = ["athena:GetQueryExecution", "athena:GetQueryResults", "athena:StartQueryExecution", "athena:StopQueryExecution"]
      resources = ["${local.athena}:workgroup/${var.archive.workgroup}"]
    },
    # What follows is Athena's to do, with the permissions of who asks.
    {
      sid       = "Tables"
      actions   = ["glue:BatchGetPartition", "glue:GetDatabase", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable", "glue:GetTables"]
      resources = ["${local.glue}:catalog", "${local.glue}:database/${var.archive.database}", "${local.glue}:table/${var.archive.database}/*"]
    },
    # It asks for these of every account, whatever database is asked about.
    {
      sid       = "DefaultDatabase"
      actions   = ["glue:CreateDatabase", "glue:GetDatabase"]
      resources = ["${local.glue}:database/default"]
    },
    {
      sid       = "Archive"
      actions   = ["s3:GetObject"]
      resources = ["${local.s3}${var.archive.bucket}/*"]
    },
    {
      sid       = "Results"
      actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      resources = ["${local.s3}${var.archive.results_bucket}/*"]
    },
    {
      sid       = "Buckets"
      actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
      resources = ["${local.s3}${var.archive.bucket}", "${local.s3}${var.archive.results_bucket}"]
    },
    {
      sid       = "Uploads"
      actions   = ["s3:ListBucketMultipartUploads"]
      resources = ["${local.s3}${var.archive.results_bucket}"]
    },
    # How far each query has come.
    {
      sid       = "States"
      actions   = ["s3:GetObject"]
      resources = ["${local.data_arn}/queries/*"]
    },
    {
      sid     = "Data"
      actions = ["s3:PutObject"]
      resources = concat(
        ["${local.data_arn}/queries/*", "${local.data_arn}/dead/*", "${local.data_arn}/claims/records/*"],
        length(var.archive.streams) > 0 ? ["${local.data_arn}/claims/archive/*"] : [],
      )
    },
    # A query that was never asked has no state, which S3 must say.
    {
      sid       = "DataBucket"
      actions   = ["s3:ListBucket"]
      resources = [local.data_arn]
    },
    {
      sid       = "Records"
      actions   = ["sqs:SendMessage"]
      resources = [var.records_queue_arn]
    },
  ]

  archive = [
    {
      sid       = "Streams"
      actions   = ["firehose:PutRecordBatch"]
      resources = var.archive.streams
    },
  ]
}

module "function" {
  source       = "../function"
  installation = var.installation
  stage        = "scheduled_queries"
  name         = "scheduled-queries"
  description  = "Asks the archive by schedule"
  memory       = var.settings.memory
  timeout      = var.settings.timeout
  environment = merge(
    { for name, value in { STREAMALERT_ARCHIVE_LOGS = join(",", var.archive.logs) } : name => value if value != "" },
    { STREAMALERT_ARCHIVE_BUFFER_SECONDS = tostring(var.archive.buffer_seconds) },
    var.names,
  )
  statements = concat(local.statements, [for statement in local.archive : statement if length(var.archive.streams) > 0])
  # The next minute goes on with it.
  asynchronous = { attempts = 0, age_seconds = 60 }
}

# When a query is due is said by scheduled_queries.json, which changes without an apply.
module "minute" {
  source      = "../schedule"
  name        = "${var.installation.prefix}-streamalert-scheduled-queries"
  description = "Looks which queries are due"
  expression  = "rate(1 minute)"
  id          = "scheduled-queries"
  alias       = module.function.alias
  input       = jsonencode({})
}

output "name" {
  value = module.function.name
}

output "alias" {
  value = module.function.alias
}
