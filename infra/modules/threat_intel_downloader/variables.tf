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

variable "table_arn" {
  type        = string
  description = "Of the table of indicators, which ../tables makes unless it is somebody's own."
}

variable "parameters_arn" {
  type        = string
  description = "Below it lie the secrets of sources."
}
