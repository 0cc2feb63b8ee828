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
}

alarms = {
  emails       = ["soc@acme.example"]
  dead_letters = 100
}

network = {
  cidr  = "10.20.0.0/20"
  zones = ["eu-west-1a", "eu-west-1b"]
}

alerts_stream    = true
dead_letter_days = 365
protected        = false
tags             = { CostCenter = "soc" }
