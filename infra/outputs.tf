output "prefix" {
  value       = local.prefix
  description = "Whose state this is. `streamalert deploy` and `destroy` leave that of another installation alone."
}

output "rules_bucket" {
  value       = local.names.rules_bucket
  description = "`streamalert push` uploads to it."
}

output "data_bucket" {
  value = local.names.data_bucket
}

output "source_buckets" {
  value       = sort([for bucket in module.source_bucket : bucket.name])
  description = "Buckets of logs that are ours."
}

output "inputs" {
  value       = { for name, inputs in local.inputs : name => inputs.url }
  description = "Queue of each cluster, for whoever announces objects to it by other ways."
}

output "functions" {
  value = { for short, function in local.functions : short => function.alias.arn }
}

output "athena" {
  value       = local.archive ? { workgroup = module.archive[0].workgroup, database = module.archive[0].database } : null
  description = "Where records and alerts are asked for."
}

output "archive_streams" {
  value       = local.archive ? module.archive[0].stream_names : {}
  description = "Delivery stream of each table."
}

output "partitions_queue" {
  value       = local.enters_partitions ? module.partitions_queue[0].queue.arn : null
  description = "Where other buckets tell of new objects of tables."
}

output "alarms_topic" {
  value = var.alarms.enabled ? module.alarms[0].topic_arn : null
}

output "key" {
  value       = module.encryption.arn
  description = "Who is to read buckets and queues may need to use it."
}
