# Everything there is, applied to a provider that makes up what AWS would say.

variables {
  conf    = "tests/conf-full"
  package = "tests/bootstrap.zip"

  archive         = { logs = ["cloudtrail", "osquery:differential", "acme"] }
  pinned_versions = { "rules-engine" = "7" }
  alerts_stream   = true
  alarms          = { emails = ["soc@acme.example"] }
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
  }
}
