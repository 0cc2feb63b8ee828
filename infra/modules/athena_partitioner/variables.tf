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

variable "queue_arn" {
  type        = string
  description = "Where the archive's bucket tells of new objects."
}

variable "database" {
  type        = string
  description = "Of the catalog, that the archive's tables are in."
}

variable "database_named" {
  type        = string
  default     = null
  description = "The database, if it has a name of its own, which the function has to be told."
}

variable "all" {
  type        = bool
  description = "Also partitions of tables for which Athena reckons them."
}

variable "wait_for" {
  type        = any
  default     = null
  description = "What must be there before the queue is mapped."
}
