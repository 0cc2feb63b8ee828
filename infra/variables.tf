# What is not told by conf/. All of it has a default.

variable "conf" {
  type        = string
  default     = "../conf"
  description = "Folder of the configuration: aws.json, clusters/, outputs.json, generated/tables.json."
}

variable "architecture" {
  type        = string
  default     = "arm64"
  description = "Processor of the functions. arm64 costs a fifth less."

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Write arm64 or x86_64."
  }
}

variable "package" {
  type        = string
  default     = null
  description = "The functions' zip, as `streamalert package` makes it. [../target/package/bootstrap-ARCHITECTURE.zip]"
}

variable "code_key" {
  type        = string
  default     = null
  sensitive   = true
  description = "64 hex digits that compiled components are sealed with. Without it, one is made and kept in the state."

  validation {
    condition     = var.code_key == null || can(regex("^[0-9a-fA-F]{64}$", var.code_key))
    error_message = "The key is 64 hex digits, as `openssl rand -hex 32` makes them."
  }
}

variable "functions" {
  type = object({
    rules_engine = optional(object({
      memory      = optional(number, 1024)
      timeout     = optional(number, 60)
      concurrency = optional(number, 50)
      reserved    = optional(number)
    }), {})
    alert_merger = optional(object({
      memory   = optional(number, 256)
      timeout  = optional(number, 60)
      reserved = optional(number)
    }), {})
    alert_processor = optional(object({
      memory   = optional(number, 512)
      timeout  = optional(number, 120)
      reserved = optional(number)
    }), {})
    plugin_compiler = optional(object({
      memory  = optional(number, 2048)
      timeout = optional(number, 900)
    }), {})
    rule_promotion = optional(object({
      memory  = optional(number, 256)
      timeout = optional(number, 60)
    }), {})
    apps = optional(object({
      memory   = optional(number, 512)
      timeout  = optional(number, 900)
      reserved = optional(number)
    }), {})
    athena_partitioner = optional(object({
      memory  = optional(number, 256)
      timeout = optional(number, 60)
    }), {})
    scheduled_queries = optional(object({
      memory  = optional(number, 512)
      timeout = optional(number, 300)
    }), {})
    threat_intel_downloader = optional(object({
      memory   = optional(number, 1024)
      timeout  = optional(number, 900)
      reserved = optional(number)
    }), {})
    resend = optional(object({
      memory  = optional(number, 512)
      timeout = optional(number, 300)
    }), {})
  })
  default     = {}
  description = <<-TEXT
    MB of memory and seconds of time of each function; classifiers have theirs in conf/clusters/. `concurrency` is how many the queue may
    start at once (2 to 1000). `reserved` keeps so many out of the account's for this function and lets it have no more; an output
    whose service has a hard limit may ask for that.
  TEXT

  validation {
    condition     = var.functions.alert_processor.timeout >= 60
    error_message = "One delivery may take 30 seconds: give the alert processor 60 or more."
  }
  validation {
    condition     = var.functions.apps.timeout >= 300
    error_message = "A poll may take a minute, and what it brought another one: give apps 300 seconds or more."
  }
}

variable "pinned_versions" {
  type        = map(string)
  default     = {}
  description = "Function to the version of it that the alias stays at, such as { \"rules-engine\" = \"12\" }: a rollback that outlives the next apply."
}

variable "log_level" {
  type        = string
  default     = "warn"
  description = "What functions log, as `warn` or `info,streamalert_aws=debug`. Classifiers have theirs in conf/clusters/."
}

variable "rule_metrics" {
  type        = string
  default     = "findings"
  description = <<-TEXT
    What is counted by rule, beside the sums of all rules: `findings`, alerts and faults of rules that have any; `all`, also how often each
    rule is asked and what that takes, three metrics more for every rule; `log_types`, all of that by log type as well; or `none`. Each metric
    costs $0.30 a month while it is written.
  TEXT

  validation {
    condition     = contains(["log_types", "all", "findings", "none"], var.rule_metrics)
    error_message = "Write log_types, all, findings or none."
  }
}

variable "log_rule_statistics" {
  type        = bool
  default     = false
  description = "Each invocation of the rules engine logs what each rule did and took, by log type, the slowest first."
}

variable "lookup_key_arns" {
  type        = list(string)
  default     = []
  description = "Keys of KMS that objects and tables of lookup_tables.json are encrypted by, if they are keys of their own."
}

variable "log_days" {
  type        = number
  default     = 14
  description = "Days the functions' own logs are kept. Classifiers have theirs in conf/clusters/."
}

variable "archive" {
  type = object({
    enabled        = optional(bool, true)
    logs           = optional(list(string), ["*"])
    tables         = optional(string)
    bucket         = optional(string)
    partitions     = optional(string, "projected")
    other_buckets  = optional(list(string), [])
    days           = optional(number)
    infrequent     = optional(number, 90)
    buffer_mb      = optional(number, 128)
    buffer_seconds = optional(number, 300)
    scan_limit_gb  = optional(number, 100)
  })
  default     = {}
  description = <<-TEXT
    Records and alerts as Parquet for Athena. `logs` are the log types that are kept, by source or in full; `*` is all of `tables`, which is
    the file that `streamalert generate` writes [CONF/generated/tables.json]; without that file there is no archive. `days` are those
    after which objects are deleted [never], `infrequent` those after which they are stored for less money, 30 at least. `partitions`:
    Athena reckons those of our tables (`projected`); the function athena_partitioner enters those of tables that are not reckoned
    (`needed`), or all of them, for readers such as Spark, EMR and Trino (`all`). `other_buckets` may tell it of new objects, too.
  TEXT

  validation {
    condition     = contains(["projected", "needed", "all"], var.archive.partitions)
    error_message = "Write projected, needed or all."
  }

  validation {
    condition     = var.archive.buffer_mb >= 64 && var.archive.buffer_mb <= 128 && var.archive.buffer_seconds >= 0 && var.archive.buffer_seconds <= 900
    error_message = "For Parquet, Firehose gathers 64 to 128 MB, for up to 900 seconds."
  }
}

variable "alarms" {
  type = object({
    enabled               = optional(bool, true)
    topic_arn             = optional(string)
    emails                = optional(list(string), [])
    queue_age_seconds     = optional(number, 900)
    iterator_age_seconds  = optional(number, 900)
    oldest_alert_seconds  = optional(number, 900)
    dead_letters          = optional(number, 0)
    faults                = optional(number, 0)
    errors                = optional(number, 0)
    throttles             = optional(number, 10)
    evaluation_minutes    = optional(number, 5)
    silent_merger_minutes = optional(number, 10)
    app_failures          = optional(number, 5)
    quiet = optional(map(object({
      records = optional(number, 1)
      minutes = optional(number, 1440)
    })), {})
  })
  default     = {}
  description = <<-TEXT
    Alarms go to a topic of our own, or to `topic_arn`. Numbers are what may be reached without an alarm. `quiet` are log types that are never
    quiet: fewer than so many records within so many minutes are told, as { "cloudtrail:events" = { records = 1, minutes = 60 } }.
  TEXT

  validation {
    condition     = alltrue([for log, quiet in var.alarms.quiet : quiet.records >= 1 && quiet.minutes >= 1 && quiet.minutes <= 1440 && floor(quiet.minutes) == quiet.minutes])
    error_message = "quiet: at least 1 record, within 1 to 1440 whole minutes."
  }
}

variable "network" {
  type = object({
    subnet_ids         = optional(list(string))
    security_group_ids = optional(list(string))
    cidr               = optional(string)
    zones              = optional(list(string), [])
    internet           = optional(bool, true)
  })
  default     = null
  description = <<-TEXT
    Functions in a VPC. Either subnets and security groups that are there, or `cidr` and `zones` of a VPC that is made; with `internet`
    it has a NAT gateway, which outputs outside of AWS need.
  TEXT

  validation {
    condition = var.network == null || (
      try(length(var.network.subnet_ids) > 0 && length(var.network.security_group_ids) > 0 && var.network.cidr == null, false) ||
      try(var.network.cidr != null && length(var.network.zones) > 0 && var.network.subnet_ids == null, false)
    )
    error_message = "Name subnet_ids and security_group_ids, or cidr and zones."
  }
}

variable "alerts_stream" {
  type        = bool
  default     = false
  description = "A stream of the alerts table wakes the alert merger: merged alerts are faster by up to a minute, and each alert costs a little more."
}

variable "dead_letter_days" {
  type        = number
  default     = null
  description = "Days after which dead letters are deleted. [never]"
}

variable "protected" {
  type        = bool
  default     = true
  description = "Tables and buckets cannot be destroyed with what is in them. Apply with false before a destroy."
}

variable "permissions_boundary" {
  type        = string
  default     = null
  description = "ARN of a policy that bounds all roles, where the account asks for one."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "On everything."
}
