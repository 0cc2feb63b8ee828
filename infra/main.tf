# How everything hangs together. What becomes of conf/ is in conf.tf.

module "encryption" {
  source    = "./modules/encryption"
  prefix    = local.prefix
  partition = local.partition
  region    = local.region
  account   = local.account
}

# Made once, and changed by `apply -replace=terraform_data.code_key`: then everything is compiled anew.
resource "terraform_data" "code_key" {
  input = sha256("${uuid()}${uuid()}")

  lifecycle {
    ignore_changes = [input]
  }
}

module "network" {
  source = "./modules/network"
  count  = try(var.network.cidr, null) != null ? 1 : 0

  prefix               = local.prefix
  partition            = local.partition
  region               = local.region
  account              = local.account
  cidr                 = var.network.cidr
  zones                = var.network.zones
  internet             = var.network.internet
  ports                = local.output_ports
  log_days             = var.log_days
  key_arn              = module.encryption.arn
  permissions_boundary = var.permissions_boundary
}

locals {
  package = var.package != null ? var.package : "../target/package/bootstrap-${var.architecture}.zip"

  installation = {
    prefix               = local.prefix
    partition            = local.partition
    region               = local.region
    account              = local.account
    alias                = local.alias
    architecture         = var.architecture
    package              = local.package
    rules_bucket         = local.names.rules_bucket
    data_bucket          = local.names.data_bucket
    records_queue_url    = "https://sqs.${local.region}.${data.aws_partition.here.dns_suffix}/${local.account}/${local.names.records_queue}"
    alerts_table         = local.names.alerts_table
    rules_table          = local.names.rules_table
    code_key             = sensitive(var.code_key != null ? var.code_key : terraform_data.code_key.output)
    key_arn              = module.encryption.arn
    log_level            = var.log_level
    log_days             = var.log_days
    permissions_boundary = var.permissions_boundary
    pinned_versions      = var.pinned_versions
    subnet_ids           = try(module.network[0].subnet_ids, var.network.subnet_ids, [])
    security_group_ids   = try(module.network[0].security_group_ids, var.network.security_group_ids, [])
  }

  processor_arn = "${local.arn.lambda}:function:${local.prefix}-streamalert-alert-processor:${local.alias}"

  timeouts = { for name, cluster in local.clusters : name => try(cluster.settings.timeout, 60) }

  # A message that a function has is nobody else's for as long as it may take, and a little longer.
  visibility_margin = 30
}

# What is stored.

module "tables" {
  source    = "./modules/tables"
  alerts    = local.names.alerts_table
  rules     = local.names.rules_table
  apps      = local.has_apps ? local.names.apps_table : null
  iocs      = local.has_intel && !local.own_iocs ? local.names.iocs_table : null
  key_arn   = module.encryption.arn
  stream    = var.alerts_stream
  protected = var.protected
}

module "rules_bucket" {
  source    = "./modules/bucket"
  name      = local.names.rules_bucket
  partition = local.partition
  key_arn   = module.encryption.arn
  protected = var.protected
  # `streamalert plugins history` and `rollback`.
  versioned = true

  rules = [
    # The compiler keeps what it needs under its digest; older states of the rest are of no use.
    { id = "what was live", prefix = "live/", old_days = 7 },
  ]

  statements = [{
    Sid       = "OnlyTheCompilerMakesLive"
    Effect    = "Deny"
    Principal = "*"
    Action    = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    Resource  = "arn:${local.partition}:s3:::${local.names.rules_bucket}/live/*"
    Condition = { ArnNotEquals = { "aws:PrincipalArn" = "arn:${local.partition}:iam::${local.account}:role/streamalert/${local.prefix}-streamalert-plugin-compiler" } }
  }]
}

module "data_bucket" {
  source    = "./modules/bucket"
  name      = local.names.data_bucket
  partition = local.partition
  key_arn   = module.encryption.arn
  protected = var.protected

  rules = concat(
    [
      # A queue keeps a message for 14 days, and what goes back to it from its dead letters for as many more. Claims of the archive stay
      # as long as the archive.
      { id = "records in messages", prefix = "claims/records/", days = 30 },
      { id = "alerts in messages", prefix = "claims/alerts/", days = 30 },
      { id = "cursors of objects", prefix = "cursors/", days = 30 },
      # Sums of a day, which `streamalert rules stats` adds up.
      { id = "costs of rules", prefix = "stats/", days = 30 },
      # An alert is kept for 90 days after nothing of it is owed, and is not owed for years.
      { id = "large alerts", prefix = "alerts/", days = 730 },
    ],
    [for days in var.dead_letter_days[*] : { id = "dead letters", prefix = "dead/", days = days }],
    [for days in var.archive.days[*] : { id = "records of the archive", prefix = "claims/archive/", days = days }],
  )
}

module "records_queue" {
  source             = "./modules/queue"
  name               = local.names.records_queue
  arn                = "${local.arn.sqs}:${local.names.records_queue}"
  account            = local.account
  key_arn            = module.encryption.arn
  visibility_seconds = var.functions.rules_engine.timeout + local.visibility_margin
}

module "uploads_queue" {
  source             = "./modules/queue"
  name               = "${local.prefix}-streamalert-uploads"
  arn                = "${local.arn.sqs}:${local.prefix}-streamalert-uploads"
  account            = local.account
  key_arn            = module.encryption.arn
  visibility_seconds = var.functions.plugin_compiler.timeout + local.visibility_margin
  senders            = [{ sid = "Uploads", service = "s3.amazonaws.com", sources = [module.rules_bucket.arn] }]
}

resource "aws_s3_bucket_notification" "uploads" {
  bucket = module.rules_bucket.name

  dynamic "queue" {
    for_each = ["plugins/", "conf/"]
    content {
      id            = trimsuffix(queue.value, "/")
      queue_arn     = module.uploads_queue.queue.arn
      events        = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
      filter_prefix = queue.value
    }
  }

  depends_on = [module.uploads_queue]
}

# The archive.

module "archive_bucket" {
  source = "./modules/bucket"
  count  = local.archive ? 1 : 0

  name      = local.names.archive_bucket
  partition = local.partition
  key_arn   = module.encryption.arn
  protected = var.protected
  rules = [
    { id = "archive", days = var.archive.days, infrequent = try(var.archive.days <= var.archive.infrequent, false) ? null : var.archive.infrequent },
  ]
}

module "results_bucket" {
  source = "./modules/bucket"
  count  = local.archive ? 1 : 0

  name      = local.names.results_bucket
  partition = local.partition
  key_arn   = module.encryption.arn
  protected = false
  rules     = [{ id = "results of queries", days = 30 }]
}

module "archive" {
  source = "./modules/archive"
  count  = local.archive ? 1 : 0

  prefix               = local.prefix
  partition            = local.partition
  region               = local.region
  account              = local.account
  key_arn              = module.encryption.arn
  bucket               = local.names.archive_bucket
  results_bucket       = local.names.results_bucket
  workgroup            = local.names.workgroup
  database             = local.names.database
  tables               = local.tables
  alerts               = local.generated.alerts.columns
  buffer               = { mb = var.archive.buffer_mb, seconds = var.archive.buffer_seconds }
  scan_limit_gb        = var.archive.scan_limit_gb
  log_days             = var.log_days
  permissions_boundary = var.permissions_boundary
  wait_for             = [module.archive_bucket[0].name, module.results_bucket[0].name]
}

locals {
  alerts_stream = local.archive ? module.archive[0].alerts_stream : null

  # Log types that are archived, and ARNs of the streams for that.
  archived = {
    logs    = local.archive ? module.archive[0].logs : []
    streams = local.archive ? module.archive[0].stream_arns : []
  }

  # Somebody looks for partitions who does not reckon them, as Athena does for our tables.
  enters_partitions = local.archive && var.archive.partitions != "projected"
}

module "partitions_queue" {
  source = "./modules/queue"
  count  = local.enters_partitions ? 1 : 0

  name               = "${local.prefix}-streamalert-athena-partitioner"
  arn                = "${local.arn.sqs}:${local.prefix}-streamalert-athena-partitioner"
  account            = local.account
  key_arn            = module.encryption.arn
  visibility_seconds = 6 * var.functions.athena_partitioner.timeout
  senders = [{
    sid     = "Archives"
    service = "s3.amazonaws.com"
    sources = [for bucket in concat([local.names.archive_bucket], var.archive.other_buckets) : "arn:${local.partition}:s3:::${bucket}"]
  }]
}

resource "aws_s3_bucket_notification" "archive" {
  count = local.enters_partitions ? 1 : 0

  bucket = module.archive_bucket[0].name

  queue {
    id        = "partitions"
    queue_arn = module.partitions_queue[0].queue.arn
    events    = ["s3:ObjectCreated:*"]
  }

  depends_on = [module.partitions_queue]
}

# The stages.

module "classifier" {
  source   = "./modules/classifier"
  for_each = local.clusters

  installation = local.installation
  cluster      = each.key
  memory       = try(each.value.settings.memory, 512)
  timeout      = local.timeouts[each.key]
  concurrency  = try(each.value.more.concurrency, 50)
  log_level    = try(each.value.settings.log_level, "info")
  log_days     = try(each.value.settings.log_retention_days, var.log_days)

  readings   = [for reading in local.readings : reading if reading.cluster == each.key]
  streams    = [for stream in local.streams : stream if stream.cluster == each.key]
  queues     = [for queue in local.queues : queue if queue.cluster == each.key]
  log_groups = [for group in local.log_groups : group.name if group.cluster == each.key]
  inputs     = { arn = local.inputs[each.key].arn, dead = local.inputs[each.key].dead }

  records_queue_arn = "${local.arn.sqs}:${local.names.records_queue}"
  archive           = local.archived
  iocs_arn          = local.iocs_arn
  wait_for          = [module.inputs_queue[each.key].queue.arn, values(module.kinesis)[*].arn, values(module.sqs)[*].queue.arn]
}

module "resend" {
  source = "./modules/classifier"

  installation      = local.installation
  memory            = var.functions.resend.memory
  timeout           = var.functions.resend.timeout
  readings          = values(local.readings)
  records_queue_arn = "${local.arn.sqs}:${local.names.records_queue}"
  archive           = local.archived
  iocs_arn          = local.iocs_arn
}

module "rules_engine" {
  source              = "./modules/rules_engine"
  installation        = local.installation
  settings            = var.functions.rules_engine
  records_queue_arn   = "${local.arn.sqs}:${local.names.records_queue}"
  alerts_stream       = local.alerts_stream
  rule_metrics        = var.rule_metrics
  log_rule_statistics = var.log_rule_statistics
  lookups             = local.lookups
  alert_processor_arn = local.processor_arn
  wait_for            = [module.records_queue.queue.arn]
}

module "alert_merger" {
  source              = "./modules/alert_merger"
  installation        = local.installation
  settings            = var.functions.alert_merger
  alerts_stream       = local.alerts_stream
  alert_processor_arn = local.processor_arn
  table_stream        = var.alerts_stream
  table_stream_arn    = module.tables.alerts_stream_arn
}

module "alert_processor" {
  source         = "./modules/alert_processor"
  installation   = local.installation
  settings       = var.functions.alert_processor
  alerts_stream  = local.alerts_stream
  outputs        = local.outputs
  parameters_arn = "${local.arn.ssm}:parameter/${local.prefix}/streamalert/outputs/*"
}

module "plugin_compiler" {
  source            = "./modules/plugin_compiler"
  installation      = local.installation
  settings          = var.functions.plugin_compiler
  uploads_queue_arn = "${local.arn.sqs}:${local.prefix}-streamalert-uploads"
  stages_rules      = local.stages_rules
  wait_for          = [module.uploads_queue.queue.arn]
}

# Those that a file of conf/ asks for.

module "rule_promotion" {
  source = "./modules/rule_promotion"
  count  = local.stages_rules ? 1 : 0

  installation        = local.installation
  settings            = var.functions.rule_promotion
  alerts_stream       = local.alerts_stream
  alert_processor_arn = local.processor_arn
  digest              = local.digest
}

module "apps" {
  source = "./modules/apps"
  count  = local.has_apps ? 1 : 0

  installation = local.installation
  settings     = var.functions.apps
  table        = local.names.apps_table
  named        = can(local.aws.apps_table)
  classifier_arns = [
    for name in keys(local.clusters) : "${local.arn.lambda}:function:${local.prefix}-streamalert-classifier-${replace(name, "_", "-")}:${local.alias}"
    if length(try(local.cluster_files[name].data_sources.streamalert_app, {})) > 0
  ]
  parameters_arn = "${local.arn.ssm}:parameter/${local.prefix}/streamalert/apps/*"
}

module "athena_partitioner" {
  source = "./modules/athena_partitioner"
  count  = local.enters_partitions ? 1 : 0

  installation   = local.installation
  settings       = var.functions.athena_partitioner
  queue_arn      = "${local.arn.sqs}:${local.prefix}-streamalert-athena-partitioner"
  database       = local.names.database
  database_named = try(local.aws.database, null)
  all            = var.archive.partitions == "all"
  wait_for       = [module.partitions_queue[0].queue.arn]
}

module "scheduled_queries" {
  source = "./modules/scheduled_queries"
  count  = local.has_queries ? 1 : 0

  installation      = local.installation
  settings          = var.functions.scheduled_queries
  records_queue_arn = "${local.arn.sqs}:${local.names.records_queue}"
  archive = merge(local.archived, {
    bucket         = local.names.archive_bucket
    results_bucket = local.names.results_bucket
    workgroup      = local.names.workgroup
    database       = local.names.database
    buffer_seconds = var.archive.buffer_seconds
  })
  names = {
    for variable, key in { STREAMALERT_WORKGROUP = "workgroup", STREAMALERT_DATABASE = "database", STREAMALERT_RESULTS_BUCKET = "results_bucket" } :
    variable => local.aws[key] if can(local.aws[key])
  }
}

module "threat_intel_downloader" {
  source = "./modules/threat_intel_downloader"
  count  = length(local.feeds) > 0 ? 1 : 0

  installation   = local.installation
  settings       = var.functions.threat_intel_downloader
  table_arn      = local.iocs_arn
  parameters_arn = "${local.arn.ssm}:parameter/${local.prefix}/streamalert/outputs/threat-intel/*"
}

locals {
  functions = merge(
    { for name, classifier in module.classifier : "classifier-${replace(name, "_", "-")}" => classifier },
    {
      "classifier"      = module.resend
      "rules-engine"    = module.rules_engine
      "alert-merger"    = module.alert_merger
      "alert-processor" = module.alert_processor
      "plugin-compiler" = module.plugin_compiler
    },
    { for function in module.rule_promotion : "rule-promotion" => function },
    { for function in module.apps : "apps" => function },
    { for function in module.athena_partitioner : "athena-partitioner" => function },
    { for function in module.scheduled_queries : "scheduled-queries" => function },
    { for function in module.threat_intel_downloader : "threat-intel-downloader" => function },
  )
}

# Alarms.

module "alarms" {
  source = "./modules/alarms"
  count  = var.alarms.enabled ? 1 : 0

  prefix   = local.prefix
  account  = local.account
  key_arn  = module.encryption.arn
  settings = var.alarms

  functions = { for short, function in local.functions : short => function.name }
  apps      = local.late_apps
  stream_readers = {
    for name in distinct([for stream in local.streams : stream.cluster]) : "classifier-${replace(name, "_", "-")}" => module.classifier[name].name
  }
  queues = merge(
    { for name, inputs in local.inputs : "inputs-${name}" => inputs.name },
    { for queue in local.queues : "queue-${queue.cluster}-${queue.name}" => queue.name if queue.create },
    { "records" = local.names.records_queue, "uploads" = "${local.prefix}-streamalert-uploads" },
    { for short in ["athena-partitioner"] : short => "${local.prefix}-streamalert-athena-partitioner" if local.enters_partitions },
  )
  dead_queues = merge(
    { for name, inputs in local.inputs : "inputs-${name}" => "${inputs.name}-dead" },
    { for queue in local.queues : "queue-${queue.cluster}-${queue.name}" => "${queue.name}-dead" if queue.create },
    { "records" = "${local.names.records_queue}-dead", "uploads" = "${local.prefix}-streamalert-uploads-dead" },
    { for short in ["athena-partitioner"] : short => "${local.prefix}-streamalert-athena-partitioner-dead" if local.enters_partitions },
  )
  streams          = { for stream in local.streams : "stream-${stream.cluster}-${stream.name}" => stream.name if stream.create }
  delivery_streams = local.archive ? module.archive[0].stream_names : {}
}
