# What outputs.json names becomes what the function may do: the same reading of settings as in host/aws/src/outputs/.

locals {
  descriptors = flatten([
    for service, descriptors in var.outputs : [
      for name, settings in descriptors : { service = service, name = name, settings = settings }
    ]
  ])

  here = { partition = var.installation.partition, region = var.installation.region, account = var.installation.account }

  firehoses = distinct(concat(
    var.alerts_stream[*].arn,
    [
      for output in local.descriptors :
      "arn:${local.here.partition}:firehose:${local.here.region}:${local.here.account}:deliverystream/${output.settings.stream}"
      if output.service == "aws-firehose"
    ],
  ))

  objects = [
    for output in local.descriptors :
    "arn:${local.here.partition}:s3:::${output.settings.bucket}/${trimsuffix(try(output.settings.prefix, "alerts/"), "/")}/*"
    if output.service == "aws-s3"
  ]

  topics = [for output in local.descriptors : output.settings.topic if output.service == "aws-sns"]

  # By name, or by URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME
  queues = [
    for output in local.descriptors : {
      by_name = !can(regex("^https?://", output.settings.queue))
      arn = (
        can(regex("^https?://", output.settings.queue))
        ? "arn:${local.here.partition}:sqs:${try(regex("^https?://sqs[.]([a-z0-9-]+)[.]", output.settings.queue)[0], local.here.region)}:${regex("/([^/]+)/[^/]+/?$", output.settings.queue)[0]}:${regex("([^/]+)/?$", output.settings.queue)[0]}"
        : "arn:${local.here.partition}:sqs:${local.here.region}:${local.here.account}:${output.settings.queue}"
      )
    }
    if output.service == "aws-sqs"
  ]

  functions = [
    for output in local.descriptors :
    join(":", compact([
      startswith(output.settings.function, "arn:")
      ? output.settings.function
      : "arn:${local.here.partition}:lambda:${local.here.region}:${local.here.account}:function:${output.settings.function}",
      try(output.settings.qualifier, ""),
    ]))
    if output.service == "aws-lambda"
  ]

  # SES knows the address, or its domain.
  mails = [
    for output in local.descriptors : {
      from = output.settings.from_email
      identities = [
        for identity in [output.settings.from_email, split("@", output.settings.from_email)[1]] :
        "arn:${local.here.partition}:ses:${try(output.settings.region, local.here.region)}:${local.here.account}:identity/${identity}"
      ]
    }
    if output.service == "aws-ses"
  ]

  log_streams = [
    for output in local.descriptors : {
      group  = "arn:${local.here.partition}:logs:${try(output.settings.region, local.here.region)}:${local.here.account}:log-group:${output.settings.log_group}"
      stream = try(output.settings.log_stream, "alerts")
    }
    if output.service == "aws-cloudwatch-log"
  ]

  buses = [
    for output in local.descriptors : (
      startswith(try(output.settings.bus, "default"), "arn:")
      ? output.settings.bus
      : "arn:${local.here.partition}:events:${try(output.settings.region, local.here.region)}:${local.here.account}:event-bus/${try(output.settings.bus, "default")}"
    )
    if output.service == "aws-eventbridge"
  ]

  findings = [
    for output in local.descriptors :
    "arn:${local.here.partition}:securityhub:${try(output.settings.region, local.here.region)}:${output.settings.account_id}:product/${output.settings.account_id}/default"
    if output.service == "aws-securityhub"
  ]

  # Who may send what is too large by way of the data bucket.
  passing = anytrue([
    for output in local.descriptors :
    contains(["aws-sns", "aws-sqs", "aws-lambda", "aws-ses", "aws-cloudwatch-log", "aws-eventbridge"], output.service)
  ])

  for_outputs = [
    { sid = "Streams", actions = ["firehose:PutRecordBatch"], resources = local.firehoses },
    { sid = "Objects", actions = ["s3:PutObject"], resources = local.objects },
    { sid = "Topics", actions = ["sns:Publish"], resources = local.topics },
    { sid = "Queues", actions = ["sqs:SendMessage"], resources = local.queues[*].arn },
    { sid = "QueueNames", actions = ["sqs:GetQueueUrl"], resources = [for queue in local.queues : queue.arn if queue.by_name] },
    { sid = "Functions", actions = ["lambda:InvokeFunction"], resources = local.functions },
    {
      sid        = "Mails"
      actions    = ["ses:SendEmail", "ses:SendRawEmail"]
      resources  = distinct(flatten(local.mails[*].identities))
      conditions = { StringEquals = { "ses:FromAddress" = distinct(local.mails[*].from) } }
    },
    { sid = "LogStreams", actions = ["logs:CreateLogStream"], resources = [for log in local.log_streams : "${log.group}:*"] },
    { sid = "LogEvents", actions = ["logs:PutLogEvents"], resources = [for log in local.log_streams : "${log.group}:log-stream:${log.stream}"] },
    { sid = "Events", actions = ["events:PutEvents"], resources = local.buses },
    { sid = "Findings", actions = ["securityhub:BatchImportFindings"], resources = local.findings },
    {
      sid       = "Claims"
      actions   = ["s3:PutObject"]
      resources = concat(local.passing ? ["${local.data_arn}/claims/alerts/*"] : [], length(local.firehoses) > 0 ? ["${local.data_arn}/claims/archive/*"] : [])
    },
  ]
}
