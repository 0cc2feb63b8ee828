variable "installation" {
  type        = any
  description = "What all functions share; ../function says what is in it."
}

variable "settings" {
  type = object({
    memory      = number
    timeout     = number
    concurrency = number
    reserved    = optional(number)
  })
}

variable "records_queue_arn" {
  type = string
}

variable "alerts_stream" {
  type = object({
    name = string
    arn  = string
  })
  default     = null
  description = "Of the archive."
}

variable "rule_metrics" {
  type        = string
  description = "What is counted by rule: log_types, all, findings or none."
}

variable "log_rule_statistics" {
  type        = bool
  description = "What each rule took is in the log of each invocation."
}

variable "lookups" {
  type = object({
    objects = list(string)
    buckets = list(string)
    tables  = list(string)
    keys    = list(string)
  })
  description = "ARNs of lookup tables: objects with their buckets, tables of DynamoDB, and keys that they are encrypted by."
}

variable "alert_processor_arn" {
  type = string
}

variable "wait_for" {
  type        = any
  default     = null
  description = "What must be there before the queue is mapped."
}
