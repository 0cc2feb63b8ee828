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

variable "table" {
  type        = string
  description = "How far each app has come; ../tables makes it."
}

variable "named" {
  type        = bool
  description = "The table has a name of its own, which the function has to be told."
}

variable "classifier_arns" {
  type        = list(string)
  description = "Of the clusters that have apps, by their aliases."
}

variable "parameters_arn" {
  type        = string
  description = "Below it lie the secrets of apps."
}
