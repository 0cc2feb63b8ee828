//! The one place that asks what time it is.

use std::sync::LazyLock;
use std::time::Instant;

/// RFC 3339, UTC, to the millisecond.
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Nanoseconds since the start, by a clock that only goes forward.
pub fn nanoseconds() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Microseconds since 1970.
pub fn micros() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Milliseconds since 1970.
pub fn millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
