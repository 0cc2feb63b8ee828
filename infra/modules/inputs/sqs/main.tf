# A queue that logs are sent to, made where it is not there.

variable "queue" {
  type = object({
    name = string
    arn  = string
  })
}

variable "account" {
  type = string
}

variable "key_arn" {
  type = string
}

variable "visibility_seconds" {
  type = number
}

module "queue" {
  source             = "../../queue"
  name               = var.queue.name
  arn                = var.queue.arn
  account            = var.account
  key_arn            = var.key_arn
  visibility_seconds = var.visibility_seconds
}

output "queue" {
  value = module.queue.queue
}

output "dead" {
  value = module.queue.dead
}
