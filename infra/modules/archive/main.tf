# Records and alerts as Parquet: a delivery stream and a table for each log type, and a workgroup to ask them.

locals {
  bucket_arn = "arn:${var.partition}:s3:::${var.bucket}"
  database   = var.database
  log_group  = "/aws/kinesisfirehose/${var.prefix}-streamalert"
  glue       = "arn:${var.partition}:glue:${var.region}:${var.account}"
  firehose   = "arn:${var.partition}:firehose:${var.region}:${var.account}:deliverystream"
  role_name  = "${var.prefix}-streamalert-archive"

  # As stream_name in host/pipeline/src/archive.rs has it: at most 64 characters, and a digest where something was cut off.
  clean = { for table, definition in var.tables : table => replace("${var.prefix}_streamalert_${definition.log_type}", "/[^\\p{L}\\p{N}_]/", "_") }
  streams = {
    for table, name in local.clean :
    table => length(name) <= 64 ? name : "${substr(name, 0, 55)}_${substr(md5(name), 0, 8)}"
  }

  alerts_stream = replace("${var.prefix}_streamalert_alerts", "-", "_")

  all = merge(
    { for table, definition in var.tables : table => { stream = local.streams[table], columns = definition.columns } },
    { alerts = { stream = local.alerts_stream, columns = var.alerts } },
  )
}

resource "aws_glue_catalog_database" "archive" {
  name        = local.database
  description = "Records and alerts of ${var.prefix}-streamalert"

  lifecycle {
    precondition {
      condition     = !contains(keys(var.tables), "alerts")
      error_message = "A log type is called `alerts`, as is the table of alerts: leave it out of archive.logs, or name it otherwise."
    }
  }
}

resource "aws_glue_catalog_table" "table" {
  for_each = local.all

  name          = each.key
  database_name = aws_glue_catalog_database.archive.name
  table_type    = "EXTERNAL_TABLE"

  # As parquet_table in host/aws/src/glue.rs has them.
  parameters = {
    EXTERNAL       = "TRUE"
    classification = "parquet"
    # Athena reckons the partitions; nobody has to enter them.
    "projection.enabled"          = "true"
    "projection.dt.type"          = "date"
    "projection.dt.format"        = "yyyy-MM-dd-HH"
    "projection.dt.range"         = "2024-01-01-00,NOW"
    "projection.dt.interval"      = "1"
    "projection.dt.interval.unit" = "HOURS"
    "storage.location.template"   = "s3://${var.bucket}/${each.key}/dt=$${dt}"
  }

  partition_keys {
    name    = "dt"
    type    = "string"
    comment = "Hour of arrival, UTC: 2026-01-31-23"
  }

  storage_descriptor {
    location      = "s3://${var.bucket}/${each.key}/"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = each.value.columns
      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(each.value.columns) > 0 && length(distinct([for column in each.value.columns : lower(column.name)])) == length(each.value.columns)
      error_message = "The table ${each.key} has no columns, or two of one name: let `streamalert generate` write the file anew."
    }
  }
}

resource "aws_cloudwatch_log_group" "deliveries" {
  name              = local.log_group
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

resource "aws_cloudwatch_log_stream" "deliveries" {
  for_each = local.all

  name           = each.key
  log_group_name = aws_cloudwatch_log_group.deliveries.name
}

resource "aws_iam_role" "delivery" {
  name                 = local.role_name
  path                 = "/streamalert/"
  description          = "Firehose writes records and alerts into the archive"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = var.account } }
    }]
  })
}

resource "aws_iam_role_policy" "delivery" {
  name = "archive"
  role = aws_iam_role.delivery.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Bucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = local.bucket_arn
      },
      {
        Sid      = "Objects"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = "${local.bucket_arn}/*"
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.key_arn
      },
      {
        Sid      = "Schemas"
        Effect   = "Allow"
        Action   = ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"]
        Resource = ["${local.glue}:catalog", "${local.glue}:database/${local.database}", "${local.glue}:table/${local.database}/*"]
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = "logs:PutLogEvents"
        Resource = "arn:${var.partition}:logs:${var.region}:${var.account}:log-group:${local.log_group}:log-stream:*"
      },
    ]
  })
}

resource "aws_kinesis_firehose_delivery_stream" "stream" {
  for_each = local.all

  name        = each.value.stream
  destination = "extended_s3"

  server_side_encryption {
    enabled  = true
    key_type = "CUSTOMER_MANAGED_CMK"
    key_arn  = var.key_arn
  }

  extended_s3_configuration {
    role_arn            = aws_iam_role.delivery.arn
    bucket_arn          = local.bucket_arn
    prefix              = "${each.key}/dt=!{timestamp:yyyy-MM-dd-HH}/"
    error_output_prefix = "failed/${each.key}/!{firehose:error-output-type}/dt=!{timestamp:yyyy-MM-dd-HH}/"
    buffering_size      = var.buffer.mb
    buffering_interval  = var.buffer.seconds
    kms_key_arn         = var.key_arn
    # Parquet compresses by itself.
    compression_format = "UNCOMPRESSED"

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.deliveries.name
      log_stream_name = aws_cloudwatch_log_stream.deliveries[each.key].name
    }

    data_format_conversion_configuration {
      input_format_configuration {
        deserializer {
          open_x_json_ser_de {
            # Lines have the columns' names for keys, as host/pipeline/src/archive/line.rs writes them.
            case_insensitive = true
          }
        }
      }
      output_format_configuration {
        serializer {
          parquet_ser_de {
            compression = "SNAPPY"
          }
        }
      }
      schema_configuration {
        role_arn      = aws_iam_role.delivery.arn
        database_name = aws_glue_catalog_database.archive.name
        table_name    = aws_glue_catalog_table.table[each.key].name
        region        = var.region
      }
    }
  }

  depends_on = [aws_iam_role_policy.delivery, var.wait_for]
}

resource "aws_athena_workgroup" "archive" {
  name        = var.workgroup
  description = "Asks records and alerts"

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.scan_limit_gb * 1024 * 1024 * 1024

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location       = "s3://${var.results_bucket}/"
      expected_bucket_owner = var.account
      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = var.key_arn
      }
    }
  }
}
