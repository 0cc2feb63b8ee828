variable "installation" {
  type = object({
    prefix               = string
    partition            = string
    region               = string
    account              = string
    alias                = string
    architecture         = string
    package              = string
    rules_bucket         = string
    data_bucket          = string
    records_queue_url    = string
    alerts_table         = string
    rules_table          = string
    code_key             = string
    key_arn              = string
    log_level            = string
    log_days             = number
    permissions_boundary = string
    pinned_versions      = map(string)
    subnet_ids           = list(string)
    security_group_ids   = list(string)
  })
  description = "What all functions share."
}

variable "stage" {
  type        = string
  description = "What STREAMALERT_FUNCTION says, such as rules_engine."
}

variable "name" {
  type        = string
  description = "Behind PREFIX-streamalert-, such as rules-engine."
}

variable "description" {
  type = string
}

variable "memory" {
  type        = number
  description = "MB."
}

variable "timeout" {
  type        = number
  description = "Seconds."
}

variable "reserved" {
  type        = number
  default     = null
  description = "Concurrency that is kept for it, and its most."
}

variable "log_level" {
  type    = string
  default = null
}

variable "log_days" {
  type    = number
  default = null
}

variable "environment" {
  type        = map(string)
  default     = {}
  description = "Variables that not all functions have."
}

variable "statements" {
  type = list(object({
    sid        = string
    actions    = list(string)
    resources  = list(string)
    conditions = optional(map(map(list(string))), {})
  }))
  description = "What it may do, beside what all functions may."
}

variable "reads_rules" {
  type        = bool
  default     = true
  description = "It runs components, or is told by the configuration what to do."
}

variable "asynchronous" {
  type = object({
    attempts    = number
    age_seconds = number
  })
  default     = null
  description = "Attempts after the first one, and the age of an event at most, where it is invoked without waiting."
}

variable "dead_letters_arn" {
  type        = string
  default     = null
  description = "Queue of events that nobody got through, where it is invoked without waiting."
}
