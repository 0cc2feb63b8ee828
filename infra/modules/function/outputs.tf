output "name" {
  value       = local.name
  description = "Known before it is made, as the next one."
}

output "invoke_arn" {
  value       = "${local.arn}:${var.installation.alias}"
  description = "Of the alias, for policies."
}

output "alias" {
  value       = aws_lambda_alias.alias
  description = "What sources are mapped to, once it is there."
}

output "role_arn" {
  value       = "arn:${var.installation.partition}:iam::${var.installation.account}:role/streamalert/${local.name}"
  description = "Known before it is made."
}
