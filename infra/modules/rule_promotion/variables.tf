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

variable "alerts_stream" {
  type = object({
    name = string
    arn  = string
  })
  default     = null
  description = "Of the archive."
}

variable "alert_processor_arn" {
  type = string
}

variable "digest" {
  type        = string
  default     = null
  description = "Schedule by which somebody is told how trials stand, if anybody is."
}
