//! `aws-s3`: the publication as an object of its own, below the hour of the alert: `alerts/dt=2026-01-02-03/….json`.

use super::{Answers, Desk, Letter, REGION, Service, Settings, info, is_made_of, optional, required, sdk};
use crate::limits::S3_KEY_BYTES_MAX;
use aws_sdk_s3::config::{Builder, Region};
use aws_sdk_s3::primitives::ByteStream;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};

/// Where they lie, if the operator says nothing: where StreamAlert had them.
const PREFIX: &str = "alerts/";
/// Bytes of a name that became part of a key.
const PART_BYTES_MAX: usize = 128;

pub(super) struct S3;

impl Service for S3 {
    const BULK: bool = false;

    fn info() -> OutputInfo {
        let asked = [
            required("bucket", "name of the bucket"),
            optional("prefix", "where in the bucket; alerts/ if nothing is said"),
            REGION,
        ];
        let options = OutputOptions { rate: Some(500.0), idempotent: true };
        info("aws-s3", "puts each alert into a bucket as an object", &asked, options)
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        let fits = |name: &str| is_made_of(name, 3..=63, ".-") && !name.chars().any(|c| c.is_ascii_uppercase());
        settings.expect("bucket", faults, fits, "3 to 63 lower-case letters, digits, `.` and `-`");
        let fits = |prefix: &str| is_made_of(prefix, 1..=512, "/_.=-") && !prefix.starts_with('/');
        settings.expect("prefix", faults, fits, "up to 512 letters, digits and `/_.=-`, and does not begin with `/`");
        settings.expect_region(faults);
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        let bucket = settings.required("bucket");
        for letter in letters {
            let key = key(settings.get("prefix").unwrap_or(PREFIX), &letter.alert);
            let body = ByteStream::from(letter.parcel.publication.clone().into_bytes());
            let put = desk.aws.s3.put_object().bucket(bucket).key(&key).body(body).content_type("application/json");
            let sent = match settings.get(REGION.name) {
                Some(region) => {
                    let there = Builder::new().region(Region::new(region.to_owned()));
                    put.customize().config_override(there).send().await
                }
                None => put.send().await,
            };
            match sent {
                Ok(_) => answers.delivered(letter.place, format!("s3://{bucket}/{key}")),
                Err(error) => answers.failed(letter.place, &sdk(error)),
            }
        }
    }
}

/// The same for each attempt.
fn key(prefix: &str, alert: &Alert) -> String {
    // `2026-01-02T03:04:05.678Z`
    let (day, hour) = (alert.created.get(..10).unwrap_or("0000-00-00"), alert.created.get(11..13).unwrap_or("00"));
    let part = |text: &str| -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
        text.chars().map(plain).take(PART_BYTES_MAX).collect()
    };
    let slash = if prefix.ends_with('/') { "" } else { "/" };
    let mut key = format!(
        "{prefix}{slash}dt={day}-{hour}/{}_{}_{}_{}.json",
        part(&alert.source.service),
        part(&alert.source.resource),
        part(&alert.rule_name),
        part(&alert.id)
    );
    // The prefix and all parts at their longest are below it.
    key.truncate(S3_KEY_BYTES_MAX);
    key
}
