variable "installation" {
  type        = any
  description = "What all functions share; ../function says what is in it."
}

variable "settings" {
  type = object({
    memory  = number
    timeout = number
  })
}

variable "records_queue_arn" {
  type = string
}

variable "archive" {
  type = object({
    bucket         = string
    results_bucket = string
    workgroup      = string
    database       = string
    logs           = list(string)
    streams        = list(string)
    buffer_seconds = number
  })
  description = "What is asked, and how long it may be on its way there; and log types that are archived, with ARNs of the streams for that: rows are records like others."
}

variable "names" {
  type        = map(string)
  default     = {}
  description = "Variables for what has a name of its own."
}
