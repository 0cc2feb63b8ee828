//! The one place that asks what time it is.

/// RFC 3339, UTC, to the millisecond.
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Milliseconds since 1970.
pub fn millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
