# One bucket of logs, no archive, nobody who is told.

variables {
  conf    = "tests/conf-minimal"
  package = "tests/bootstrap.zip"
}

run "installs" {
  # There are no tables, so there is no archive, which is said.
  expect_failures = [check.configuration]
  command         = plan

  assert {
    condition     = sort(keys(output.functions)) == tolist(["alert-merger", "alert-processor", "classifier", "classifier-production", "plugin-compiler", "rules-engine"])
    error_message = "These are the functions: ${join(", ", keys(output.functions))}"
  }
  assert {
    condition     = output.source_buckets == tolist(["acme-streamalert-logs"]) && output.rules_bucket == "acme-streamalert-rules"
    error_message = "Buckets are called otherwise"
  }
  assert {
    condition     = output.athena == null && length(output.archive_streams) == 0
    error_message = "Without tables there is an archive"
  }
  assert {
    condition     = length(local.late_apps) + length(local.lookup_tables) == 0 && !local.has_apps && !local.stages_rules && !local.has_queries && !local.has_intel
    error_message = "Something is on whose file is not there"
  }
}

run "is_for_arm64" {
  command         = plan
  expect_failures = [check.configuration]

  assert {
    condition     = var.architecture == "arm64"
    error_message = "Functions are for ${var.architecture} unless something else is said."
  }
}

run "refuses_a_processor_that_lambda_does_not_have" {
  command = plan
  variables { architecture = "mips" }
  expect_failures = [var.architecture, check.configuration]
}

run "refuses_a_key_that_is_none" {
  command = plan
  variables { code_key = "secret" }
  expect_failures = [var.code_key, check.configuration]
}

run "refuses_less_time_than_a_delivery_may_take" {
  command = plan
  variables { functions = { alert_processor = { timeout = 30 } } }
  expect_failures = [var.functions, check.configuration]
}

run "refuses_a_network_that_is_there_and_made" {
  command = plan
  variables {
    network = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"], cidr = "10.0.0.0/20" }
  }
  expect_failures = [var.network, check.configuration]
}

run "refuses_less_than_firehose_gathers" {
  command = plan
  variables { archive = { buffer_mb = 1 } }
  expect_failures = [var.archive]
}
