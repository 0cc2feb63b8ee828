//! Parsers of text: by the first byte, `a` to `e` csv, `f` to `h` kv, then syslog, cef, leef, logfmt, space, w3c, three
//! grok patterns, Windows events.

use super::choose;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use streamalert_formats::{Fault, Fields, Value, cef, csv, grok, kv, leef, logfmt, space, syslog, w3c, windows_event};

struct Dialects {
    csv: [csv::Dialect; 5],
    kv: [kv::Dialect; 3],
    grok: [grok::Pattern; 3],
}

static DIALECTS: LazyLock<Dialects> = LazyLock::new(|| {
    let csv = |delimiter, quote, escape| csv::Dialect::new(delimiter, quote, escape).expect("a dialect");
    let kv = |delimiter: &str, separator: &str, quote, escape| kv::Dialect {
        delimiter: delimiter.to_owned(),
        separator: separator.to_owned(),
        quote,
        escape,
    };
    let grok = |pattern| grok::Pattern::compile(pattern, &BTreeMap::new()).expect("a pattern");
    Dialects {
        csv: [
            csv(',', Some('"'), None),
            csv(';', Some('\''), Some('\\')),
            csv('\t', None, None),
            csv(' ', Some('"'), Some('"')),
            csv('|', None, Some('^')),
        ],
        kv: [kv(" ", "=", Some('"'), None), kv(", ", ": ", Some('\''), Some('\\')), kv("é", "=>", None, None)],
        grok: [
            grok("%{COMMONAPACHELOG}"),
            grok("%{TIMESTAMP_ISO8601:at} %{LOGLEVEL:level} (?:%{IPORHOST:host}|-) %{NUMBER:n:int} %{GREEDYDATA:rest}"),
            grok("(?<a>x*)(?<b>y|%{QUOTEDSTRING:q})?$"),
        ],
    }
});

/// Nothing panics, and what is said about places in the text is true of them.
pub fn formats(data: &[u8]) {
    let Some((choice, bytes)) = choose(data, 18) else { return };
    let text = &*String::from_utf8_lossy(bytes);
    let dialects = &*DIALECTS;
    match choice {
        0..5 => rows(text, bytes, &dialects.csv[choice]),
        5..8 => fields(text, |text, out| kv::parse(text, &dialects.kv[choice - 5], out)),
        8 => {
            fields(text, syslog::parse);
            if let Some((start, length)) = syslog::frame(bytes) {
                assert!(start > 0 && length > 0 && start + length <= bytes.len(), "a frame of {start}+{length}");
            }
        }
        9 => fields(text, cef::parse),
        10 => fields(text, leef::parse),
        11 => fields(text, logfmt::parse),
        12 => {
            let mut cells = Vec::new();
            space::split(text, &mut cells);
            assert!(cells.iter().flatten().map(|cell| cell.len()).sum::<usize>() <= text.len());
        }
        13 => {
            let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
            w3c::is_directive(rest);
            if let Ok(header) = w3c::Header::parse(first) {
                assert!(!header.names.is_empty());
                for line in rest.lines() {
                    let mut out = Fields::new();
                    if w3c::parse(&header, line, &mut out).is_ok() {
                        assert_eq!(out.len(), header.names.len());
                        weight(&out);
                    }
                }
            }
        }
        14..17 => fields(text, |text, out| dialects.grok[choice - 14].parse(text, out)),
        _ => events(text, bytes),
    }
}

/// Reads `text` with a parser, whatever it comes to, and looks at all that it found.
fn fields(text: &str, parse: impl for<'a> Fn(&'a str, &mut Fields<'a>) -> Result<(), Fault>) {
    let mut out = Fields::new();
    match parse(text, &mut out) {
        Ok(()) => drop(weight(&out)),
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}

/// Bytes of all names and texts.
fn weight(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + weight_of(value)).sum()
}

fn weight_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Integer(_) => 0,
        Value::Text(text) => text.len(),
        Value::Object(fields) => weight(fields),
        Value::List(values) => values.iter().map(weight_of).sum(),
    }
}

fn rows(text: &str, bytes: &[u8], dialect: &csv::Dialect) {
    let mut cells = csv::Cells::default();
    let mut rest = text;
    while !rest.is_empty() {
        let end = csv::row(rest, dialect, &mut cells);
        assert!(end > 0 && end <= rest.len() && rest.is_char_boundary(end), "a row of {end} bytes");
        for (index, cell) in cells.iter(rest).enumerate() {
            assert_eq!(cells.get(rest, index), Some(cell));
            assert_eq!(cells.cow(rest, index).as_deref(), Some(cell));
        }
        if let Some(whole) = csv::row_end(rest.as_bytes(), dialect) {
            assert_eq!(whole, end, "a row ends at two places");
        }
        rest = &rest[end..];
    }
    if let Some(end) = csv::row_end(bytes, dialect) {
        assert!(end > 0 && end <= bytes.len() && bytes[end - 1] == b'\n');
    }
    let end = csv::last_row_end(bytes, dialect);
    assert!(end <= bytes.len() && (end == 0 || bytes[end - 1] == b'\n'));
}

fn events(text: &str, bytes: &[u8]) {
    fields(text, windows_event::parse);
    if let Some(event) = windows_event::frame(bytes) {
        assert!(event.start < event.end && event.end <= bytes.len(), "an event at {event:?}");
        assert!(bytes[event.clone()].starts_with(b"<Event") && bytes[event.clone()].ends_with(b">"));
    }
    let end = windows_event::complete(bytes);
    assert!(end <= bytes.len());
    assert_eq!(windows_event::complete(&bytes[..end]), end, "what is complete stays so");
}
