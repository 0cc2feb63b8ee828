//! Syslog as it is sent: RFC 5424, RFC 3164, and what devices make of the latter.
//!
//! Fields, if they are there: `priority`, `facility`, `severity`, `version`, `sequence` (Cisco), `timestamp`, `host`, `device`
//! (Ubiquiti's address, model and firmware), `application`, `process_id`, `message_id`, `structured_data`, `message`. Texts
//! stand as sent: a timestamp without a year or a zone gets neither here. A line that has only a priority keeps the rest as
//! `message`; it is known by its missing `timestamp`. A line with neither priority nor timestamp is a fault.

use crate::{Fault, Fields, Value, excerpt, without_line_break};
use memchr::{memchr, memchr2, memchr3};
use std::borrow::Cow;
use std::net::Ipv6Addr;

/// RFC 5424 facilities and severities end here: 23 * 8 + 7.
const PRIORITY_MAX: u16 = 191;
/// Bytes of an application name; a colon further on belongs to the message.
const APPLICATION_BYTES_MAX: usize = 128;
/// Bytes of one octet-counted message. Senders stay below 64 KiB; a larger count is more likely text than a count.
const FRAME_BYTES_MAX: usize = 8 << 20;

/// Appends the fields of one message.
pub fn parse<'a>(line: &'a str, out: &mut Fields<'a>) -> Result<(), Fault> {
    let line = without_line_break(line);
    let text = line.strip_prefix('\u{feff}').unwrap_or(line);
    // A count may be left from the stream, and may count the line break that is gone.
    let text = count(text.as_bytes()).map_or(text, |(start, _)| &text[start..]);
    let mut parts = Parts::default();
    let rest = match priority(text) {
        Some((priority, rest)) => {
            parts.priority = Some(priority);
            rest.trim_start_matches(' ')
        }
        None => text,
    };
    // Every second log file begins with an ISO time. Without a priority, only an application makes it syslog.
    let some_log = |parts: &Parts| {
        parts.priority.is_none()
            && parts.application.is_none()
            && parts.timestamp.is_some_and(|stamp| iso(stamp).is_some())
    };
    if !modern(rest, &mut parts) && (!legacy(rest, &mut parts) || some_log(&parts)) {
        if parts.priority.is_none() {
            return Err(Fault::new(format!(
                "not syslog, no priority and no known timestamp in front: {}",
                excerpt(text)
            )));
        }
        bare(rest, &mut parts);
    }
    parts.append(out);
    Ok(())
}

/// The message at the start of a stream that counts octets (`57 <34>1 …`): where it starts and how long it is. None: no
/// count is there, or the message is not all there yet.
pub fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    count(bytes).filter(|(start, length)| start + length <= bytes.len())
}

fn count(bytes: &[u8]) -> Option<(usize, usize)> {
    let digits = bytes.iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || bytes[0] == b'0' || bytes.get(digits..digits + 2) != Some(b" <") {
        return None;
    }
    let length = number(&bytes[..digits])?;
    (length <= FRAME_BYTES_MAX).then_some((digits + 1, length))
}

/// Appends `syslog_timestamp` and `syslog_host`, if syslog carries the format that begins at `start`.
pub(crate) fn append_header<'a>(line: &'a str, start: usize, out: &mut Fields<'a>) {
    if start == 0 {
        return;
    }
    let mut parts = Parts::default();
    let rest = match priority(line) {
        Some((priority, rest)) => {
            parts.priority = Some(priority);
            rest.trim_start_matches(' ')
        }
        None => line,
    };
    if modern(rest, &mut parts) || legacy(rest, &mut parts) {
        for (name, part) in [("syslog_timestamp", parts.timestamp), ("syslog_host", parts.host)] {
            if let Some(part) = part {
                out.push((Cow::Borrowed(name), Value::from(part)));
            }
        }
    }
}

#[derive(Default)]
struct Parts<'a> {
    priority: Option<u16>,
    version: Option<i64>,
    sequence: Option<i64>,
    timestamp: Option<&'a str>,
    host: Option<&'a str>,
    device: Option<&'a str>,
    application: Option<&'a str>,
    process_id: Option<&'a str>,
    message_id: Option<&'a str>,
    structured_data: Option<Fields<'a>>,
    message: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn append(self, out: &mut Fields<'a>) {
        let mut number = |name: &'static str, number: i64| out.push((Cow::Borrowed(name), Value::Integer(number)));
        if let Some(priority) = self.priority {
            number("priority", i64::from(priority));
            number("facility", i64::from(priority / 8));
            number("severity", i64::from(priority % 8));
        }
        if let Some(version) = self.version {
            number("version", version);
        }
        if let Some(sequence) = self.sequence {
            number("sequence", sequence);
        }
        let mut text = |name: &'static str, text: Option<&'a str>| {
            if let Some(text) = text {
                out.push((Cow::Borrowed(name), Value::from(text)));
            }
        };
        text("timestamp", self.timestamp);
        text("host", self.host);
        text("device", self.device);
        text("application", self.application);
        text("process_id", self.process_id);
        text("message_id", self.message_id);
        if let Some(data) = self.structured_data {
            out.push((Cow::Borrowed("structured_data"), Value::Object(data)));
        }
        if let Some(message) = self.message {
            out.push((Cow::Borrowed("message"), Value::from(message)));
        }
    }
}

fn priority(text: &str) -> Option<(u16, &str)> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'<') {
        return None;
    }
    let end = bytes.iter().take(5).position(|byte| *byte == b'>')?;
    let priority = u16::try_from(number(&bytes[1..end])?).ok()?;
    (priority <= PRIORITY_MAX).then_some((priority, &text[end + 1..]))
}

/// Digits and nothing else, few enough to fit.
fn number(digits: &[u8]) -> Option<usize> {
    let all = !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
    all.then(|| digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

// RFC 5424.

/// A version, then a timestamp without blanks or `-`, then the words and the data of RFC 5424. False: something else.
fn modern<'a>(text: &'a str, parts: &mut Parts<'a>) -> bool {
    let Some((version, rest)) = version(text) else { return false };
    let (timestamp, mut rest) = word(rest);
    // Without a priority in front, only the version and the timestamp tell.
    let known = match parts.priority {
        Some(_) => iso(timestamp).is_some() || timestamp == "-",
        None => version == 1 && iso(timestamp) == Some(timestamp.len()),
    };
    if !known {
        return false;
    }
    parts.version = Some(version);
    parts.timestamp = present(timestamp);
    for part in [&mut parts.host, &mut parts.application, &mut parts.process_id, &mut parts.message_id] {
        let (next, after) = word(rest);
        *part = present(next);
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('-').filter(|after| after.is_empty() || after.starts_with(' ')) {
        rest = after;
    } else if let Some((data, end)) = structured_data(rest) {
        parts.structured_data = Some(data);
        rest = &rest[end..];
    }
    let message = rest.strip_prefix(' ').unwrap_or(rest);
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    parts.message = (!message.is_empty()).then_some(message);
    true
}

/// One or two digits and a blank.
fn version(text: &str) -> Option<(i64, &str)> {
    let end = memchr(b' ', text.as_bytes().get(..3.min(text.len()))?)?;
    let version = number(&text.as_bytes()[..end]).filter(|version| *version > 0)?;
    Some((version as i64, &text[end + 1..]))
}

/// The next word, and what is behind the blanks after it. The line may end, and then all further words are missing.
fn word(text: &str) -> (&str, &str) {
    match memchr(b' ', text.as_bytes()) {
        Some(end) => (&text[..end], text[end + 1..].trim_start_matches(' ')),
        None => (text, ""),
    }
}

fn present(word: &str) -> Option<&str> {
    (!word.is_empty() && word != "-").then_some(word)
}

/// `[id name="value" …]`, one or more, and where they end. None: not of that form.
fn structured_data(text: &str) -> Option<(Fields<'_>, usize)> {
    let bytes = text.as_bytes();
    let mut elements = Fields::new();
    let mut at = 0;
    while bytes.get(at) == Some(&b'[') {
        at += 1;
        let end = at + memchr3(b' ', b']', b'"', bytes.get(at..)?)?;
        let id = &text[at..end];
        if id.is_empty() || bytes[end] == b'"' || id.contains('=') {
            return None;
        }
        let mut params = Fields::new();
        at = end;
        loop {
            while bytes.get(at) == Some(&b' ') {
                at += 1;
            }
            if *bytes.get(at)? == b']' {
                at += 1;
                break;
            }
            let end = at + memchr2(b'=', b']', &bytes[at..])?;
            if end == at || bytes.get(end..end + 2) != Some(b"=\"") {
                return None;
            }
            let (value, after) = param_value(text, end + 2)?;
            params.push((Cow::Borrowed(&text[at..end]), Value::Text(value)));
            at = after;
        }
        elements.push((Cow::Borrowed(id), Value::Object(params)));
    }
    (at > 0).then_some((elements, at))
}

/// The text up to the closing quote, and where that ends. An escape in front of anything but a quote, a bracket or itself
/// is text.
fn param_value(text: &str, start: usize) -> Option<(Cow<'_, str>, usize)> {
    let bytes = text.as_bytes();
    let mut plain = Cow::Borrowed("");
    let (mut from, mut at) = (start, start);
    loop {
        let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[found] == b'"' {
            if from == start {
                return Some((Cow::Borrowed(&text[start..found]), found + 1));
            }
            plain.to_mut().push_str(&text[from..found]);
            return Some((plain, found + 1));
        }
        at = found + 1;
        if let Some(b'"' | b'\\' | b']') = bytes.get(at) {
            plain.to_mut().push_str(&text[from..found]);
            from = at;
            at += 1;
        }
    }
}

// Timestamps.

/// How long the timestamp at the start is: ISO 8601, or in the order of `Jan 10 19:35:33`, with what devices add.
fn timestamp(text: &str) -> Option<usize> {
    let end = iso(text).or_else(|| named_month(text))?;
    matches!(text.as_bytes().get(end), None | Some(b' ' | b'\t' | b':')).then_some(end)
}

/// `2023-01-02T03:04:05.123+01:00`, also with a blank in the middle and without a zone.
fn iso(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| bytes.get(from..to).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let date =
        digits(0, 4) && bytes.get(4) == Some(&b'-') && digits(5, 7) && bytes.get(7) == Some(&b'-') && digits(8, 10);
    if !date || !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let end = fraction(bytes, clock(bytes, 11)?);
    Some(match bytes.get(end) {
        Some(b'Z' | b'z') => end + 1,
        _ => offset(bytes, end).unwrap_or(end),
    })
}

/// `19:35` or `19:35:33`, and where it ends.
fn clock(bytes: &[u8], at: usize) -> Option<usize> {
    let digits =
        |at: usize| bytes.get(at..).map_or(0, |rest| rest.iter().take(3).take_while(|b| b.is_ascii_digit()).count());
    let hours = digits(at);
    let minutes = at + hours + 1;
    if !(1..=2).contains(&hours) || bytes.get(minutes - 1) != Some(&b':') || digits(minutes) != 2 {
        return None;
    }
    let end = minutes + 2;
    Some(if bytes.get(end) == Some(&b':') && digits(end + 1) == 2 { end + 3 } else { end })
}

fn fraction(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'.' | b',') => {
            let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > 0 { at + 1 + digits } else { at }
        }
        _ => at,
    }
}

/// `+01:00`, `+0100` or `+01`, and where it ends.
fn offset(bytes: &[u8], at: usize) -> Option<usize> {
    if !matches!(bytes.get(at), Some(b'+' | b'-')) {
        return None;
    }
    let digits = |at: usize| bytes.get(at..at + 2).is_some_and(|two| two.iter().all(u8::is_ascii_digit));
    let colon = usize::from(bytes.get(at + 3) == Some(&b':'));
    match (digits(at + 1), digits(at + 3 + colon)) {
        (true, true) => Some(at + 5 + colon),
        (true, false) => Some(at + 3),
        _ => None,
    }
}

/// `Jan 10 19:35:33`, the day with or without padding. The year may stand in front, before the time, or behind; a weekday
/// may stand in front, and a fraction and a numeric zone behind.
fn named_month(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let year = |at: usize| {
        let digits = bytes.get(at..at + 4)?;
        (number(digits).is_some() && matches!(digits[0], b'1' | b'2')).then(|| blank(bytes, at + 4)).flatten()
    };
    let mut at = year(0).unwrap_or(0);
    let mut month_end = name(text, at)?;
    let weekday = name(text, month_end).is_some();
    if weekday {
        month_end = name(text, month_end)?;
    }
    at = if bytes.get(month_end) == Some(&b' ') { month_end + 1 } else { month_end };
    let day = bytes.get(at..)?.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=2).contains(&day) {
        return None;
    }
    at = blank(bytes, at + day)?;
    at = year(at).unwrap_or(at);
    at = fraction(bytes, clock(bytes, at)?);
    if let Some(zone) = blank(bytes, at).and_then(|at| offset(bytes, at)).or_else(|| offset(bytes, at)) {
        at = zone;
    }
    if weekday
        && let Some(after) = blank(bytes, at)
        && number(bytes.get(after..after + 4).unwrap_or_default()).is_some()
    {
        at = after + 4;
    }
    Some(at)
}

/// Three letters and a blank: where the next word begins. Months are not always English.
fn name(text: &str, at: usize) -> Option<usize> {
    let mut letters = text.get(at..)?.char_indices();
    let three = letters.by_ref().take(3).filter(|(_, letter)| letter.is_alphabetic()).count() == 3;
    let (length, _) = letters.next().filter(|_| three)?;
    blank(text.as_bytes(), at + length)
}

fn blank(bytes: &[u8], at: usize) -> Option<usize> {
    matches!(bytes.get(at), Some(b' ' | b'\t')).then_some(at + 1)
}

// RFC 3164 and its relatives.

/// A timestamp, then host, application and message, each of which may be missing. False: there is no timestamp.
fn legacy<'a>(text: &'a str, parts: &mut Parts<'a>) -> bool {
    // Some senders number the version and then write the old layout.
    let (version, text) = match version(text) {
        Some((version, rest)) if parts.priority.is_some() && timestamp(rest).is_some() => (Some(version), rest),
        _ => (None, text),
    };
    let Some(front) = Front::of(text) else { return false };
    let Some(mut length) = front.timestamp else {
        // A Cisco device without a clock still numbers and names its messages.
        if parts.priority.is_none() || front.sequence.is_none() || !front.rest.starts_with('%') {
            return false;
        }
        parts.sequence = front.sequence;
        message(front.rest, parts);
        return true;
    };
    length += year_behind(&front.rest[length..]);
    length += cisco_zone(&front.rest[length..]).unwrap_or(0);
    let (stamp, rest) = front.rest.split_at(length);
    (parts.version, parts.sequence, parts.timestamp, parts.host) = (version, front.sequence, Some(stamp), front.host);
    match rest.strip_prefix(':') {
        Some(rest) => message(rest.trim_start_matches([' ', '\t']), parts),
        None => named(rest.trim_start_matches([' ', '\t']), parts),
    }
    true
}

/// What Cisco devices put in front of the time: `237: router: *`.
struct Front<'a> {
    sequence: Option<i64>,
    host: Option<&'a str>,
    /// Length of the timestamp at the start of `rest`.
    timestamp: Option<usize>,
    rest: &'a str,
}

impl<'a> Front<'a> {
    fn of(text: &'a str) -> Option<Front<'a>> {
        if let Some(length) = timestamp(text) {
            return Some(Front { sequence: None, host: None, timestamp: Some(length), rest: text });
        }
        let mut front = Front { sequence: None, host: None, timestamp: None, rest: text };
        front.rest = front.rest.strip_prefix(": ").unwrap_or(front.rest);
        for _ in 0..2 {
            let (next, after) = word(front.rest);
            let Some(name) = next.strip_suffix(':') else { break };
            match number(name.as_bytes()) {
                Some(sequence) if front.sequence.is_none() => front.sequence = Some(sequence as i64),
                None if front.host.is_none() && is_host(name) => front.host = Some(name),
                _ => break,
            }
            front.rest = after;
        }
        // The clock is not synchronised, or was not for a while.
        let rest = front.rest.strip_prefix(['*', '.']).unwrap_or(front.rest);
        if let Some(length) = timestamp(rest) {
            front.timestamp = Some(length);
            front.rest = rest;
        }
        (front.timestamp.is_some() || front.sequence.is_some()).then_some(front)
    }
}

/// ` UTC` in ` UTC: %SYS-5-CONFIG_I: …`. Elsewhere such a word is a host or an application.
fn cisco_zone(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let letters = bytes.get(1..)?.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    ((2..=5).contains(&letters) && bytes[letters + 1..].starts_with(b": %")).then_some(letters + 1)
}

/// ` 2023` between the time and a host. With nothing but an application after it, it is the host itself.
fn year_behind(rest: &str) -> usize {
    let Some((year, after)) = rest.strip_prefix(' ').map(word) else { return 0 };
    let is_year = year.len() == 4 && number(year.as_bytes()).is_some_and(|year| (1970..2100).contains(&year));
    let (next, more) = word(after);
    if is_year && !more.is_empty() && is_host(next) { 1 + year.len() } else { 0 }
}

/// Host, application and message, from the first of them that is there.
fn named<'a>(text: &'a str, parts: &mut Parts<'a>) {
    let (first, rest) = word(text);
    if let Some(device) = first.strip_prefix("(\"").and_then(|device| device.strip_suffix("\")")) {
        parts.device = Some(device);
        return message(rest, parts);
    }
    if let Some(device) = device(first) {
        parts.device = Some(device);
        return message(rest, parts);
    }
    if first == "-" {
        return message(rest, parts);
    }
    let (next, _) = word(rest);
    let host = match first.strip_suffix(':') {
        // A colon after a name makes it the application, unless what follows is a Cisco tag.
        Some(name) if next.starts_with('%') && is_host(name) => name,
        _ if is_host(first) && !rest.is_empty() => first,
        _ => return message(text, parts),
    };
    parts.host = Some(host);
    let rest = rest.strip_prefix(": ").unwrap_or(rest);
    let (second, after) = word(rest);
    if let Some(device) = device(second) {
        parts.device = Some(device);
        return message(after, parts);
    }
    if let Some(sequence) = second.strip_suffix(':').and_then(|digits| number(digits.as_bytes()))
        && (after.starts_with('%') || Front::of(after).is_some_and(|front| front.timestamp.is_some()))
    {
        parts.sequence = Some(sequence as i64);
        if after.starts_with('%') {
            return message(after, parts);
        }
        // A relay has put its own time in front: the device's number and time stay in the message.
        parts.message = Some(after);
        return;
    }
    message(rest, parts);
}

/// Application, process id and message; or the message alone.
fn message<'a>(text: &'a str, parts: &mut Parts<'a>) {
    if let Some((application, process_id, start)) = tag(text) {
        (parts.application, parts.process_id) = (Some(application), process_id.filter(|id| !id.is_empty()));
        let rest = &text[start..];
        parts.message = Some(rest.strip_prefix([' ', '\t']).unwrap_or(rest));
    } else if !text.is_empty() {
        parts.message = Some(text);
    }
}

/// There is a priority, but neither a known time nor a known layout.
fn bare<'a>(text: &'a str, parts: &mut Parts<'a>) {
    let (first, rest) = word(text);
    let (second, after) = word(rest);
    if let Some(device) = device(first) {
        parts.device = Some(device);
        message(rest, parts);
    } else if let Some(device) = device(second).filter(|_| is_host(first)) {
        (parts.host, parts.device) = (Some(first), Some(device));
        message(after, parts);
    } else if tag(text).is_some_and(|(_, process_id, _)| process_id.is_some()) {
        message(text, parts);
    } else if !text.is_empty() {
        parts.message = Some(text);
    }
}

/// `app:`, `app[12]:`, `app[12] ` or `An App[12]:` at the start: the name, the process id, and where they end.
fn tag(text: &str) -> Option<(&str, Option<&str>, usize)> {
    let bytes = &text.as_bytes()[..text.len().min(APPLICATION_BYTES_MAX)];
    // Blanks are part of the name only if a process id follows.
    let mut blanks = false;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b':' if at > 0 && !blanks => {
                let end = matches!(text.as_bytes().get(at + 1), None | Some(b' ' | b'\t' | b'\n' | b'\r'));
                return end.then(|| (&text[..at], None, at + 1));
            }
            b'[' if at > 0 && bytes[at - 1] != b' ' => {
                let (process_id, end) = process_id(text, at)?;
                let numeric = process_id.bytes().all(|byte| byte.is_ascii_digit());
                return match text.as_bytes().get(end) {
                    Some(b':') if numeric || !blanks => Some((&text[..at], Some(process_id), end + 1)),
                    None | Some(b' ') if numeric && !blanks => Some((&text[..at], Some(process_id), end)),
                    _ => None,
                };
            }
            b' ' if at > 0 && bytes[0] == b'%' && text[at..].starts_with(" :") => {
                return Some((&text[..at], None, at + 2));
            }
            b' ' if at > 0 => blanks = true,
            b'-' | b'_' | b'.' | b'/' | b'(' | b')' | b'@' | b'+' | b'%' | b'#' | b'\\' | b'$' | b'*' | b'&' | b'~'
            | b'!' => {}
            b',' if !blanks => {}
            _ if byte.is_ascii_alphanumeric() || !byte.is_ascii() => {}
            _ => return None,
        }
    }
    None
}

/// What is between the brackets at `at`, or, if there are several pairs, between the outermost; and where they end.
fn process_id(text: &str, at: usize) -> Option<(&str, usize)> {
    let bytes = &text.as_bytes()[..text.len().min(at + APPLICATION_BYTES_MAX)];
    let mut end = at;
    while bytes.get(end) == Some(&b'[') {
        let close = end + 1 + memchr3(b']', b' ', b'\n', &bytes[end + 1..])?;
        if bytes[close] != b']' || memchr(b'[', &bytes[end + 1..close]).is_some() {
            return None;
        }
        end = close + 1;
    }
    Some((&text[at + 1..end - 1], end))
}

/// `aabbccddeeff,U7-Pro-8.6.11+18870:` or `U7PG2,aabbccddeeff,v4.3.20:`: a hardware address among comma-separated parts.
fn device(word: &str) -> Option<&str> {
    let device = word.strip_suffix(':')?;
    memchr(b',', device.as_bytes())?;
    let address = |part: &str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    device.split(',').any(address).then_some(device)
}

/// Names, addresses, and both with a slash between. Not `key=value`, JSON, or `app[12]`.
fn is_host(word: &str) -> bool {
    let host = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'@' | b'%' | b'(' | b')' | b'+' | b'~')
    };
    !word.is_empty()
        && word.bytes().all(|byte| host(byte) || !byte.is_ascii())
        && word.bytes().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
        && !word.starts_with('%')
        && (!word.ends_with(':') || is_ipv6(word))
}

fn is_ipv6(word: &str) -> bool {
    memchr(b':', word.as_bytes()).is_some() && word.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{describe, never_panics, vectors};

    /// Expected: fields as `name=value`, in their order.
    fn check(line: &str, expected: &[&str]) {
        let mut out = Fields::new();
        assert_eq!(parse(line, &mut out), Ok(()), "{line:?}");
        assert_eq!(describe(&out), expected, "{line:?}");
    }

    const LINES: &[&str] = &[
        "<34>Oct 11 22:14:15 mymachine.example.com su[230]: 'su root' failed on /dev/pts/8",
        "<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [ex@32473 iut=\"3\" src=\"A\\\"p\\]p\\\\\"][b] \u{feff}An event",
        "83 <189>237: R1: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: Configured from console",
        "<14>Aug  7 22:21:57 AP-3AU7ProXG aabbccddeeff,U7-Pro-XG-8.6.11+18870: hostapd[6885]: wifi0ap1: STA x",
        "Mon Jan 10 19:35:33 2023 +0100 fe80::1 Google Chrome Helper[12]: é日本",
        "<30>1 - - - - - -",
        "2023-01-02T03:04:05.123+00:00 host app[a][b]: msg",
    ];

    #[test]
    fn old_layout() {
        check(
            "Jan 10 19:35:33 vagrant-ubuntu-trusty-64 sudo: session opened for root",
            &[
                "timestamp=Jan 10 19:35:33",
                "host=vagrant-ubuntu-trusty-64",
                "application=sudo",
                "message=session opened for root",
            ],
        );
        check(
            "Jan 10 19:35:13 host-32 ssh[13941]: login for mike\n",
            &[
                "timestamp=Jan 10 19:35:13",
                "host=host-32",
                "application=ssh",
                "process_id=13941",
                "message=login for mike",
            ],
        );
        check(
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            &[
                "priority=34",
                "facility=4",
                "severity=2",
                "timestamp=Oct 11 22:14:15",
                "host=mymachine",
                "application=su",
                "message='su root' failed",
            ],
        );
        check("Jan 10 19:35:13 host su: ", &["timestamp=Jan 10 19:35:13", "host=host", "application=su", "message="]);
        check("Jan 10 19:35:13 host su:", &["timestamp=Jan 10 19:35:13", "host=host", "application=su", "message="]);
        check(
            "Jan 10 19:35:13 h su: x\ny\r\n",
            &["timestamp=Jan 10 19:35:13", "host=h", "application=su", "message=x\ny"],
        );
        check(
            "Jan 10 19:35:13 h a:  x: y ",
            &["timestamp=Jan 10 19:35:13", "host=h", "application=a", "message= x: y "],
        );
    }

    #[test]
    fn days_and_times() {
        for (line, timestamp) in [
            ("Jan  1 19:35:13 h a[1]: x", "Jan  1 19:35:13"),
            ("Jan 1 19:35:13 h a[1]: x", "Jan 1 19:35:13"),
            ("Jan 01 9:35:13 h a[1]: x", "Jan 01 9:35:13"),
            ("Jan 10 19:35:13.123456 h a[1]: x", "Jan 10 19:35:13.123456"),
            ("Jan 10 2023 19:35:33 h a[1]: x", "Jan 10 2023 19:35:33"),
            ("2023 Jan 10 19:35:33 h a[1]: x", "2023 Jan 10 19:35:33"),
            ("Jan 10 19:35:33 2023 h a[1]: x", "Jan 10 19:35:33 2023"),
            ("Tue Jan 10 19:35:33 2023 h a[1]: x", "Tue Jan 10 19:35:33 2023"),
            ("Jan 10 19:35:33 +0100 h a[1]: x", "Jan 10 19:35:33 +0100"),
            ("Jan 10 19:35:33+01:00 h a[1]: x", "Jan 10 19:35:33+01:00"),
            ("Jan 10 19:35 h a[1]: x", "Jan 10 19:35"),
            ("Mär 10 19:35:33 h a[1]: x", "Mär 10 19:35:33"),
            ("Dec 31 23:59:60 h a[1]: x", "Dec 31 23:59:60"),
            ("Feb 29 00:00:00 h a[1]: x", "Feb 29 00:00:00"),
            ("2023-01-02T03:04:05.123+00:00 h a[1]: x", "2023-01-02T03:04:05.123+00:00"),
            ("2023-01-02T03:04:05Z h a[1]: x", "2023-01-02T03:04:05Z"),
            ("2023-01-02T03:04:05-0800 h a[1]: x", "2023-01-02T03:04:05-0800"),
            ("2023-01-02 03:04:05,123 h a[1]: x", "2023-01-02 03:04:05,123"),
        ] {
            check(line, &[&format!("timestamp={timestamp}"), "host=h", "application=a", "process_id=1", "message=x"]);
        }
        // StreamAlert's own pattern takes this number for the host.
        check(
            "Jan 10 19:35:33 2023 app: x",
            &["timestamp=Jan 10 19:35:33", "host=2023", "application=app", "message=x"],
        );
        check("Jan 10 19:35:33 UTC app: x", &["timestamp=Jan 10 19:35:33", "host=UTC", "application=app", "message=x"]);
    }

    #[test]
    fn hosts() {
        for host in [
            "host.example.com",
            "10.0.0.1",
            "fe80::1",
            "2001:db8::",
            "my_host",
            "mymachine/10.1.1.16",
            "fe80::1%eth0",
            "münchen",
        ] {
            check(
                &format!("Jan 10 19:35:13 {host} ssh[1]: x"),
                &["timestamp=Jan 10 19:35:13", &format!("host={host}"), "application=ssh", "process_id=1", "message=x"],
            );
        }
        // Written to the local socket, or by a sender that knows no name.
        check(
            "<30>Jun 23 13:17:42 chronyd[1119]: Selected source 192.168.65.1",
            &[
                "priority=30",
                "facility=3",
                "severity=6",
                "timestamp=Jun 23 13:17:42",
                "application=chronyd",
                "process_id=1119",
                "message=Selected source 192.168.65.1",
            ],
        );
        check("Jun 23 13:17:42 sudo: hi there", &["timestamp=Jun 23 13:17:42", "application=sudo", "message=hi there"]);
        check("Jun 23 13:17:42 - sudo: hi", &["timestamp=Jun 23 13:17:42", "application=sudo", "message=hi"]);
        check(
            "Jun 23 13:17:42 h last message repeated 2 times",
            &["timestamp=Jun 23 13:17:42", "host=h", "message=last message repeated 2 times"],
        );
        check("Jun 23 13:17:42 {\"a\": 1}", &["timestamp=Jun 23 13:17:42", "message={\"a\": 1}"]);
        check("Jun 23 13:17:42", &["timestamp=Jun 23 13:17:42"]);
    }

    #[test]
    fn applications() {
        for (tag, application, process_id) in [
            ("systemd-logind[1]:", "systemd-logind", Some("1")),
            ("postfix/smtpd[4711]:", "postfix/smtpd", Some("4711")),
            ("/usr/sbin/cron[7]:", "/usr/sbin/cron", Some("7")),
            ("rsyslogd-2007:", "rsyslogd-2007", None),
            ("su(pam_unix)[1234]:", "su(pam_unix)", Some("1234")),
            ("Google Chrome Helper[99]:", "Google Chrome Helper", Some("99")),
            ("com.apple.xpc.launchd[1]", "com.apple.xpc.launchd", Some("1")),
            ("app[a1]:", "app", Some("a1")),
            ("app[a1][b2]:", "app", Some("a1][b2")),
            ("app[]:", "app", None),
            ("%ASA-6-302013:", "%ASA-6-302013", None),
        ] {
            let mut expected =
                vec!["timestamp=Jan 10 19:35:13".into(), "host=h".into(), format!("application={application}")];
            expected.extend(process_id.map(|id| format!("process_id={id}")));
            expected.push("message=x y: z".into());
            check(&format!("Jan 10 19:35:13 h {tag} x y: z"), &expected.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for message in [
            "CEF:0|Zscaler|NSSWeblog|5.0|x|y|3| act=Allowed",
            "http://example.com/: gone",
            "an error in worker [12]: boom",
            "key=value: x",
            "[error] app: x",
            "(root) CMD (run-parts)",
        ] {
            check(
                &format!("Jan 10 19:35:13 h {message}"),
                &["timestamp=Jan 10 19:35:13", "host=h", &format!("message={message}")],
            );
        }
    }

    #[test]
    fn rfc5424() {
        check(
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed",
            &[
                "priority=34",
                "facility=4",
                "severity=2",
                "version=1",
                "timestamp=2003-10-11T22:14:15.003Z",
                "host=mymachine.example.com",
                "application=su",
                "message_id=ID47",
                "message='su root' failed",
            ],
        );
        check(
            r#"<165>1 2003-10-11T22:14:15.003Z host app 12 - [ex@32473 iut="3" src="A\"p\]p\\ \n"][pri@1 a="x"] m [x]"#,
            &[
                "priority=165",
                "facility=20",
                "severity=5",
                "version=1",
                "timestamp=2003-10-11T22:14:15.003Z",
                "host=host",
                "application=app",
                "process_id=12",
                r#"structured_data={ex@32473={iut=3, src=A"p]p\ \n}, pri@1={a=x}}"#,
                "message=m [x]",
            ],
        );
        let head = ["priority=34", "facility=4", "severity=2", "version=1"];
        let headed = |line: &str, rest: &[&str]| check(line, &[&head, rest].concat());
        headed("<34>1 - - - - - -", &[]);
        headed("<34> 1 - - - - - - {\"a\": 1}", &["message={\"a\": 1}"]);
        headed("<34>1 - foo bar - - - message", &["host=foo", "application=bar", "message=message"]);
        headed("<34>1 - foo bar - - [a]", &["host=foo", "application=bar", "structured_data={a={}}"]);
        headed("<34>1 - foo bar - - [error: no data", &["host=foo", "application=bar", "message=[error: no data"]);
        headed(
            "<34>1 - foo bar 1 - no data  x",
            &["host=foo", "application=bar", "process_id=1", "message=no data  x"],
        );
        headed("<34>1 - foo", &["host=foo"]);
        headed(
            "<34>1 2022-03-10 08:04:08.449 aruba-cp All Audits 30 1 0 Timestamp=Mar",
            &["timestamp=2022-03-10 08:04:08.449", "host=aruba-cp", "message=All Audits 30 1 0 Timestamp=Mar"],
        );
        headed(
            "<34>1 Jan 10 19:35:33 h app: x",
            &["timestamp=Jan 10 19:35:33", "host=h", "application=app", "message=x"],
        );
        check(
            "1 2003-10-11T22:14:15Z h app - - - x",
            &["version=1", "timestamp=2003-10-11T22:14:15Z", "host=h", "application=app", "message=x"],
        );
    }

    #[test]
    fn devices() {
        let priority = |priority: u16| {
            [format!("priority={priority}"), format!("facility={}", priority / 8), format!("severity={}", priority % 8)]
        };
        let check = |number: u16, line: &str, expected: &[&str]| {
            let priority = priority(number);
            let all: Vec<&str> = priority.iter().map(String::as_str).chain(expected.iter().copied()).collect();
            check(&format!("<{number}>{line}"), &all);
        };
        // ESXi.
        check(
            166,
            "2019-02-13T19:48:34.635Z esx1.example.com Hostd: info hostd[2099903] [Originator@6876 sub=Vimsvc] done",
            &[
                "timestamp=2019-02-13T19:48:34.635Z",
                "host=esx1.example.com",
                "application=Hostd",
                "message=info hostd[2099903] [Originator@6876 sub=Vimsvc] done",
            ],
        );
        // Cisco.
        check(
            166,
            "Jan 10 2023 19:35:33: %ASA-6-302013: Built inbound TCP connection",
            &["timestamp=Jan 10 2023 19:35:33", "application=%ASA-6-302013", "message=Built inbound TCP connection"],
        );
        check(
            166,
            "Jan 10 2023 19:35:33 fw01 : %ASA-6-302013: Built",
            &["timestamp=Jan 10 2023 19:35:33", "host=fw01", "application=%ASA-6-302013", "message=Built"],
        );
        check(
            166,
            "Jan 10 19:35:33 fw01: %FTD-6-302013 : Built",
            &["timestamp=Jan 10 19:35:33", "host=fw01", "application=%FTD-6-302013", "message=Built"],
        );
        check(
            189,
            "237: R1: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: Configured",
            &[
                "sequence=237",
                "timestamp=Mar  1 18:46:11.123 UTC",
                "host=R1",
                "application=%SYS-5-CONFIG_I",
                "message=Configured",
            ],
        );
        check(
            189,
            "000019: .Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured",
            &["sequence=19", "timestamp=Mar  1 18:46:11", "application=%SYS-5-CONFIG_I", "message=Configured"],
        );
        check(
            189,
            "237: %SYS-5-CONFIG_I: Configured",
            &["sequence=237", "application=%SYS-5-CONFIG_I", "message=Configured"],
        );
        check(
            189,
            ": 2013 Feb 11 12:18:52 EST: %VSHD-5-VSHD_SYSLOG_CONFIG_I: Configured from vty",
            &[
                "timestamp=2013 Feb 11 12:18:52 EST",
                "application=%VSHD-5-VSHD_SYSLOG_CONFIG_I",
                "message=Configured from vty",
            ],
        );
        check(
            190,
            "Nov  5 14:01:20 10.1.186.49 87117903: 87117909: Nov  5 14:01:19.115: %FMANFP-6-IPACCESSLOGP: F0: denied",
            &[
                "sequence=87117903",
                "timestamp=Nov  5 14:01:20",
                "host=10.1.186.49",
                "message=87117909: Nov  5 14:01:19.115: %FMANFP-6-IPACCESSLOGP: F0: denied",
            ],
        );
        // Ubiquiti.
        check(
            14,
            "Aug  7 22:21:57 AP-1 aabbccddeeff,U7-Pro-XG-8.6.11+18870: hostapd[6885]: wifi0ap1: STA x",
            &[
                "timestamp=Aug  7 22:21:57",
                "host=AP-1",
                "device=aabbccddeeff,U7-Pro-XG-8.6.11+18870",
                "application=hostapd",
                "process_id=6885",
                "message=wifi0ap1: STA x",
            ],
        );
        check(
            14,
            "MiniSwitch 7483c04f9d75,USW_FLEX_MINI-1.8.6.694: NETDEV: Setup PVID... done",
            &[
                "host=MiniSwitch",
                "device=7483c04f9d75,USW_FLEX_MINI-1.8.6.694",
                "application=NETDEV",
                "message=Setup PVID... done",
            ],
        );
        check(
            30,
            "Nov  8 10:00:00 U7PG2,f09fc2ab1234,v4.3.20: hostapd: ath0: STA x",
            &[
                "timestamp=Nov  8 10:00:00",
                "device=U7PG2,f09fc2ab1234,v4.3.20",
                "application=hostapd",
                "message=ath0: STA x",
            ],
        );
        check(
            30,
            "Nov  8 10:00:00 (\"U7PG2,f09fc2ab1234,v4.0.66\") hostapd: ath0: STA x",
            &[
                "timestamp=Nov  8 10:00:00",
                "device=U7PG2,f09fc2ab1234,v4.0.66",
                "application=hostapd",
                "message=ath0: STA x",
            ],
        );
        // Zscaler.
        check(
            134,
            "2022-01-27 10:32:35      reason=Allowed event_id=7",
            &["timestamp=2022-01-27 10:32:35", "message=reason=Allowed event_id=7"],
        );
        check(
            134,
            "Jan 27 10:32:35 zscaler-nss: LEEF:1.0|Zscaler|NSS|4.1|Allowed|cat=Allowed",
            &[
                "timestamp=Jan 27 10:32:35",
                "application=zscaler-nss",
                "message=LEEF:1.0|Zscaler|NSS|4.1|Allowed|cat=Allowed",
            ],
        );
    }

    #[test]
    fn only_a_priority() {
        let head = ["priority=34", "facility=4", "severity=2"];
        for (line, rest) in [
            ("<34>message", &["message=message"][..]),
            ("<34>", &[]),
            ("<34>two words: three", &["message=two words: three"]),
            ("<34>{\"time\": 1}", &["message={\"time\": 1}"]),
            ("<34>sshd[12]: hi", &["application=sshd", "process_id=12", "message=hi"]),
            ("<34>12: x", &["message=12: x"]),
        ] {
            check(line, &[&head, rest].concat());
        }
    }

    #[test]
    fn what_is_not_syslog() {
        for line in [
            "",
            "foobar",
            "<192>message",
            "<>x",
            "<1234>x",
            "<a>x",
            "{\"a\": 1}",
            "Jan 10",
            "2023-01-02T03:04:05Z",
            "2023-01-02 03:04:05 INFO started",
            "2023-01-02 03:04:05,123 - module - started",
            "237: x",
            "1 2 3",
        ] {
            let fault = parse(line, &mut Fields::new());
            assert!(matches!(&fault, Err(Fault(text)) if text.starts_with("not syslog")), "{line:?}: {fault:?}");
        }
    }

    #[test]
    fn counted_octets() {
        for (bytes, expected) in [
            ("11 <34>1 - - -", Some((3, 11))),
            ("11 <34>message", Some((3, 11))),
            ("11 <34>messag", None),
            ("3 <1>more", Some((2, 3))),
            ("03 <1>", None),
            ("3 x<1>", None),
            ("<34>message", None),
            ("99999999 <1>", None),
            ("999999999999999999999 <1>", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(frame(bytes.as_bytes()), expected, "{bytes:?}");
        }
        check("11 <34>message", &["priority=34", "facility=4", "severity=2", "message=message"]);
    }

    #[test]
    fn what_streamalert_parsed_is_parsed_the_same() {
        for vector in vectors("syslog/") {
            let mut out = Fields::new();
            let parsed = parse(&vector.data, &mut out);
            let expected = ["timestamp", "host", "application", "message"].map(|name| vector.valid(name));
            if expected.iter().all(Option::is_some) {
                assert_eq!(parsed, Ok(()), "{}", vector.id);
                out.retain(|(name, _)| name != "process_id");
                let expected: Vec<_> = expected.into_iter().flatten().collect();
                assert_eq!(
                    describe(&out).iter().map(|f| f.split_once('=').unwrap().1).collect::<Vec<_>>(),
                    expected,
                    "{}",
                    vector.id
                );
            } else {
                // What it could not take, this one can.
                assert_eq!(parsed, Ok(()), "{}", vector.id);
            }
        }
    }

    #[test]
    fn plain_texts_are_borrowed() {
        for line in LINES {
            let mut out = Fields::new();
            parse(line, &mut out).unwrap();
            for (name, value) in &out {
                assert!(
                    matches!(name, Cow::Borrowed(_)) && !matches!(value, Value::Text(Cow::Owned(_))),
                    "{name} in {line}"
                );
            }
        }
    }

    #[test]
    fn broken_lines_do_no_harm() {
        never_panics(LINES, |line| drop(parse(line, &mut Fields::new())));
    }
}
