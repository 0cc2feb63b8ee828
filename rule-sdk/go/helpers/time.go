package helpers

import (
	"math"
	"strings"

	"streamalert/sdk"
)

// Times. A rule has no clock that it could trust, and a record may come hours late or be looked at again after months: "now" is
// something the record says.

// In seconds.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

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
func ParseTime(text string) (seconds int64, ok bool) {
	ok = true
	number := func(from, length int) (value int64) {
		if from+length > len(text) {
			ok = false
			return 0
		}
		for _, c := range []byte(text[from : from+length]) {
			if c < '0' || c > '9' {
				ok = false
			}
			value = value*10 + int64(c) - '0'
		}
		return value
	}
	mark := func(at int, marks string) {
		ok = ok && at < len(text) && strings.IndexByte(marks, text[at]) >= 0
	}
	year, month, date := number(0, 4), number(5, 2), number(8, 2)
	hours, minutes, second := number(11, 2), number(14, 2), number(17, 2)
	mark(4, "-")
	mark(7, "-")
	mark(10, "Tt ")
	mark(13, ":")
	mark(16, ":")
	if !ok || month < 1 || month > 12 || date < 1 || date > daysIn(year, month) || hours > 23 || minutes > 59 || second > 60 {
		return 0, false
	}
	at := 19
	if at < len(text) && text[at] == '.' {
		for at++; at < len(text) && text[at] >= '0' && text[at] <= '9'; at++ {
		}
		ok = at > 20
	}
	mark(at, "Zz+-")
	if !ok {
		return 0, false
	}
	offset, end := int64(0), at+1
	if sign := text[at]; sign == '+' || sign == '-' {
		hours, minutes := number(at+1, 2), number(at+4, 2)
		mark(at+3, ":")
		ok = ok && hours <= 23 && minutes <= 59
		offset, end = hours*hour+minutes*minute, at+6
		if sign == '-' {
			offset = -offset
		}
	}
	if !ok || end != len(text) {
		return 0, false
	}
	return daysSince1970(year, month, date)*day + hours*hour + minutes*minute + second - offset, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func daysSince1970(year, month, date int64) int64 {
	// Years counted from March, so that the leap day comes last; 719,468 days lie between 0000-03-01 and 1970-01-01.
	if month <= 2 {
		year--
	}
	month = (month + 9) % 12
	// Divisions that round down, also in the year before the first.
	down := func(by int64) int64 { return (year+400)/by - 400/by }
	return year*365 + down(4) - down(100) + down(400) + (month*153+2)/5 + date - 1 - 719_468
}
