# Everything there is.
conf         = "tests/conf-full"
package      = "tests/bootstrap.zip"
architecture = "x86_64"
code_key     = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
log_level    = "info"
log_days     = 90

functions = {
  rules_engine    = { memory = 2048, timeout = 90, concurrency = 200 }
  alert_processor = { reserved = 1 }
}

pinned_versions = { "rules-engine" = "7" }

archive = {
  logs           = ["cloudtrail", "osquery:differential", "acme"]
  days           = 400
  buffer_seconds = 60
  scan_limit_gb  = 10
  partitions     = "all"
  other_buckets  = ["acme-older-archive"]
}

alarms = {
  emails       = ["soc@acme.example"]
  dead_letters = 100
  quiet        = { "cloudtrail:events" = { records = 10, minutes = 60 }, "okta" = {} }
}

network = {
  cidr  = "10.20.0.0/20"
  zones = ["eu-west-1a", "eu-west-1b"]
}

lookup_key_arns     = ["arn:aws:kms:eu-west-1:000000000000:key/77777777-2222-3333-4444-555555555555"]
log_rule_statistics = true

alerts_stream    = true
dead_letter_days = 365
protected        = false
tags             = { CostCenter = "soc" }
