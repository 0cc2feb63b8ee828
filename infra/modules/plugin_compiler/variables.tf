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

variable "uploads_queue_arn" {
  type = string
}

variable "stages_rules" {
  type        = bool
  description = "Rules that are new or changed may begin on trial."
}

variable "wait_for" {
  type        = any
  default     = null
  description = "What must be there before the queue is mapped."
}
