# conf/ as everything else here needs it: every name and default is filled in.

locals {
  aws = jsondecode(file("${var.conf}/aws.json"))

  prefix = local.aws.prefix
  region = local.aws.region
  alias  = try(local.aws.alias, "live")

  account   = data.aws_caller_identity.here.account_id
  partition = data.aws_partition.here.partition

  names = {
    rules_bucket  = try(local.aws.rules_bucket, "${local.prefix}-streamalert-rules")
    data_bucket   = try(local.aws.data_bucket, "${local.prefix}-streamalert-data")
    records_queue = try(local.aws.records_queue, "${local.prefix}-streamalert-records")
    alerts_table  = try(local.aws.alerts_table, "${local.prefix}-streamalert-alerts")
    rules_table   = try(local.aws.rules_table, "${local.prefix}-streamalert-rules")
    apps_table    = try(local.aws.apps_table, "${local.prefix}-streamalert-apps")
    iocs_table    = "${local.prefix}-streamalert-iocs"

    archive_bucket = try(local.aws.archive_bucket, coalesce(var.archive.bucket, "${local.prefix}-streamalert-archive"))
    results_bucket = try(local.aws.results_bucket, "${local.prefix}-streamalert-athena-results")
    workgroup      = try(local.aws.workgroup, "${local.prefix}-streamalert")
    database       = try(local.aws.database, replace("${local.prefix}_streamalert", "-", "_"))
  }

  # Of what lies in our account and region.
  arn = {
    for service in ["sqs", "sns", "kinesis", "firehose", "lambda", "dynamodb", "logs", "events", "ssm", "securityhub", "ses"] :
    service => "arn:${local.partition}:${service}:${local.region}:${local.account}"
  }

  # Files that need not be there; without one, nothing comes of it.
  optional = {
    for name in ["apps", "lookup_tables", "rule_staging", "scheduled_queries", "threat_intel"] :
    name => fileexists("${var.conf}/${name}.json") ? jsondecode(file("${var.conf}/${name}.json")) : null
  }

  has_apps = local.optional.apps != null
  apps     = merge(local.optional.apps, {})

  cluster_files = {
    for file in fileset("${var.conf}/clusters", "*.json") :
    trimsuffix(file, ".json") => jsondecode(file("${var.conf}/clusters/${file}"))
  }

  # Doors of one machine are none of ours.
  aws_services = ["kinesis", "s3", "sns", "sqs", "eventbridge", "cloudwatch_logs"]

  clusters = {
    for name, cluster in local.cluster_files : name => {
      sources = {
        for service in local.aws_services : service => [
          for source in keys(try(cluster.data_sources[service], {})) : source
        ]
      }
      more     = try(cluster.infrastructure, {})
      settings = try(cluster.classifier_config, {})
    }
    # The function `apps` hands logs to the classifier of their cluster.
    if length(setintersection(keys(cluster.data_sources), local.aws_services)) > 0 || (local.has_apps && length(try(cluster.data_sources.streamalert_app, {})) > 0)
  }

  # A source's name may be a pattern, which nothing can be made or mapped of: then `infrastructure` says what is behind it.
  named = {
    for name, cluster in local.clusters : name => {
      for service in local.aws_services : service => distinct(concat(
        [for source in cluster.sources[service] : source if !can(regex("[*?\\[]", source))],
        keys(try(cluster.more[service], {})),
      ))
    }
  }

  streams = merge([
    for cluster, services in local.named : {
      for stream in services.kinesis : "${cluster}/${stream}" => {
        cluster             = cluster
        name                = stream
        create              = try(local.clusters[cluster].more.kinesis[stream].create, false)
        arn                 = try(local.clusters[cluster].more.kinesis[stream].arn, "${local.arn.kinesis}:stream/${stream}")
        shards              = try(local.clusters[cluster].more.kinesis[stream].shards, 0)
        retention_hours     = try(local.clusters[cluster].more.kinesis[stream].retention_hours, 24)
        batch_size          = try(local.clusters[cluster].more.kinesis[stream].batch_size, 500)
        window_seconds      = try(local.clusters[cluster].more.kinesis[stream].window_seconds, 1)
        parallel            = try(local.clusters[cluster].more.kinesis[stream].parallel, 1)
        start               = try(local.clusters[cluster].more.kinesis[stream].start, "TRIM_HORIZON")
        kms_key_arn         = try(local.clusters[cluster].more.kinesis[stream].kms_key_arn, "")
        writer_accounts     = try(local.clusters[cluster].more.kinesis[stream].writer_accounts, [])
        log_sender_accounts = try(local.clusters[cluster].more.kinesis[stream].log_sender_accounts, [])
      }
    }
  ]...)

  # What a cluster reads of a bucket. Several clusters may read different prefixes of one.
  readings = merge([
    for cluster, services in local.named : merge([
      for bucket in services.s3 : {
        for prefix in try(local.clusters[cluster].more.s3[bucket].prefixes, [""]) : "${cluster}/${bucket}/${prefix}" => {
          cluster = cluster
          bucket  = bucket
          prefix  = prefix
          suffix  = try(local.clusters[cluster].more.s3[bucket].suffix, "")
          # `bucket`: its own notifications, all of which are ours then; `eventbridge`, `topic`: somebody else has these;
          # `none`: somebody else sends them to the inputs queue.
          notify      = try(local.clusters[cluster].more.s3[bucket].notify, "bucket")
          topic_arn   = try(local.clusters[cluster].more.s3[bucket].topic_arn, "")
          kms_key_arn = try(local.clusters[cluster].more.s3[bucket].kms_key_arn, "")
        }
      }
    ]...)
  ]...)

  buckets = {
    for bucket in distinct([for reading in local.readings : reading.bucket]) : bucket => {
      create = anytrue([for name, cluster in local.clusters : try(cluster.more.s3[bucket].create, false)])
      days   = try([for name, cluster in local.clusters : cluster.more.s3[bucket].days if can(cluster.more.s3[bucket].days)][0], null)
    }
  }

  topics = merge([
    for cluster, services in local.named : {
      for topic in services.sns : "${cluster}/${topic}" => {
        cluster = cluster
        name    = topic
        arn     = try(local.clusters[cluster].more.sns[topic].arn, "${local.arn.sns}:${topic}")
        create  = try(local.clusters[cluster].more.sns[topic].create, false)
      }
    }
  ]...)

  queues = merge([
    for cluster, services in local.named : {
      for queue in services.sqs : "${cluster}/${queue}" => {
        cluster     = cluster
        name        = queue
        arn         = try(local.clusters[cluster].more.sqs[queue].arn, "${local.arn.sqs}:${queue}")
        create      = try(local.clusters[cluster].more.sqs[queue].create, false)
        batch_size  = try(local.clusters[cluster].more.sqs[queue].batch_size, 10)
        concurrency = try(local.clusters[cluster].more.sqs[queue].concurrency, 20)
        kms_key_arn = try(local.clusters[cluster].more.sqs[queue].kms_key_arn, "")
      }
    }
  ]...)

  rule_names = merge([
    for cluster, services in local.named : {
      for source in services.eventbridge : "${cluster}/${source}" =>
      "${local.prefix}-streamalert-${cluster}-${replace(source, "/[^A-Za-z0-9_-]/", "-")}"
    }
  ]...)

  rules = merge([
    for cluster, services in local.named : {
      for source in services.eventbridge : "${cluster}/${source}" => {
        cluster = cluster
        # At most 64 characters. One that would be too long, or another rule's too, ends with a digest: a rule of one name takes the
        # other's place.
        name = (
          length([for name in values(local.rule_names) : name if name == local.rule_names["${cluster}/${source}"]]) == 1 && length(local.rule_names["${cluster}/${source}"]) <= 64
          ? local.rule_names["${cluster}/${source}"]
          : "${substr(local.rule_names["${cluster}/${source}"], 0, 55)}-${substr(sha256("${cluster}/${source}"), 0, 8)}"
        )
        pattern       = jsonencode(try(local.clusters[cluster].more.eventbridge[source].pattern, { source = [source] }))
        bus           = try(local.clusters[cluster].more.eventbridge[source].bus, "default")
        accounts      = try(local.clusters[cluster].more.eventbridge[source].accounts, [])
        organizations = try(local.clusters[cluster].more.eventbridge[source].organizations, [])
      }
    }
  ]...)

  log_groups = merge([
    for cluster, services in local.named : {
      for group in services.cloudwatch_logs : "${cluster}/${group}" => {
        cluster = cluster
        name    = group
        filter  = try(local.clusters[cluster].more.cloudwatch_logs[group].filter, "")
        create  = try(local.clusters[cluster].more.cloudwatch_logs[group].create, false)
        days    = try(local.clusters[cluster].more.cloudwatch_logs[group].days, 7)
      }
    }
  ]...)

  # Into buckets of ours, which are read like any other.
  trails = merge([
    for cluster, settings in local.clusters : {
      for trail in keys(try(settings.more.cloudtrail, {})) : trail => {
        cluster      = cluster
        bucket       = settings.more.cloudtrail[trail].bucket
        multi_region = try(settings.more.cloudtrail[trail].multi_region, true)
        organization = try(settings.more.cloudtrail[trail].organization, "")
        accounts     = try(settings.more.cloudtrail[trail].accounts, [])
        data_events  = try(settings.more.cloudtrail[trail].data_events, [])
      }
    }
  ]...)

  flow_logs = merge([
    for cluster, settings in local.clusters : merge([
      for name in keys(try(settings.more.flow_logs, {})) : merge([
        for kind in ["vpc", "subnet", "eni"] : {
          for id in try(settings.more.flow_logs[name]["${kind}_ids"], []) : "${name}/${id}" => {
            cluster = cluster
            kind    = kind
            id      = id
            bucket  = settings.more.flow_logs[name].bucket
            prefix  = try(settings.more.flow_logs[name].prefix, "flow-logs")
            traffic = try(settings.more.flow_logs[name].traffic, "ALL")
            format  = try(settings.more.flow_logs[name].format, null)
            seconds = try(settings.more.flow_logs[name].seconds, 600)
          }
        }
      ]...)
    ]...)
  ]...)

  outputs_file = "${var.conf}/outputs.json"
  outputs_text = fileexists(local.outputs_file) ? file(local.outputs_file) : "{}"

  # What outputs.json has for AWS, by service and descriptor.
  outputs = {
    for service, descriptors in jsondecode(local.outputs_text) : service => {
      # Those without settings may be a list of names.
      for name in try(keys(descriptors), descriptors) : name => { for key, value in try(descriptors[name].settings, {}) : key => tostring(value) }
    }
    if startswith(service, "aws-")
  }

  # Hosts may be named with a port, or with http:// for one without TLS.
  output_hosts = flatten(concat(
    [for service, descriptors in jsondecode(local.outputs_text) : [for name in try(keys(descriptors), []) : try(descriptors[name].hosts, [])]],
    [for name, app in local.apps : try(app.hosts, [])],
    [for name, feed in local.feeds : concat([regex("^(?:https://)?((?:http://)?[^/]+)", feed.url)[0]], try(feed.hosts, []))],
  ))
  output_ports = distinct(concat(
    [for host in local.output_hosts : tonumber(regex(":([0-9]+)$", host)[0]) if can(regex(":([0-9]+)$", host))],
    [for host in local.output_hosts : 80 if startswith(host, "http://") && !can(regex(":([0-9]+)$", host))],
  ))

  schedules = { for name, app in local.apps : name => try(app.schedule, "rate(5 minutes)") if try(app.enabled, true) }
  # Minute, hour, day of month, month, day of week, year.
  times = { for name, schedule in local.schedules : name => regexall("[^ ]+", try(regex("^cron\\((.*)\\)$", schedule)[0], "")) }
  # By name: after how many seconds there is something wrong if it has not come to the end of what there was, thrice the time from one
  # turn to the next. Of what has days of its own, that is the longest there may be.
  late_apps = {
    for name, schedule in local.schedules : name => 3 * (
      can(regex("^rate\\(", schedule)) ? tonumber(regex("[0-9]+", schedule)) * { minute = 60, hour = 3600, day = 86400 }[regex("minute|hour|day", schedule)]
      : try(local.times[name][3], "*") != "*" ? 366 * 86400
      : !contains(["*", "?"], try(local.times[name][2], "*")) ? 31 * 86400
      : !contains(["*", "?"], try(local.times[name][4], "*")) ? 7 * 86400
      : 86400
    )
  }

  stages_rules = local.optional.rule_staging != null && try(local.optional.rule_staging.enabled, true)
  # When somebody is told how trials stand, if anybody is.
  digest = try(local.optional.rule_staging.digest, null) == null ? null : try(local.optional.rule_staging.digest.schedule, "cron(30 13 * * ? *)")

  has_queries = local.archive && local.optional.scheduled_queries != null && try(local.optional.scheduled_queries.enabled, true)

  has_intel = local.optional.threat_intel != null && try(local.optional.threat_intel.enabled, false)
  # A table that threat_intel.json names is somebody's own.
  own_iocs = try(length(local.optional.threat_intel.dynamodb_table_name) > 0, false)
  iocs_arn = local.has_intel ? "${local.arn.dynamodb}:table/${local.own_iocs ? local.optional.threat_intel.dynamodb_table_name : local.names.iocs_table}" : null
  feeds    = merge(local.has_intel ? try(local.optional.threat_intel.sources, null) : null, {})

  # Lookup tables that do not lie in the configuration.
  lookup_tables = [
    for name, table in merge(try(local.optional.lookup_tables.tables, null), {}) : table
    if try(local.optional.lookup_tables.enabled, true)
  ]
  lookups = {
    objects = distinct([for table in local.lookup_tables : "arn:${local.partition}:s3:::${table.bucket}/${table.key}" if table.driver == "s3"])
    buckets = distinct([for table in local.lookup_tables : "arn:${local.partition}:s3:::${table.bucket}" if table.driver == "s3"])
    tables  = distinct([for table in local.lookup_tables : "${local.arn.dynamodb}:table/${table.table}" if table.driver == "dynamodb"])
    keys    = length(local.lookup_tables) > 0 ? var.lookup_key_arns : []
  }

  tables_file = coalesce(var.archive.tables, "${var.conf}/generated/tables.json")
  archive     = var.archive.enabled && fileexists(local.tables_file)
  generated   = jsondecode(local.archive ? file(local.tables_file) : "{\"tables\": {}, \"alerts\": {\"columns\": []}}")

  tables = {
    for table, definition in local.generated.tables : table => {
      log_type = definition.log_type
      columns  = definition.columns
    }
    if anytrue([
      for log in var.archive.logs : log == "*" || log == definition.log_type || log == split(":", definition.log_type)[0]
    ])
  }
}

locals {
  # Sources by pattern of which nothing says what is behind them.
  unmapped = flatten([
    for name, cluster in local.clusters : [
      for service in local.aws_services : "${name}: ${service} ${join(", ", cluster.sources[service])}"
      if length(cluster.sources[service]) > 0 && length(local.named[name][service]) == 0
    ]
  ])
}

check "configuration" {
  assert {
    condition     = length(local.clusters) > 0
    error_message = "No file of ${var.conf}/clusters names a source of AWS: nothing would be classified."
  }
  assert {
    condition     = length(local.unmapped) == 0
    error_message = "These sources are patterns, and nothing comes of them until `infrastructure` of their cluster names what is behind them: ${join("; ", local.unmapped)}."
  }
  assert {
    condition     = var.archive.bucket == null || try(local.aws.archive_bucket, "") == var.archive.bucket
    error_message = "archive.bucket is ${coalesce(var.archive.bucket, "none")}, which the command line does not know: write it into ${var.conf}/aws.json, as archive_bucket."
  }
  assert {
    condition     = local.archive || local.optional.scheduled_queries == null
    error_message = "${var.conf}/scheduled_queries.json is there, but no archive that could be asked."
  }
  assert {
    condition     = local.archive || !var.archive.enabled
    error_message = "${local.tables_file} is not there, so records are not archived: let `streamalert generate` write it, or set archive.enabled to false."
  }
}
