variable "installation" {
  type        = any
  description = "What all functions share; ../function says what is in it."
}

variable "settings" {
  type = object({
    memory   = number
    timeout  = number
    reserved = optional(number)
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

variable "table_stream" {
  type        = bool
  description = "The alerts table's stream wakes it, too."
}

variable "table_stream_arn" {
  type        = string
  description = "Known when the table is there."
}
