variable "prefix" {
  type = string
}

variable "partition" {
  type = string
}

variable "region" {
  type = string
}

variable "account" {
  type = string
}

variable "key_arn" {
  type = string
}

variable "bucket" {
  type        = string
  description = "Where it lies; by its name, known before it is there."
}

variable "results_bucket" {
  type = string
}

variable "workgroup" {
  type = string
}

variable "database" {
  type = string
}

variable "tables" {
  type = map(object({
    log_type = string
    columns = list(object({
      name = string
      type = string
      key  = optional(string)
    }))
  }))
  description = "Of log types, as `streamalert generate` derives them."
}

variable "alerts" {
  type = list(object({
    name = string
    type = string
    key  = optional(string)
  }))
  description = "Columns of the alerts' table."
}

variable "buffer" {
  type = object({
    mb      = number
    seconds = number
  })
}

variable "scan_limit_gb" {
  type        = number
  description = "A query that reads more is stopped."
}

variable "log_days" {
  type = number
}

variable "permissions_boundary" {
  type = string
}

variable "wait_for" {
  type        = any
  default     = null
  description = "The buckets."
}
