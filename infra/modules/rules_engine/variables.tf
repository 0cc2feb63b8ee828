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
  description = "What is counted by rule: all, findings or none."
}

variable "alert_processor_arn" {
  type = string
}

variable "wait_for" {
  type        = any
  default     = null
  description = "What must be there before the queue is mapped."
}
