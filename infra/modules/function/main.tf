# One function: its code, its role, its log, and the alias by which everything else knows it.

locals {
  name      = "${var.installation.prefix}-streamalert-${var.name}"
  arn       = "arn:${var.installation.partition}:lambda:${var.installation.region}:${var.installation.account}:function:${local.name}"
  log_group = "/aws/lambda/${local.name}"
  rules_arn = "arn:${var.installation.partition}:s3:::${var.installation.rules_bucket}"
  ec2       = "arn:${var.installation.partition}:ec2:${var.installation.region}:${var.installation.account}"
  in_vpc    = length(var.installation.subnet_ids) > 0

  # Of every function.
  own = [
    {
      sid        = "Log"
      actions    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      resources  = ["arn:${var.installation.partition}:logs:${var.installation.region}:${var.installation.account}:log-group:${local.log_group}:*"]
      conditions = {}
    },
    {
      sid        = "Key"
      actions    = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources  = [var.installation.key_arn]
      conditions = {}
    },
  ]

  # Of those that run components, or are told by the configuration what to do.
  live = [
    {
      sid        = "Rules"
      actions    = ["s3:GetObject"]
      resources  = ["${local.rules_arn}/live/*"]
      conditions = {}
    },
    # Without it, S3 says of an object that is not there that access to it is denied.
    {
      sid        = "RulesBucket"
      actions    = ["s3:ListBucket"]
      resources  = [local.rules_arn]
      conditions = {}
    },
  ]

  # AWS makes the interfaces of the function, with its role.
  vpc = [
    {
      sid     = "Interfaces"
      actions = ["ec2:CreateNetworkInterface"]
      resources = concat(
        ["${local.ec2}:network-interface/*"],
        [for subnet in var.installation.subnet_ids : "${local.ec2}:subnet/${subnet}"],
        [for group in var.installation.security_group_ids : "${local.ec2}:security-group/${group}"],
      )
      conditions = {}
    },
    {
      sid        = "OwnInterfaces"
      actions    = ["ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"]
      resources  = ["${local.ec2}:network-interface/*"]
      conditions = {}
    },
    # EC2 knows no resources for describing.
    {
      sid        = "SeeInterfaces"
      actions    = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
      resources  = ["*"]
      conditions = {}
    },
  ]

  of_live = {
    for name, value in {
      STREAMALERT_ALIAS         = var.installation.alias
      STREAMALERT_RULES_BUCKET  = var.installation.rules_bucket
      STREAMALERT_DATA_BUCKET   = var.installation.data_bucket
      STREAMALERT_CODE_KEY      = var.installation.code_key
      STREAMALERT_RECORDS_QUEUE = var.installation.records_queue_url
      STREAMALERT_ALERTS_TABLE  = var.installation.alerts_table
      STREAMALERT_RULES_TABLE   = var.installation.rules_table
    } : name => value if var.reads_rules
  }

  dead_letters = [
    {
      sid        = "UnhandledEvents"
      actions    = ["sqs:SendMessage"]
      resources  = [coalesce(var.dead_letters_arn, "none")]
      conditions = {}
    },
  ]

  statements = concat(
    local.own,
    [for statement in local.live : statement if var.reads_rules],
    [for statement in local.vpc : statement if local.in_vpc],
    [for statement in local.dead_letters : statement if var.dead_letters_arn != null],
    var.statements,
  )
}

resource "aws_cloudwatch_log_group" "log" {
  name              = local.log_group
  retention_in_days = coalesce(var.log_days, var.installation.log_days)
  kms_key_id        = var.installation.key_arn
}

resource "aws_iam_role" "role" {
  name                 = local.name
  path                 = "/streamalert/"
  description          = var.description
  permissions_boundary = var.installation.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "policy" {
  name = "function"
  role = aws_iam_role.role.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in local.statements : merge(
        { Sid = statement.sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources },
        { for key, conditions in { Condition = statement.conditions } : key => conditions if length(conditions) > 0 },
      )
    ]
  })
}

resource "aws_lambda_function" "function" {
  function_name = local.name
  description   = var.description
  role          = aws_iam_role.role.arn

  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.installation.architecture]
  filename         = var.installation.package
  source_code_hash = filebase64sha256(var.installation.package)
  # Each change of code or settings is a version; the alias says which one is used.
  publish = true

  memory_size                    = var.memory
  timeout                        = var.timeout
  reserved_concurrent_executions = var.reserved
  kms_key_arn                    = var.installation.key_arn

  environment {
    variables = merge(
      {
        STREAMALERT_FUNCTION = var.stage
        STREAMALERT_PREFIX   = var.installation.prefix
        STREAMALERT_LOG      = coalesce(var.log_level, var.installation.log_level)
      },
      local.of_live,
      var.environment,
    )
  }

  dynamic "dead_letter_config" {
    for_each = var.dead_letters_arn[*]
    content {
      target_arn = dead_letter_config.value
    }
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [0] : []
    content {
      subnet_ids         = var.installation.subnet_ids
      security_group_ids = var.installation.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.name) <= 64
      error_message = "${local.name} has more than the 64 characters that a function's name may have: choose a shorter prefix or cluster name."
    }
    precondition {
      condition     = can(regex("^[A-Za-z0-9_-]+$", local.name))
      error_message = "`${local.name}` is no name of a function: letters, digits, `-` and `_`. Name the prefix or the cluster's file otherwise."
    }
  }

  # Else it may start before it may do anything, or make a log without an end.
  depends_on = [aws_iam_role_policy.policy, aws_cloudwatch_log_group.log]
}

resource "aws_lambda_alias" "alias" {
  name             = var.installation.alias
  description      = "What everything invokes. An older version here is a rollback."
  function_name    = aws_lambda_function.function.function_name
  function_version = lookup(var.installation.pinned_versions, var.name, aws_lambda_function.function.version)
}

resource "aws_lambda_function_event_invoke_config" "asynchronous" {
  count = var.asynchronous == null ? 0 : 1

  function_name                = aws_lambda_function.function.function_name
  qualifier                    = aws_lambda_alias.alias.name
  maximum_retry_attempts       = var.asynchronous.attempts
  maximum_event_age_in_seconds = var.asynchronous.age_seconds
}
