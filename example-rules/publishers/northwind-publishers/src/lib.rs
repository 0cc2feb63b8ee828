//! How Northwind wants its alerts shaped.

mod cloudtrail_link;
mod masked;

use cloudtrail_link::cloudtrail_link;
use masked::masked;
use streamalert_output_sdk::prelude::*;

export_publishers! {
    /// A link to the event in the AWS console, for alerts on CloudTrail events.
    "northwind_cloudtrail_link" => cloudtrail_link,
    /// Mail addresses and secrets are masked: for outputs that leave the house.
    "northwind_masked" => masked,
}
