# Everything there is, applied to a provider that makes up what AWS would say.

variables {
  conf    = "tests/conf-full"
  package = "tests/bootstrap.zip"

  archive         = { logs = ["cloudtrail", "osquery:differential", "acme"], partitions = "needed" }
  pinned_versions = { "rules-engine" = "7" }
  alerts_stream   = true
  alarms          = { emails = ["soc@acme.example"], quiet = { "cloudtrail:events" = { minutes = 60 } } }
  network         = { cidr = "10.20.0.0/20", zones = ["eu-west-1a", "eu-west-1b"] }
}

run "installs" {
  assert {
    condition     = contains(keys(output.functions), "classifier-production") && contains(keys(output.functions), "classifier-staging-two") && !contains(keys(output.functions), "classifier-laptop")
    error_message = "Clusters with sources of AWS have a classifier each, and no others: ${join(", ", keys(output.functions))}"
  }
  assert {
    condition     = output.functions["rules-engine"] == "arn:aws:lambda:eu-west-1:000000000000:function:acme-soc-streamalert-rules-engine:live"
    error_message = "Functions are known by their alias, and not as ${output.functions["rules-engine"]}"
  }
  # A rollback by the alias, and by nothing else.
  assert {
    condition     = module.rules_engine.alias.function_version == "7"
    error_message = "The alias is not at the version that it is pinned to"
  }
  # Only what is archived has a stream; its name is that which the classifier reckons.
  assert {
    condition = output.archive_streams == tomap({
      acme_a_log_type_whose_name_is_longer_than_a_stream_may_be = "acme_soc_streamalert_acme_a_log_type_whose_name_is_long_80bc38ee"
      alerts                                                    = "acme_soc_streamalert_alerts"
      cloudtrail_events                                         = "acme_soc_streamalert_cloudtrail_events"
      osquery_differential                                      = "acme_soc_streamalert_osquery_differential"
    })
    error_message = "Streams: ${jsonencode(output.archive_streams)}"
  }
  assert {
    condition     = output.source_buckets == tolist(["acme-soc-flow", "acme-soc-trail"])
    error_message = "These buckets are ours: ${join(", ", output.source_buckets)}"
  }
  assert {
    condition     = output.inputs["staging_two"] == "https://sqs.eu-west-1.amazonaws.com/000000000000/acme-soc-streamalert-staging_two-inputs"
    error_message = "The inputs queue of a cluster is not what it is said to be: ${output.inputs["staging_two"]}"
  }
  assert {
    condition     = can(regex("^[0-9a-f]{64}$", terraform_data.code_key.output))
    error_message = "The key that is made is no 64 hex digits"
  } # What the files of conf/ ask for.
  assert {
    condition     = length(setsubtract(["apps", "athena-partitioner", "rule-promotion", "scheduled-queries", "threat-intel-downloader"], keys(output.functions))) == 0
    error_message = "These are the functions: ${join(", ", keys(output.functions))}"
  }
  # A cluster that has nothing but apps has a classifier for them.
  assert {
    condition     = contains(keys(output.functions), "classifier-saas")
    error_message = "Who classifies the logs of apps? There are ${join(", ", keys(output.functions))}"
  }
  assert {
    condition     = output.partitions_queue == "arn:aws:sqs:eu-west-1:000000000000:acme-soc-streamalert-athena-partitioner"
    error_message = "Objects of the archive are told to ${coalesce(output.partitions_queue, "nobody")}"
  }
  # Thrice as long as from one turn to the next, which is a day for a time of day and a week for a day of it; and not of what is switched off.
  assert {
    condition     = local.late_apps == { acme_okta = 360, acme_duo = 259200, acme_slack = 1814400 }
    error_message = "Apps are late after ${jsonencode(local.late_apps)} seconds"
  }
  assert {
    condition     = local.digest == "cron(0 8 ? * MON-FRI *)"
    error_message = "The digest is due ${coalesce(local.digest, "never")}"
  }
  # Ports that functions in the VPC go out by, beside that of TLS.
  assert {
    condition     = toset(local.output_ports) == toset([8088, 8443, 8444])
    error_message = "Ports: ${jsonencode(local.output_ports)}"
  }
}

run "partitions_are_reckoned_unless_somebody_asks" {
  command = plan
  variables { archive = {} }

  assert {
    condition     = output.partitions_queue == null && !contains(keys(output.functions), "athena-partitioner")
    error_message = "The partitioner is there without being asked for"
  }
}

run "refuses_partitions_that_are_neither" {
  command = plan
  variables { archive = { partitions = "glue" } }
  expect_failures = [var.archive]
}

run "refuses_less_time_than_an_app_may_take" {
  command = plan
  variables { functions = { apps = { timeout = 60 } } }
  expect_failures = [var.functions]
}

run "refuses_to_wait_for_days" {
  command = plan
  variables { alarms = { quiet = { okta = { minutes = 10000 } } } }
  expect_failures = [var.alarms]
}
