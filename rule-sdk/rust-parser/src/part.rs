//! What became of a piece of the payload.

use crate::Object;
use std::borrow::Cow;
use std::ops::Range;

/// A record, or why there is none, and the bytes it is about.
///
/// The host refuses an answer whose parts overlap or leave the payload. Several parts of the very same piece are fine: it
/// then holds several records.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// In the payload. What is in no part means nothing, such as a blank line.
    pub place: Range<usize>,
    pub outcome: Result<Record, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Empty: whichever of the parser's log types fits.
    pub log_type: Cow<'static, str>,
    /// A JSON object.
    pub json: String,
}

impl Part {
    /// A record of one of the parser's log types.
    pub fn record(place: Range<usize>, log_type: impl Into<Cow<'static, str>>, record: Object) -> Self {
        Part { place, outcome: Ok(Record { log_type: log_type.into(), json: record.finish() }) }
    }

    /// A record that is JSON already; of whichever log type fits.
    pub fn raw(place: Range<usize>, json: impl Into<String>) -> Self {
        Part { place, outcome: Ok(Record { log_type: "".into(), json: json.into() }) }
    }

    /// Bytes that should be a record and are none. `reason` is for whoever reads the dead letter.
    pub fn error(place: Range<usize>, reason: impl Into<String>) -> Self {
        Part { place, outcome: Err(reason.into()) }
    }

    /// The record's text, if it is one.
    pub fn json(&self) -> Option<&str> {
        self.outcome.as_ref().ok().map(|record| record.json.as_str())
    }

    /// Why it is no record, if it is none.
    pub fn reason(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(String::as_str)
    }
}
