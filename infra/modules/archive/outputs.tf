output "logs" {
  value = (
    length(join(",", [for definition in var.tables : definition.log_type])) <= 2500
    ? [for definition in var.tables : definition.log_type]
    : distinct([for definition in var.tables : split(":", definition.log_type)[0]])
  )
  description = "Log types that have a stream; of many, their sources: all variables of a function have 4 KB together."
}

output "stream_arns" {
  value       = length(local.streams) <= 40 ? [for name in local.streams : "${local.firehose}/${name}"] : ["${local.firehose}/${replace(var.prefix, "-", "_")}_streamalert_*"]
  description = "Of streams that records go to, known before they are made. A policy has room for so many; of more it names what they begin with."
}

output "alerts_stream" {
  value       = { name = local.alerts_stream, arn = "${local.firehose}/${local.alerts_stream}" }
  description = "Known before it is made."
}

output "stream_names" {
  value       = { for table, definition in local.all : table => definition.stream }
  description = "By table; known before they are made."
}

output "workgroup" {
  value = aws_athena_workgroup.archive.name
}

output "database" {
  value = aws_glue_catalog_database.archive.name
}
