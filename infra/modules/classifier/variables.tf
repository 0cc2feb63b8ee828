variable "installation" {
  type        = any
  description = "What all functions share; ../function says what is in it."
}

variable "cluster" {
  type        = string
  default     = null
  description = "Without one, it is that which the command line asks to send dead letters again."
}

variable "memory" {
  type = number
}

variable "timeout" {
  type = number
}

variable "concurrency" {
  type        = number
  default     = 50
  description = "Of the inputs queue."
}

variable "log_level" {
  type    = string
  default = null
}

variable "log_days" {
  type    = number
  default = null
}

variable "readings" {
  type = list(object({
    bucket      = string
    prefix      = string
    kms_key_arn = string
  }))
  description = "Objects of logs that it reads."
}

variable "streams" {
  type = list(object({
    name           = string
    arn            = string
    batch_size     = number
    window_seconds = number
    parallel       = number
    start          = string
    kms_key_arn    = string
  }))
  default = []
}

variable "queues" {
  type = list(object({
    name        = string
    arn         = string
    batch_size  = number
    concurrency = number
    kms_key_arn = string
  }))
  default     = []
  description = "Queues of somebody else's."
}

variable "log_groups" {
  type        = list(string)
  default     = []
  description = "Those that call it with what is written to them."
}

variable "inputs" {
  type = object({
    arn  = string
    dead = string
  })
  default     = null
  description = "ARN of the queue that everything else comes by, and of that for its dead messages."
}

variable "records_queue_arn" {
  type = string
}

variable "archive" {
  type = object({
    logs    = list(string)
    streams = list(string)
  })
  description = "Log types that are archived, and ARNs of the streams for that."
}

variable "iocs_arn" {
  type        = string
  default     = null
  description = "Of the table of indicators of compromise, if records are looked up there."
}

variable "wait_for" {
  type        = any
  default     = null
  description = "Sources that must be there before they are mapped."
}
