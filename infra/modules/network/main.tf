# A VPC for the functions: AWS by endpoints, outputs by a NAT gateway.

variable "prefix" {
  type = string
}

variable "region" {
  type = string
}

variable "cidr" {
  type        = string
  description = "Of the VPC, such as 10.20.0.0/20."
}

variable "zones" {
  type        = list(string)
  description = "Availability zones; each gets a subnet."
}

variable "internet" {
  type        = bool
  description = "Outputs outside of AWS need it."
}

variable "ports" {
  type        = list(number)
  description = "Of outputs, beside that of TLS."
}

variable "log_days" {
  type = number
}

variable "key_arn" {
  type = string
}

variable "permissions_boundary" {
  type = string
}

variable "partition" {
  type = string
}

variable "account" {
  type = string
}

locals {
  name = "${var.prefix}-streamalert"
  # What functions call, but for S3 and DynamoDB, which have gateways of their own that cost nothing.
  interfaces = ["sqs", "lambda", "ssm", "kinesis-firehose"]
  log_group  = "/aws/vpc/${local.name}"
}

resource "aws_vpc" "vpc" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = local.name }
}

# Nothing uses it, so nothing may pass.
resource "aws_default_security_group" "none" {
  vpc_id = aws_vpc.vpc.id
}

resource "aws_subnet" "functions" {
  for_each = { for place, zone in var.zones : zone => place }

  vpc_id            = aws_vpc.vpc.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 4, each.value)
  tags              = { Name = "${local.name}-functions-${each.key}" }
}

resource "aws_route_table" "functions" {
  vpc_id = aws_vpc.vpc.id
  tags   = { Name = "${local.name}-functions" }
}

resource "aws_route_table_association" "functions" {
  for_each = aws_subnet.functions

  subnet_id      = each.value.id
  route_table_id = aws_route_table.functions.id
}

resource "aws_security_group" "functions" {
  name        = "${local.name}-functions"
  description = "Functions of ${local.name}"
  vpc_id      = aws_vpc.vpc.id
}

# To AWS and to outputs. Names are asked of the VPC's own server, for which no rule is needed.
resource "aws_vpc_security_group_egress_rule" "functions" {
  for_each = toset([for port in distinct(concat([443], var.ports)) : tostring(port)])

  security_group_id = aws_security_group.functions.id
  description       = each.value == "443" ? "TLS" : "Outputs"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_security_group" "endpoints" {
  name        = "${local.name}-endpoints"
  description = "Endpoints for functions of ${local.name}"
  vpc_id      = aws_vpc.vpc.id
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "From functions"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.functions.id
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(["s3", "dynamodb"])

  vpc_id            = aws_vpc.vpc.id
  service_name      = "com.amazonaws.${var.region}.${each.value}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.functions.id]
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(local.interfaces)

  vpc_id              = aws_vpc.vpc.id
  service_name        = "com.amazonaws.${var.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.functions : subnet.id]
  security_group_ids  = [aws_security_group.endpoints.id]
}

resource "aws_internet_gateway" "internet" {
  count = var.internet ? 1 : 0

  vpc_id = aws_vpc.vpc.id
}

resource "aws_subnet" "internet" {
  count = var.internet ? 1 : 0

  vpc_id            = aws_vpc.vpc.id
  availability_zone = var.zones[0]
  cidr_block        = cidrsubnet(var.cidr, 4, 15)
  tags              = { Name = "${local.name}-internet" }
}

resource "aws_route_table" "internet" {
  count = var.internet ? 1 : 0

  vpc_id = aws_vpc.vpc.id
  tags   = { Name = "${local.name}-internet" }
}

resource "aws_route_table_association" "internet" {
  count = var.internet ? 1 : 0

  subnet_id      = aws_subnet.internet[0].id
  route_table_id = aws_route_table.internet[0].id
}

resource "aws_route" "internet" {
  count = var.internet ? 1 : 0

  route_table_id         = aws_route_table.internet[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.internet[0].id
}

resource "aws_eip" "nat" {
  count = var.internet ? 1 : 0

  domain = "vpc"
}

resource "aws_nat_gateway" "nat" {
  count = var.internet ? 1 : 0

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.internet[0].id
  tags          = { Name = local.name }

  depends_on = [aws_internet_gateway.internet]
}

resource "aws_route" "nat" {
  count = var.internet ? 1 : 0

  route_table_id         = aws_route_table.functions.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.nat[0].id
}

# Who in it talked to whom: of a function that delivers alerts, that is worth knowing.
resource "aws_cloudwatch_log_group" "flow" {
  name              = local.log_group
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

resource "aws_iam_role" "flow" {
  name                 = "${local.name}-vpc-flow-logs"
  path                 = "/streamalert/"
  description          = "Flow logs of the VPC of ${local.name}"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
  })
}

resource "aws_iam_role_policy" "flow" {
  name = "log"
  role = aws_iam_role.flow.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = "arn:${var.partition}:logs:${var.region}:${var.account}:log-group:${local.log_group}:*"
    }]
  })
}

resource "aws_flow_log" "vpc" {
  vpc_id               = aws_vpc.vpc.id
  traffic_type         = "ALL"
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.flow.arn
  iam_role_arn         = aws_iam_role.flow.arn
}

output "subnet_ids" {
  value = [for subnet in aws_subnet.functions : subnet.id]
}

output "security_group_ids" {
  value = [aws_security_group.functions.id]
}
