package helpers

import (
	"math"

	"streamalert/sdk"
	"streamalert/sdk/internal/clock"
)

// Times. A rule has no clock that it could trust, and a record may come hours late or be looked at again after months: "now" is
// something the record says.

// In seconds.
const hour = 60 * 60

// LastHour says whether time lies within the last hours before now, the ends included. Both are seconds since 1970; now comes
// from the record, such as the time it was logged. A time after now is not in the last hour.
func LastHour(time, now int64, hours uint32) bool {
	return time <= now && uint64(now)-uint64(time) <= uint64(hours)*hour
}

// SecondsBetween is how many seconds after the time at from the time at to lies; negative where it lies before. Not ok: one of
// them is not there or is no time, see EventTime.
func SecondsBetween(record *sdk.Record, from, to string) (seconds int64, ok bool) {
	start, ok := EventTime(record, from)
	end, okToo := EventTime(record, to)
	seconds = end - start
	// Where the difference is none of 64 bits, it has the wrong sign.
	if !ok || !okToo || (end >= start) != (seconds >= 0) {
		return 0, false
	}
	return seconds, true
}

// EventTime is the time at path in seconds since 1970: an RFC 3339 text, or a number of seconds, parts of seconds dropped. Not
// ok: nothing there or something else. Milliseconds are not guessed at: divide record.Int(path) by 1000.
func EventTime(record *sdk.Record, path string) (seconds int64, ok bool) {
	field, ok := record.Field(path)
	if !ok {
		return 0, false
	}
	if text, ok := field.Text(); ok {
		return ParseTime(text)
	}
	if seconds, ok := field.Int(); ok {
		return seconds, true
	}
	number, ok := field.Float()
	// Doubles beyond what a time can be end at the limits of 64 bits.
	switch number = math.Floor(number); {
	case number >= math.MaxInt64:
		return math.MaxInt64, ok
	case number <= math.MinInt64:
		return math.MinInt64, ok
	}
	return int64(number), ok
}

// ParseTime is seconds since 1970 of an RFC 3339 text, "2024-05-01T12:00:00.5+02:00"; a space for the T will do. Parts of
// seconds are dropped; a leap second counts as the second after it. Not ok: no such text, or no such day; a text without Z or
// offset could mean any time zone and is none.
func ParseTime(text string) (seconds int64, ok bool) { return clock.ParseTime(text) }
