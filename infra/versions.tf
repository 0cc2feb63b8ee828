terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Queues with messages of 1 MiB, and regions of resources.
      version = ">= 6.20, < 7"
    }
  }
}

provider "aws" {
  region = local.region

  default_tags {
    tags = merge({ Application = "streamalert", Installation = local.prefix }, var.tags)
  }
}

data "aws_caller_identity" "here" {}

data "aws_partition" "here" {}
