variable "prefix" {
  type = string
}

variable "account" {
  type = string
}

variable "key_arn" {
  type = string
}

variable "settings" {
  type = object({
    topic_arn             = optional(string)
    emails                = list(string)
    queue_age_seconds     = number
    iterator_age_seconds  = number
    oldest_alert_seconds  = number
    dead_letters          = number
    faults                = number
    errors                = number
    throttles             = number
    evaluation_minutes    = number
    silent_merger_minutes = number
    app_failures          = number
    quiet = map(object({
      records = number
      minutes = number
    }))
  })
  description = "Numbers are what may be reached without an alarm."
}

variable "functions" {
  type        = map(string)
  description = "Names of functions, by what they are called within the installation."
}

variable "apps" {
  type        = map(number)
  description = "Seconds after which each app is late."
}

variable "stream_readers" {
  type        = map(string)
  description = "Functions that read streams."
}

variable "queues" {
  type        = map(string)
  description = "Names of queues that somebody of ours empties."
}

variable "dead_queues" {
  type        = map(string)
  description = "Names of queues for what nobody got through."
}

variable "streams" {
  type        = map(string)
  description = "Names of streams of Kinesis that are ours."
}

variable "delivery_streams" {
  type        = map(string)
  description = "Names of streams of Firehose, by table."
}
