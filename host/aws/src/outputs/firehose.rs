//! `aws-firehose`: the publication as a line of JSON. The archive of alerts is one of these.

use super::{Answers, CallError, Desk, Entry, Letter, Service, Settings, in_calls, info, is_made_of, required, sdk};
use crate::limits::FIREHOSE_RECORD_BYTES_MAX;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use streamalert_pipeline::batches::BatchLimits;
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};

/// Kind of what lies in the bucket for as long as the archive: whoever reads that will look for it.
const LASTING: &str = "archive";

pub(super) struct Firehose;

impl Service for Firehose {
    const BULK: bool = true;

    fn info() -> OutputInfo {
        let asked = [required("stream", "name of the delivery stream")];
        info("aws-firehose", "puts alerts into a stream of Data Firehose", &asked, OutputOptions::default())
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        let fits = |name: &str| is_made_of(name, 1..=64, "_.-");
        settings.expect("stream", faults, fits, "1 to 64 letters, digits, `_`, `.` and `-`");
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        let stream = settings.required("stream");
        let mut entries = Vec::with_capacity(letters.len());
        for letter in letters {
            let text = letter.parcel.publication.clone();
            // One byte is the newline's.
            let line = match text.len() < FIREHOSE_RECORD_BYTES_MAX {
                true => Ok(text),
                false => desk.claim(LASTING, &letter.alert, text).await,
            };
            match line {
                Ok(line) => {
                    let line = format!("{line}\n").into_bytes();
                    entries.push(Entry { place: letter.place, bytes: line.len(), item: Blob::new(line) });
                }
                Err(error) => answers.failed(letter.place, &error),
            }
        }
        in_calls(&BatchLimits::ARCHIVE, entries, answers, async |lines: Vec<Blob>| {
            let mut request = desk.aws.firehose.put_record_batch().delivery_stream_name(stream);
            for line in lines {
                let record = Record::builder().data(line).build();
                request = request.records(record.map_err(|error| CallError::new("", None, error.to_string()))?);
            }
            let answer = request.send().await.map_err(sdk)?;
            let each = answer.request_responses.into_iter().map(|entry| match entry.error_code {
                None => Ok(None),
                // The stream is overloaded, or broken for a while: the record itself was looked at before.
                Some(code) => Err(CallError::new(code, None, entry.error_message.unwrap_or_default())),
            });
            Ok(each.collect())
        })
        .await;
    }
}
