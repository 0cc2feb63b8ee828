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

variable "outputs" {
  type        = any
  description = "Settings by service and descriptor, of what outputs.json has for AWS."
}

variable "parameters_arn" {
  type        = string
  description = "Below it lie the secrets of outputs."
}
