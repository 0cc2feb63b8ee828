# Where logs come from. Most come by the inputs queue of their cluster; streams, queues and log groups come to its classifier directly.

locals {
  inputs = {
    for name, cluster in local.clusters : name => {
      name = "${local.prefix}-streamalert-${name}-inputs"
      arn  = "${local.arn.sqs}:${local.prefix}-streamalert-${name}-inputs"
      url  = "https://sqs.${local.region}.${data.aws_partition.here.dns_suffix}/${local.account}/${local.prefix}-streamalert-${name}-inputs"
      dead = "${local.arn.sqs}:${local.prefix}-streamalert-${name}-inputs-dead"
    }
  }
}

module "inputs_queue" {
  source   = "./modules/queue"
  for_each = local.clusters

  name               = local.inputs[each.key].name
  arn                = local.inputs[each.key].arn
  account            = local.account
  key_arn            = module.encryption.arn
  visibility_seconds = local.timeouts[each.key] + local.visibility_margin
  # A large object takes several invocations.
  attempts = try(each.value.more.attempts, 20)

  senders = [
    {
      sid     = "Buckets"
      service = "s3.amazonaws.com"
      sources = distinct([for reading in local.readings : "arn:${local.partition}:s3:::${reading.bucket}" if reading.cluster == each.key && reading.notify == "bucket"])
    },
    {
      sid     = "Topics"
      service = "sns.amazonaws.com"
      sources = distinct(concat(
        [for topic in local.topics : topic.arn if topic.cluster == each.key],
        [for reading in local.readings : reading.topic_arn if reading.cluster == each.key && reading.notify == "topic"],
      ))
    },
    {
      sid     = "Rules"
      service = "events.amazonaws.com"
      sources = distinct(concat(
        [
          for rule in local.rules : rule.bus == "default" ? "${local.arn.events}:rule/${rule.name}" : "${local.arn.events}:rule/${rule.bus}/${rule.name}"
          if rule.cluster == each.key
        ],
        [for reading in local.readings : "${local.arn.events}:rule/${local.prefix}-streamalert-${each.key}-s3-*" if reading.cluster == each.key && reading.notify == "eventbridge"],
      ))
    },
  ]
}

module "kinesis" {
  source   = "./modules/inputs/kinesis"
  for_each = { for key, stream in local.streams : key => stream if stream.create }

  prefix    = local.prefix
  partition = local.partition
  region    = local.region
  account   = local.account
  stream    = each.value
  key_arn   = module.encryption.arn
}

module "source_bucket" {
  source   = "./modules/bucket"
  for_each = { for name, bucket in local.buckets : name => bucket if bucket.create }

  name      = each.key
  partition = local.partition
  key_arn   = module.encryption.arn
  protected = var.protected
  rules     = [for days in each.value.days[*] : { id = "logs", days = days }]

  statements = concat(
    [
      for name, trail in local.trails : {
        Sid       = "TrailLooks${replace(name, "/[^A-Za-z0-9]/", "")}"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = "arn:${local.partition}:s3:::${each.key}"
        Condition = { StringEquals = { "aws:SourceArn" = "arn:${local.partition}:cloudtrail:${local.region}:${local.account}:trail/${name}" } }
      } if trail.bucket == each.key
    ],
    [
      for name, trail in local.trails : {
        Sid       = "TrailWrites${replace(name, "/[^A-Za-z0-9]/", "")}"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource = [
          for owner in distinct(compact(concat([local.account, trail.organization], trail.accounts))) :
          "arn:${local.partition}:s3:::${each.key}/AWSLogs/${owner}/*"
        ]
        Condition = {
          StringEquals = { "aws:SourceArn" = "arn:${local.partition}:cloudtrail:${local.region}:${local.account}:trail/${name}", "s3:x-amz-acl" = "bucket-owner-full-control" }
        }
      } if trail.bucket == each.key
    ],
    [
      for action in ["s3:GetBucketAcl", "s3:ListBucket"] : {
        Sid       = "FlowLogsLook${replace(action, "/[^A-Za-z]/", "")}"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = action
        Resource  = "arn:${local.partition}:s3:::${each.key}"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      } if anytrue([for flow in local.flow_logs : flow.bucket == each.key])
    ],
    [
      for prefix in distinct([for flow in local.flow_logs : flow.prefix if flow.bucket == each.key]) : {
        Sid       = "FlowLogsWrite${replace(prefix, "/[^A-Za-z0-9]/", "")}"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "arn:${local.partition}:s3:::${each.key}/${prefix}/AWSLogs/${local.account}/*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account, "s3:x-amz-acl" = "bucket-owner-full-control" } }
      }
    ],
  )
}

module "s3" {
  source   = "./modules/inputs/s3"
  for_each = local.buckets

  bucket   = each.value.create ? module.source_bucket[each.key].name : each.key
  created  = each.value.create
  prefix   = local.prefix
  readings = [for reading in local.readings : reading if reading.bucket == each.key]
  queues = {
    for name, queue in module.inputs_queue : name => { arn = local.inputs[name].arn, dead = local.inputs[name].dead, may_send = queue.policy }
  }
}

module "sns" {
  source   = "./modules/inputs/sns"
  for_each = local.topics

  topic     = each.value
  queue_arn = module.inputs_queue[each.value.cluster].queue.arn
  key_arn   = module.encryption.arn
}

module "sqs" {
  source   = "./modules/inputs/sqs"
  for_each = { for key, queue in local.queues : key => queue if queue.create }

  queue              = each.value
  account            = local.account
  key_arn            = module.encryption.arn
  visibility_seconds = local.timeouts[each.value.cluster] + local.visibility_margin
}

module "eventbridge" {
  source   = "./modules/inputs/eventbridge"
  for_each = local.rules

  rule = each.value
  queue = {
    arn      = module.inputs_queue[each.value.cluster].queue.arn
    dead     = module.inputs_queue[each.value.cluster].dead.arn
    may_send = module.inputs_queue[each.value.cluster].policy
  }
}

module "cloudwatch_logs" {
  source   = "./modules/inputs/cloudwatch_logs"
  for_each = local.log_groups

  group        = each.value
  function_arn = module.classifier[each.value.cluster].alias.arn
  key_arn      = module.encryption.arn
  permitted    = module.classifier[each.value.cluster].logs_permitted
}

module "flow_logs" {
  source   = "./modules/inputs/flow_logs"
  for_each = local.flow_logs

  flow      = each.value
  partition = local.partition
  wait_for  = [for bucket in module.source_bucket : bucket.policy]
}

module "cloudtrail" {
  source   = "./modules/inputs/cloudtrail"
  for_each = local.trails

  name     = each.key
  trail    = each.value
  key_arn  = module.encryption.arn
  wait_for = [for bucket in module.source_bucket : bucket.policy]
}
