// Package clock reads times; there is no clock.
package clock

import "strings"

// In seconds.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// ParseTime is seconds since 1970 of an RFC 3339 text; see helpers.ParseTime.
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

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// ParseHTTPDate is seconds since 1970 of a date as HTTP writes it, "Sun, 06 Nov 1994 08:49:37 GMT".
func ParseHTTPDate(text string) (seconds int64, ok bool) {
	text = strings.TrimSpace(text)
	if len(text) != 29 || text[3:5] != ", " || text[7] != ' ' || text[11] != ' ' || text[16] != ' ' || text[25:] != " GMT" {
		return 0, false
	}
	at := strings.Index(months, text[8:11])
	if at < 0 || at%3 != 0 {
		return 0, false
	}
	month := string([]byte{'0' + byte((at/3+1)/10), '0' + byte((at/3+1)%10)})
	return ParseTime(text[12:16] + "-" + month + "-" + text[5:7] + "T" + text[17:25] + "Z")
}
