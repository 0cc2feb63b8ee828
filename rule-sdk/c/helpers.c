// StreamAlert's helpers, see streamalert.h.
#include "streamalert.h"

#include <math.h>
#include <stdlib.h>

static sa_str from(sa_str text, size_t at) { return (sa_str){text.at + at, text.bytes - at}; }

static bool begins(sa_str text, sa_str needle) {
    return text.bytes >= needle.bytes && memcmp(text.at, needle.at, needle.bytes) == 0;
}

static bool ends(sa_str text, sa_str needle) {
    return text.bytes >= needle.bytes && memcmp(text.at + text.bytes - needle.bytes, needle.at, needle.bytes) == 0;
}

static bool holds(sa_str text, sa_str needle) {
    for (size_t at = 0; at + needle.bytes <= text.bytes; at++) {
        if (memcmp(text.at + at, needle.at, needle.bytes) == 0) return true;
    }
    return false;
}

static bool any(sa_str text, sa_texts list, bool (*test)(sa_str, sa_str)) {
    for (; *list != NULL; list++) {
        if (test(text, sa_s(*list))) return true;
    }
    return false;
}

bool sa_starts_with_any(sa_str text, sa_texts needles) { return any(text, needles, begins); }
bool sa_ends_with_any(sa_str text, sa_texts needles) { return any(text, needles, ends); }
bool sa_contains_any(sa_str text, sa_texts needles) { return any(text, needles, holds); }

// Bytes of the character at the beginning; a byte that is none counts as one.
static size_t char_bytes(sa_str text) {
    size_t bytes = 1;
    while (bytes < text.bytes && bytes < 4 && ((unsigned char)text.at[0] & 0xC0) == 0xC0 && ((unsigned char)text.at[bytes] & 0xC0) == 0x80) bytes++;
    return bytes;
}

static sa_str character(sa_str text) { return (sa_str){text.at, char_bytes(text)}; }

// The order of characters in UTF-8 is that of their bytes.
static int order(sa_str a, sa_str b) {
    size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
    int by_bytes = memcmp(a.at, b.at, bytes);
    return by_bytes != 0 ? by_bytes : (int)a.bytes - (int)b.bytes;
}

static bool in_set(sa_str c, sa_str set) {
    while (set.bytes > 0) {
        sa_str low = character(set);
        set = from(set, low.bytes);
        if (set.bytes > 1 && set.at[0] == '-') {
            sa_str high = character(from(set, 1));
            if (order(low, c) <= 0 && order(c, high) <= 0) return true;
            set = from(set, 1 + high.bytes);
        } else if (sa_same(low, c)) {
            return true;
        }
    }
    return false;
}

// Whether the first element of the pattern stands for c; then what is left of the pattern.
static bool one(sa_str c, sa_str *pattern) {
    if (pattern->bytes == 0) return false;
    sa_str first = character(*pattern), rest = from(*pattern, first.bytes);
    if (*first.at == '?') {
        *pattern = rest;
        return true;
    }
    if (*first.at == '[') {
        sa_str set = rest;
        bool negated = set.bytes > 0 && set.at[0] == '!';
        if (negated) set = from(set, 1);
        // A bracket closed at once would be an empty set: there the `]` belongs to the set.
        size_t end = set.bytes > 0 && set.at[0] == ']' ? 1 : 0;
        while (end < set.bytes && set.at[end] != ']') end++;
        if (end < set.bytes) {
            if (in_set(c, (sa_str){set.at, end}) == negated) return false;
            *pattern = from(set, end + 1);
            return true;
        }
    }
    if (!sa_same(c, first)) return false;
    *pattern = rest;
    return true;
}

// One step back at most for each star: the work is bounded by text times pattern.
static bool matches(sa_str text, sa_str pattern) {
    // Where the last star left off: the pattern behind it, and the text it has not swallowed.
    bool star = false;
    sa_str behind = {0}, kept = {0};
    for (;;) {
        if (pattern.bytes > 0 && pattern.at[0] == '*') {
            pattern = from(pattern, 1);
            if (pattern.bytes == 0) return true;
            star = true;
            behind = pattern;
            kept = text;
            continue;
        }
        if (text.bytes == 0) return pattern.bytes == 0;
        sa_str c = character(text);
        if (one(c, &pattern)) {
            text = from(text, c.bytes);
            continue;
        }
        if (!star || kept.bytes == 0) return false;
        kept = from(kept, char_bytes(kept));
        text = kept;
        pattern = behind;
    }
}

bool sa_matches_any(sa_str text, sa_texts patterns) { return any(text, patterns, matches); }

// The next part of a path that says something.
static bool part(sa_str *path, sa_str *found) {
    while (path->bytes > 0) {
        size_t bytes = 0;
        while (bytes < path->bytes && path->at[bytes] != '/') bytes++;
        *found = (sa_str){path->at, bytes};
        *path = from(*path, bytes < path->bytes ? bytes + 1 : bytes);
        if (bytes > 0 && !(bytes == 1 && found->at[0] == '.')) return true;
    }
    return false;
}

static size_t parts(sa_str path) {
    size_t count = 0;
    for (sa_str found; part(&path, &found);) count++;
    return count;
}

static bool path_matches(sa_str path, sa_str pattern) {
    size_t have = parts(path), want = parts(pattern);
    bool whole = pattern.bytes > 0 && pattern.at[0] == '/', rooted = path.bytes > 0 && path.at[0] == '/';
    if (whole ? !rooted || have != want : want == 0 || have < want) return false;
    sa_str found, expected;
    for (; have > want; have--) part(&path, &found);
    while (part(&pattern, &expected)) {
        if (!part(&path, &found) || !matches(found, expected)) return false;
    }
    return true;
}

bool sa_path_matches_any(sa_str path, sa_texts patterns) { return any(path, patterns, path_matches); }

// -- Networks: an IPv4 address is kept as ::ffff:10.0.0.1, and dressed so it is that IPv4 address -------------------------------

enum { BITS = 128, MAPPED = 96 };

typedef struct {
    uint8_t bytes[16];
} address;

static bool is4(const address *a) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(a->bytes, mapped, sizeof mapped) == 0;
}

// A number without leading zeros, up to most.
static bool decimal(sa_str text, unsigned most, unsigned *value) {
    *value = 0;
    if (text.bytes == 0 || text.bytes > 3 || (text.bytes > 1 && text.at[0] == '0')) return false;
    for (size_t at = 0; at < text.bytes; at++) {
        if (text.at[at] < '0' || text.at[at] > '9') return false;
        *value = *value * 10 + (unsigned)(text.at[at] - '0');
    }
    return *value <= most;
}

static size_t until(sa_str text, char c) {
    size_t at = 0;
    while (at < text.bytes && text.at[at] != c) at++;
    return at;
}

static bool parse4(sa_str text, uint8_t *out) {
    for (int index = 0; index < 4; index++) {
        size_t at = until(text, '.');
        unsigned value;
        if ((at < text.bytes) != (index < 3) || !decimal((sa_str){text.at, at}, 255, &value)) return false;
        out[index] = (uint8_t)value;
        if (at < text.bytes) text = from(text, at + 1);
    }
    return true;
}

static bool parse6(sa_str text, uint8_t *out) {
    // Bytes that are written, and where the gap between two colons is.
    int written = 0, gap = -1;
    if (text.bytes >= 2 && text.at[0] == ':' && text.at[1] == ':') {
        gap = 0;
        text = from(text, 2);
    }
    while (text.bytes > 0) {
        if (written == 16) return false;
        size_t at = until(text, ':');
        sa_str group = {text.at, at};
        bool last = at == text.bytes;
        if (last && until(group, '.') < group.bytes) {
            if (written > 12 || !parse4(group, out + written)) return false;
            written += 4;
            break;
        }
        if (group.bytes == 0 || group.bytes > 4) return false;
        unsigned value = 0;
        for (size_t digit = 0; digit < group.bytes; digit++) {
            char c = group.at[digit], lower = (char)(c | 0x20);
            if (c >= '0' && c <= '9') value = value << 4 | (unsigned)(c - '0');
            else if (lower >= 'a' && lower <= 'f') value = value << 4 | (unsigned)(lower - 'a' + 10);
            else return false;
        }
        out[written++] = (uint8_t)(value >> 8);
        out[written++] = (uint8_t)value;
        if (last) break;
        text = from(text, at + 1);
        if (text.bytes == 0) return false;
        if (text.at[0] == ':') {
            if (gap >= 0) return false;
            gap = written;
            text = from(text, 1);
        }
    }
    if (gap < 0) return written == 16;
    if (written == 16) return false;
    memmove(out + 16 - (written - gap), out + gap, (size_t)(written - gap));
    memset(out + gap, 0, (size_t)(16 - written));
    return true;
}

static bool parse_ip(sa_str text, address *a) {
    *a = (address){.bytes = {[10] = 0xff, [11] = 0xff}};
    return until(text, ':') < text.bytes ? parse6(text, a->bytes) : parse4(text, a->bytes + 12);
}

static bool parse_network(sa_str text, address *a, unsigned *bits) {
    size_t at = until(text, '/');
    sa_str ip = {text.at, at};
    if (!parse_ip(ip, a)) return false;
    *bits = BITS;
    if (at == text.bytes) return true;
    if (!decimal(from(text, at + 1), BITS, bits)) return false;
    if (until(ip, ':') == ip.bytes) *bits += MAPPED;
    return *bits <= BITS;
}

static bool lies_in(const address *a, const address *network, unsigned bits) {
    // ::/0 has no IPv4 addresses.
    if (bits < MAPPED && is4(a)) return false;
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(a->bytes, network->bytes, whole) == 0 &&
           (rest == 0 || (a->bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0);
}

bool sa_in_network(sa_str ip, sa_texts networks) {
    address a, network;
    unsigned bits;
    if (!parse_ip(ip, &a)) return false;
    for (; *networks != NULL; networks++) {
        if (!parse_network(sa_s(*networks), &network, &bits)) {
            sa_warn("in_network: \"%s\" is no network", *networks);
        } else if (lies_in(&a, &network, bits)) {
            return true;
        }
    }
    return false;
}

bool sa_valid_ip(sa_str ip) {
    address a;
    return parse_ip(ip, &a);
}

bool sa_is_private_ip(sa_str ip) {
    return sa_in_network(ip, SA_TEXTS("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"));
}

bool sa_is_public_ip(sa_str ip) {
    address a;
    if (!parse_ip(ip, &a)) return false;
    if (is4(&a)) {
        // Besides those: shared, loopback, link-local, for protocols, documentation, benchmarks, multicast and reserved.
        return !sa_is_private_ip(ip) && !sa_in_network(ip, SA_TEXTS("0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                                                                    "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24",
                                                                    "203.0.113.0/24", "224.0.0.0/3"));
    }
    // What is given out for the internet so far, less protocols and documentation.
    return sa_in_network(ip, SA_TEXTS("2000::/3")) && !sa_in_network(ip, SA_TEXTS("2001::/23", "2001:db8::/32", "3fff::/20"));
}

// -- Looking at any depth -------------------------------------------------------------------------------------------------------

typedef struct {
    sa_field *at;
    size_t count, room;
} fields;

static void push(fields *list, sa_field field) {
    if (list->count == list->room) {
        list->room = list->room * 2 + 8;
        sa_field *larger = sa_alloc(list->room * sizeof *larger);
        if (list->count > 0) memcpy(larger, list->at, list->count * sizeof *larger);
        list->at = larger;
    }
    list->at[list->count++] = field;
}

size_t sa_get_keys(sa_field data, const char *key, size_t most, const sa_field **found) {
    fields waiting = {0}, under = {0};
    push(&waiting, data);
    for (size_t next = 0; next < waiting.count && under.count < most; next++) {
        sa_field field = waiting.at[next], value;
        sa_str name;
        size_t length;
        if (sa_field_key(field, sa_s(key), &value)) push(&under, value);
        for (size_t at = 0; sa_field_entry(field, at, &name, &value); at++) {
            // What the pipeline adds to a record about its values; they would be found twice.
            bool ours = sa_same(name, sa_s("streamalert_normalization"));
            if (!ours && sa_field_len(value, &length) && length > 0) push(&waiting, value);
        }
        for (size_t at = 0; sa_field_item(field, at, &value); at++) {
            if (sa_field_len(value, &length) && length > 0) push(&waiting, value);
        }
    }
    *found = under.at;
    return under.count;
}

bool sa_get_first_key(sa_field data, const char *key, sa_field *found) {
    const sa_field *list;
    if (sa_get_keys(data, key, 1, &list) == 0) return false;
    *found = list[0];
    return true;
}

// Whether some text, at any depth, passes; `empty` says whether an empty one is asked about.
static bool anywhere(sa_field field, sa_texts texts, bool (*test)(sa_str, sa_str), bool empty) {
    sa_str text, key;
    sa_field value;
    if (sa_field_text(field, &text) && (empty || text.bytes > 0) && any(text, texts, test)) return true;
    for (size_t at = 0; sa_field_item(field, at, &value); at++) {
        if (anywhere(value, texts, test, empty)) return true;
    }
    for (size_t at = 0; sa_field_entry(field, at, &key, &value); at++) {
        if (anywhere(value, texts, test, empty)) return true;
    }
    return false;
}

bool sa_has_value(sa_field data, const char *text) { return anywhere(data, SA_TEXTS(text), sa_same, true); }
bool sa_has_value_with_substring(sa_field data, const char *needle) { return anywhere(data, SA_TEXTS(needle), holds, true); }
bool sa_has_value_from_list(sa_field data, sa_texts patterns) { return anywhere(data, patterns, matches, false); }
bool sa_has_value_from_substring_list(sa_field data, sa_texts needles) { return anywhere(data, needles, holds, false); }

// -- Times ----------------------------------------------------------------------------------------------------------------------

// In seconds.
enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

bool sa_last_hour(int64_t time, int64_t now, uint32_t hours) {
    return time <= now && (uint64_t)now - (uint64_t)time <= (uint64_t)hours * HOUR;
}

static bool number(sa_str text, size_t at, size_t digits, int64_t *value) {
    *value = 0;
    if (at + digits > text.bytes) return false;
    for (; digits > 0; digits--, at++) {
        if (text.at[at] < '0' || text.at[at] > '9') return false;
        *value = *value * 10 + (text.at[at] - '0');
    }
    return true;
}

static bool mark(sa_str text, size_t at, const char *marks) {
    return at < text.bytes && text.at[at] != 0 && strchr(marks, text.at[at]) != NULL;
}

static int64_t days_in(int64_t year, int64_t month) {
    if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool sa_parse_time(sa_str text, int64_t *seconds) {
    int64_t year, month, date, hours, minutes, second;
    bool good = number(text, 0, 4, &year) && number(text, 5, 2, &month) && number(text, 8, 2, &date) && number(text, 11, 2, &hours) &&
                number(text, 14, 2, &minutes) && number(text, 17, 2, &second) && mark(text, 4, "-") && mark(text, 7, "-") &&
                mark(text, 10, "Tt ") && mark(text, 13, ":") && mark(text, 16, ":");
    if (!good || month < 1 || month > 12 || date < 1 || date > days_in(year, month) || hours > 23 || minutes > 59 || second > 60) {
        return false;
    }
    size_t at = 19;
    if (mark(text, at, ".")) {
        for (at++; mark(text, at, "0123456789"); at++) {}
        if (at == 20) return false;
    }
    int64_t offset = 0;
    size_t end = at + 1;
    if (mark(text, at, "+-")) {
        int64_t offset_hours, offset_minutes;
        if (!number(text, at + 1, 2, &offset_hours) || !mark(text, at + 3, ":") || !number(text, at + 4, 2, &offset_minutes) ||
            offset_hours > 23 || offset_minutes > 59) {
            return false;
        }
        offset = (offset_hours * HOUR + offset_minutes * MINUTE) * (text.at[at] == '-' ? -1 : 1);
        end = at + 6;
    } else if (!mark(text, at, "Zz")) {
        return false;
    }
    if (end != text.bytes) return false;
    // Years counted from March, so that the leap day comes last, and from 400 years earlier, so that none is negative; 719,468 days
    // lie between 0000-03-01 and 1970-01-01, 146,097 in 400 years.
    year += month <= 2 ? 399 : 400;
    month = (month + 9) % 12;
    int64_t days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + date - 1 - 719468 - 146097;
    *seconds = days * DAY + hours * HOUR + minutes * MINUTE + second - offset;
    return true;
}

bool sa_event_time(const sa_record *record, const char *path, int64_t *seconds) {
    sa_str text;
    double value;
    if (sa_text(record, path, &text)) return sa_parse_time(text, seconds);
    if (sa_int(record, path, seconds)) return true;
    if (!sa_float(record, path, &value)) return false;
    // Doubles beyond what a time can be end at the limits of 64 bits.
    value = floor(value);
    *seconds = value >= 9223372036854775808.0 ? INT64_MAX : value < -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
    return true;
}

bool sa_seconds_between(const sa_record *record, const char *from_path, const char *to_path, int64_t *seconds) {
    int64_t start, end;
    return sa_event_time(record, to_path, &end) && sa_event_time(record, from_path, &start) &&
           !__builtin_sub_overflow(end, start, seconds);
}
