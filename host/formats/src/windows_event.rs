//! Windows events as XML: `<Event><System>…</System><EventData><Data Name="user">ann</Data></EventData></Event>`.
//!
//! The children of `Event` become objects: `System`, `EventData`, `UserData`, `RenderingInfo`. An element with nothing but
//! text is that text; one with attributes or elements is an object of both, its own text under `#text`; elements of one name
//! next to each other are a list. In `EventData`, `<Data Name="user">` is a field `user`, and all `Data` without a name are
//! the list `Data`. The `Qualifiers` of an `EventID` stand beside it. Namespaces and prefixes are dropped.
//!
//! A document type is refused, and with it every entity but the five of XML and numbers: nothing in an event can grow.

use crate::{Fault, Fields, Value, excerpt};
use memchr::{memchr, memchr3, memmem};
use quick_xml::escape::unescape;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesRef, Event};
use quick_xml::reader::Reader;
use std::borrow::Cow;
use std::ops::Range;

/// Elements within elements. Events of the `UserData` kind reach 8.
const DEPTH_MAX: usize = 32;
/// Elements and attributes of one event. The widest events of Windows have a few hundred.
const NODES_MAX: usize = 10_000;

/// Objects even when they are empty, so that a field is of one type.
const OBJECTS: [&str; 9] = [
    "Correlation",
    "EventData",
    "Execution",
    "Provider",
    "RenderingInfo",
    "Security",
    "System",
    "TimeCreated",
    "UserData",
];

/// Appends the children of one event.
pub fn parse<'a>(text: &'a str, out: &mut Fields<'a>) -> Result<(), Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let mut tree = Tree { open: Vec::new(), nodes: 0, root: None };
    loop {
        let start = position(&reader);
        let event = reader.read_event().map_err(|error| fault(position(&reader), &error))?;
        let end = position(&reader);
        match event {
            Event::Start(_) => tree.start(tag(text, start, end), start)?,
            Event::Empty(_) => {
                tree.start(tag(text, start, end), start)?;
                tree.end();
            }
            Event::End(_) => tree.end(),
            Event::Text(piece) => tree.text(piece.into_inner(), start)?,
            Event::CData(piece) => tree.text(piece.into_inner(), start)?,
            Event::GeneralRef(reference) => tree.text(resolve(&reference, start)?.into(), start)?,
            Event::DocType(_) => return Err(Fault::new(format!("a document type at byte {start} is not accepted"))),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(element) = tree.open.last() {
        return Err(Fault::new(format!("the event ends within <{}>", element.name)));
    }
    let Some(Value::Object(fields)) = tree.root else {
        return Err(Fault::new(format!("no <Event> in the text: {}", excerpt(text))));
    };
    out.extend(fields);
    Ok(())
}

fn position(reader: &Reader<&[u8]>) -> usize {
    reader.buffer_position() as usize
}

#[cold]
fn fault(at: usize, problem: &dyn std::fmt::Display) -> Fault {
    Fault::new(format!("not XML, at byte {at}: {problem}"))
}

/// What stands between the angle brackets.
fn tag(text: &str, start: usize, end: usize) -> &str {
    let tag = text.get(start..end).unwrap_or_default();
    let tag = tag.strip_prefix('<').unwrap_or(tag);
    let tag = tag.strip_suffix('>').unwrap_or(tag);
    tag.strip_suffix('/').unwrap_or(tag)
}

fn resolve(reference: &BytesRef, at: usize) -> Result<String, Fault> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| fault(at, &error))? {
        return Ok(character.into());
    }
    let reference: &str = reference;
    match reference {
        "lt" => Ok("<".into()),
        "gt" => Ok(">".into()),
        "amp" => Ok("&".into()),
        "apos" => Ok("'".into()),
        "quot" => Ok("\"".into()),
        name => Err(Fault::new(format!("the entity &{name}; at byte {at} is unknown"))),
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

struct Element<'a> {
    name: &'a str,
    /// The name of a `Data`, or the qualifiers of an `EventID`: what its parent does something with.
    given: Option<Cow<'a, str>>,
    /// Attributes and elements.
    fields: Fields<'a>,
    text: Cow<'a, str>,
    /// Where in `fields` the list of `Data` without a name is.
    unnamed: Option<usize>,
}

struct Tree<'a> {
    open: Vec<Element<'a>>,
    nodes: usize,
    root: Option<Value<'a>>,
}

impl<'a> Tree<'a> {
    fn start(&mut self, tag: &'a str, at: usize) -> Result<(), Fault> {
        let name_end = tag.find(|character: char| character.is_ascii_whitespace()).unwrap_or(tag.len());
        let name = local(&tag[..name_end]);
        let mut element = Element { name, given: None, fields: Vec::new(), text: Cow::Borrowed(""), unnamed: None };
        if self.open.is_empty() && (element.name != "Event" || self.root.is_some()) {
            return Err(Fault::new(format!("<{}> at byte {at} where one <Event> was expected", element.name)));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Fault::new(format!("more than {DEPTH_MAX} elements within one another, at byte {at}")));
        }
        self.nodes += 1;
        let mut attributes = Attributes::new(tag, name_end);
        // The check for doubles takes time that grows with the square of their number.
        for attribute in attributes.with_checks(false) {
            let attribute = attribute.map_err(|error| fault(at, &error))?;
            let Cow::Borrowed(value) = attribute.value else { continue };
            let name = attribute.key.into_inner();
            if name == "xmlns" || name.starts_with("xmlns:") {
                continue;
            }
            self.nodes += 1;
            let value = unescape(value).map_err(|error| fault(at, &error))?;
            match (element.name, local(name)) {
                ("Data", "Name") | ("EventID", "Qualifiers") => element.given = Some(value),
                (_, name) => element.fields.push((Cow::Borrowed(name), Value::Text(value))),
            }
        }
        if self.nodes > NODES_MAX {
            return Err(Fault::new(format!("more than {NODES_MAX} elements and attributes, at byte {at}")));
        }
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, piece: Cow<'a, str>, at: usize) -> Result<(), Fault> {
        match self.open.last_mut() {
            Some(element) if element.text.is_empty() => element.text = piece,
            // Layout between elements.
            Some(element)
                if !element.fields.is_empty() && piece.trim().is_empty() && element.text.trim().is_empty() => {}
            Some(element) => element.text.to_mut().push_str(&piece),
            None if piece.trim().is_empty() => {}
            None => return Err(Fault::new(format!("text outside of <Event> at byte {at}: {}", excerpt(&piece)))),
        }
        Ok(())
    }

    /// The innermost element is whole: it becomes a field of the one around it.
    fn end(&mut self) {
        let Some(element) = self.open.pop() else { return };
        let Element { name, given, mut fields, text, .. } = element;
        let value = if self.open.is_empty() || !fields.is_empty() || OBJECTS.contains(&name) {
            if !text.trim().is_empty() {
                fields.push((Cow::Borrowed("#text"), Value::Text(text)));
            }
            Value::Object(fields)
        } else {
            Value::Text(text)
        };
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(value);
            return;
        };
        match (parent.name, name, given) {
            ("EventData", "Data", Some(given)) => parent.fields.push((given, value)),
            ("EventData", "Data", None) => {
                let at = *parent.unnamed.get_or_insert_with(|| {
                    parent.fields.push((Cow::Borrowed(name), Value::List(Vec::new())));
                    parent.fields.len() - 1
                });
                if let Some((_, Value::List(values))) = parent.fields.get_mut(at) {
                    values.push(value);
                }
            }
            (_, "EventID", Some(qualifiers)) => {
                parent.fields.push((Cow::Borrowed(name), value));
                parent.fields.push((Cow::Borrowed("Qualifiers"), Value::Text(qualifiers)));
            }
            // Often one and often several: always a list.
            ("Keywords", "Keyword", _) if parent.fields.is_empty() => {
                parent.fields.push((Cow::Borrowed(name), Value::List(vec![value])));
            }
            _ => append(&mut parent.fields, name, value),
        }
    }
}

fn append<'a>(fields: &mut Fields<'a>, name: &'a str, value: Value<'a>) {
    match fields.last_mut().filter(|(last, _)| last == name) {
        Some((_, Value::List(values))) => values.push(value),
        Some((_, first)) => {
            let one = std::mem::replace(first, Value::Null);
            *first = Value::List(vec![one, value]);
        }
        None => fields.push((Cow::Borrowed(name), value)),
    }
}

// Streams.

/// Where the next event is in bytes that may have a declaration, an `<Events>` around it, and blanks. None: there is none, or
/// it is not all there yet.
pub fn frame(bytes: &[u8]) -> Option<Range<usize>> {
    let mut depth = 0usize;
    let mut start = 0;
    let mut at = 0;
    loop {
        at += memchr(b'<', bytes.get(at..)?)?;
        let here = &bytes[at..];
        if let Some(skip) = aside(here) {
            at += skip?;
        } else if is_event(here, b"<Event") {
            let (length, empty) = tag_end(here)?;
            if depth == 0 {
                start = at;
            }
            at += length;
            if !empty {
                depth += 1;
            } else if depth == 0 {
                return Some(start..at);
            }
        } else if depth > 0 && is_event(here, b"</Event") {
            at += memchr(b'>', here)? + 1;
            depth -= 1;
            if depth == 0 {
                return Some(start..at);
            }
        } else {
            at += 1;
        }
    }
}

/// How many leading bytes hold whole events. What follows is the start of one, or no event.
pub fn complete(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(event) = frame(&bytes[end..]) {
        end += event.end;
    }
    end
}

/// `<Event`, and not `<EventData`.
fn is_event(bytes: &[u8], tag: &[u8]) -> bool {
    bytes.starts_with(tag) && matches!(bytes.get(tag.len()), Some(b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n'))
}

/// What may hold angle brackets that mean nothing: the length of the comment or the section, or None in it if it does not
/// end. None: no such thing is here.
fn aside(bytes: &[u8]) -> Option<Option<usize>> {
    let (open, close) =
        [("<!--", "-->"), ("<![CDATA[", "]]>")].into_iter().find(|(open, _)| bytes.starts_with(open.as_bytes()))?;
    Some(memmem::find(&bytes[open.len()..], close.as_bytes()).map(|end| open.len() + end + close.len()))
}

/// Length of a tag, in whose quotes may be a bracket, and whether it is an element of its own.
fn tag_end(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut at = 0;
    loop {
        at += memchr3(b'>', b'"', b'\'', bytes.get(at..)?)?;
        if bytes[at] == b'>' {
            return Some((at + 1, bytes[at - 1] == b'/'));
        }
        let quote = bytes[at];
        at += 1;
        at += memchr(quote, &bytes[at..])? + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{describe, never_panics};

    const LOGON: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
  <System>
    <Provider Name="Microsoft-Windows-Security-Auditing" Guid="{54849625-5478-4994-A5BA-3E3B0328C30D}"/>
    <EventID>4624</EventID>
    <Version>2</Version>
    <Level>0</Level>
    <Task>12544</Task>
    <Opcode>0</Opcode>
    <Keywords>0x8020000000000000</Keywords>
    <TimeCreated SystemTime="2023-01-02T03:04:05.1234567Z"/>
    <EventRecordID>211</EventRecordID>
    <Correlation ActivityID="{00000000-0000-0000-0000-000000000001}"/>
    <Execution ProcessID="716" ThreadID="760"/>
    <Channel>Security</Channel>
    <Computer>dc01.example.com</Computer>
    <Security/>
  </System>
  <EventData>
    <Data Name="TargetUserName">ann &amp; &#98;ob</Data>
    <Data Name="LogonType">3</Data>
    <Data Name="Empty"/>
    <Data Name='Path'>C:\Windows</Data>
  </EventData>
</Event>
"#;
    const SERVICE: &str = r#"<Event xmlns='x'><System><Provider Name='Service Control Manager'/><EventID Qualifiers='16384'>7036</EventID><Correlation/><Security UserID='S-1-5-18'/></System><EventData><Data>Print Spooler</Data><Data>running</Data><Data/><Binary>530070</Binary></EventData><RenderingInfo Culture='en-US'><Message>The Print Spooler
service</Message><Keywords><Keyword>Classic</Keyword></Keywords></RenderingInfo></Event>"#;

    fn check(text: &str, expected: &[&str]) {
        let mut out = Fields::new();
        assert_eq!(parse(text, &mut out), Ok(()), "{text:?}");
        assert_eq!(describe(&out), expected, "{text:?}");
    }

    fn check_fault(text: &str, fault: &str) {
        let parsed = parse(text, &mut Fields::new());
        assert!(matches!(&parsed, Err(Fault(text)) if text.starts_with(fault)), "{text:?}: {parsed:?} and not {fault}");
    }

    #[test]
    fn named_data() {
        check(
            LOGON,
            &[
                "System={Provider={Name=Microsoft-Windows-Security-Auditing, Guid={54849625-5478-4994-A5BA-3E3B0328C30D}}, \
                 EventID=4624, Version=2, Level=0, Task=12544, Opcode=0, Keywords=0x8020000000000000, \
                 TimeCreated={SystemTime=2023-01-02T03:04:05.1234567Z}, EventRecordID=211, \
                 Correlation={ActivityID={00000000-0000-0000-0000-000000000001}}, Execution={ProcessID=716, ThreadID=760}, \
                 Channel=Security, Computer=dc01.example.com, Security={}}",
                r"EventData={TargetUserName=ann & bob, LogonType=3, Empty=, Path=C:\Windows}",
            ],
        );
    }

    #[test]
    fn unnamed_data_and_rendering() {
        check(
            SERVICE,
            &[
                "System={Provider={Name=Service Control Manager}, EventID=7036, Qualifiers=16384, Correlation={}, \
                 Security={UserID=S-1-5-18}}",
                "EventData={Data=[Print Spooler, running, ], Binary=530070}",
                "RenderingInfo={Culture=en-US, Message=The Print Spooler\nservice, Keywords={Keyword=[Classic]}}",
            ],
        );
        check(
            "<Event><EventData><Data>a</Data><Data Name='n'>b</Data><Data>c</Data></EventData></Event>",
            &["EventData={Data=[a, c], n=b}"],
        );
    }

    #[test]
    fn other_trees() {
        check(
            "<Event><UserData><LogFileCleared xmlns='y'><SubjectUserName>ann</SubjectUserName><x:Item Id='1'>a</x:Item>\
             <x:Item>b</x:Item><x:Item>c</x:Item></LogFileCleared></UserData></Event>",
            &["UserData={LogFileCleared={SubjectUserName=ann, Item=[{Id=1, #text=a}, b, c]}}"],
        );
        check(
            "<e:Event xmlns:e='z'><e:EventData><e:Data Name='&lt;a&#x3e;'><![CDATA[<b> & ]]>c&quot;&apos;</e:Data></e:EventData></e:Event>",
            &["EventData={<a>=<b> & c\"'}"],
        );
        check("<Event><EventData/><!-- no --><UserData></UserData></Event>", &["EventData={}", "UserData={}"]);
        check("\u{feff}<Event/>", &[]);
    }

    #[test]
    fn what_is_not_an_event() {
        check_fault("", "no <Event> in the text: \"\"");
        check_fault("hello", "text outside of <Event> at byte 0: \"hello\"");
        check_fault("<Other/>", "<Other> at byte 0 where one <Event> was expected");
        check_fault("<Event/><Event/>", "<Event> at byte 8 where one <Event> was expected");
        check_fault("<Event><System>", "the event ends within <System>");
        check_fault("<Event></System>", "not XML, at byte");
        check_fault("<Event a=b/>", "not XML, at byte 0");
        check_fault("<Event><a>&x;</a></Event>", "the entity &x; at byte 10 is unknown");
        check_fault("<Event a='&x;'/>", "not XML, at byte 0");
        check_fault("<Event>&#0;</Event>", "not XML, at byte 7");
        check_fault(
            "<!DOCTYPE Event [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><Event><a>&b;</a></Event>",
            "a document type at byte 0 is not accepted",
        );
        let deep = format!("<Event>{}", "<a>".repeat(100_000));
        check_fault(&deep, "more than 32 elements within one another, at byte 100");
        check_fault(
            &format!("<Event>{}", "<a/>".repeat(100_000)),
            "more than 10000 elements and attributes, at byte 40003",
        );
        check_fault(
            &format!("<Event{}>", " a='b'".repeat(100_000)),
            "more than 10000 elements and attributes, at byte 0",
        );
    }

    #[test]
    fn a_stream_is_cut_between_events() {
        for (text, first, whole) in [
            ("", None, 0),
            ("<Event>", None, 0),
            ("<Event></Event>", Some(0..15), 15),
            ("<Event/> <Event>", Some(0..8), 8),
            ("<?xml version='1.0'?><Events>\n<Event a='>/'>x</Event>\n<Event\n/></Events>", Some(30..53), 63),
            ("<Event><EventData></EventData></Event", None, 0),
            ("<Event><a><Event>x</Event></a></Event>y", Some(0..38), 38),
            ("<Event><![CDATA[</Event>]]><!--</Event>--></Event>", Some(0..50), 50),
            ("<Event><![CDATA[</Event>", None, 0),
            ("<EventData></Event><Events>", None, 0),
            ("<Event", None, 0),
            ("<Event a='</Event>", None, 0),
        ] {
            assert_eq!(frame(text.as_bytes()), first, "{text:?}");
            assert_eq!(complete(text.as_bytes()), whole, "{text:?}");
        }
        let both = format!("{LOGON}{SERVICE}");
        let event = frame(both.as_bytes()).unwrap();
        assert!(parse(&both[event.clone()], &mut Fields::new()).is_ok());
        assert_eq!(frame(&both.as_bytes()[event.end..]).map(|next| next.end + event.end), Some(both.len()));
        assert_eq!(complete(both.as_bytes()), both.len());
    }

    #[test]
    fn plain_texts_are_borrowed() {
        let mut out = Fields::new();
        parse(SERVICE, &mut out).unwrap();
        fn all_borrowed(value: &Value) -> bool {
            match value {
                Value::Text(text) => matches!(text, Cow::Borrowed(_)),
                Value::Object(fields) => {
                    fields.iter().all(|(name, value)| matches!(name, Cow::Borrowed(_)) && all_borrowed(value))
                }
                Value::List(values) => values.iter().all(all_borrowed),
                Value::Null | Value::Integer(_) => true,
            }
        }
        assert!(all_borrowed(&Value::Object(out)));
    }

    #[test]
    fn broken_events_do_no_harm() {
        let small = "<Event x='é'><System><EventID Qualifiers='1'>2</EventID></System><EventData><Data Name=\"a\">&amp;日本<![CDATA[x]]></Data><Data/></EventData></Event>";
        never_panics(&[small, SERVICE], |text| {
            drop(parse(text, &mut Fields::new()));
            let bytes = text.as_bytes();
            assert!(complete(bytes) <= bytes.len());
        });
    }
}
