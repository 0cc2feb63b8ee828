//! What a value matches, with its modifiers.

use crate::rule::{Comparison, DASHES, How, Number, Test, Text, TimePart};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use rsigma_parser::{Modifier, SigmaString, SigmaValue, SpecialChar, StringPart};

/// Texts that one value may become where dashes are encoded: 5 to the power of 4.
const VARIANTS_MAX: usize = 625;

pub fn how(modifiers: &[Modifier]) -> How {
    let has = |modifier| modifiers.contains(&modifier);
    match () {
        () if has(Modifier::Contains) => How::Has,
        () if has(Modifier::StartsWith) => How::Starts,
        () if has(Modifier::EndsWith) => How::Ends,
        () => How::Is,
    }
}

pub fn test(value: &SigmaValue, modifiers: &[Modifier], keyword: bool) -> Result<Test, String> {
    let has = |modifier: Modifier| modifiers.contains(&modifier);
    let cased = has(Modifier::Cased);
    if has(Modifier::Exists) {
        return match value {
            SigmaValue::Bool(wanted) => Ok(Test::Exists(*wanted)),
            SigmaValue::String(text) => match text.original.to_ascii_lowercase().as_str() {
                "true" | "yes" => Ok(Test::Exists(true)),
                "false" | "no" => Ok(Test::Exists(false)),
                other => Err(format!("`exists` is true or false, not {other}")),
            },
            other => Err(format!("`exists` is true or false, not {other}")),
        };
    }
    let parts = [
        (Modifier::Minute, TimePart::Minute),
        (Modifier::Hour, TimePart::Hour),
        (Modifier::Day, TimePart::Day),
        (Modifier::Week, TimePart::Week),
        (Modifier::Month, TimePart::Month),
        (Modifier::Year, TimePart::Year),
    ];
    if let Some((_, part)) = parts.iter().find(|(modifier, _)| has(*modifier)) {
        return match number(value) {
            Some(Number::Integer(number)) => Ok(Test::Time(*part, number)),
            _ => Err(format!("a part of a time is a whole number, not {value}")),
        };
    }
    let comparisons = [
        (Modifier::Lt, Comparison::Less),
        (Modifier::Lte, Comparison::AtMost),
        (Modifier::Gt, Comparison::Greater),
        (Modifier::Gte, Comparison::AtLeast),
    ];
    if let Some((_, comparison)) = comparisons.iter().find(|(modifier, _)| has(*modifier)) {
        let number = number(value).ok_or_else(|| format!("{value} is no number"))?;
        return Ok(Test::Number(*comparison, number));
    }
    if has(Modifier::Cidr) {
        let text = value.to_string();
        // An address alone is a network of one.
        let alone = text.trim().parse::<std::net::IpAddr>().map(IpNet::from);
        let network: IpNet = text.trim().parse().or(alone).map_err(|_| format!("{value} is no network"))?;
        return Ok(Test::Cidr(vec![network.to_string()]));
    }
    if has(Modifier::Re) {
        return regex(&value.to_string(), modifiers);
    }
    let text = match value {
        SigmaValue::Null if keyword => return Err("a keyword cannot be null".to_owned()),
        SigmaValue::Null => return Ok(Test::Null),
        SigmaValue::Bool(wanted) if !keyword => return Ok(Test::Boolean(*wanted)),
        SigmaValue::String(text) => text.clone(),
        // Numbers are compared as texts.
        SigmaValue::Integer(_) | SigmaValue::Float(_) | SigmaValue::Bool(_) => {
            SigmaString::from_raw(&value.to_string())
        }
    };
    let how = match how(modifiers) {
        How::Is if keyword => How::Has,
        how => how,
    };
    let encoded = [Modifier::Wide, Modifier::Utf16, Modifier::Utf16be, Modifier::Base64, Modifier::Base64Offset];
    if encoded.iter().any(|modifier| has(*modifier)) {
        return encode(&text, modifiers, how);
    }
    Ok(of_text(&text, how, cased, has(Modifier::WindAsh)))
}

fn number(value: &SigmaValue) -> Option<Number> {
    match value {
        SigmaValue::Integer(number) => Some(Number::Integer(*number)),
        SigmaValue::Float(number) => Some(*number).filter(|number| number.is_finite()).map(Number::Float),
        SigmaValue::String(text) => {
            let text = text.original.trim();
            let integer = text.parse().ok().map(Number::Integer);
            let finite = |number: &f64| number.is_finite();
            integer.or_else(|| text.parse().ok().filter(finite).map(Number::Float))
        }
        SigmaValue::Bool(_) | SigmaValue::Null => None,
    }
}

fn regex(pattern: &str, modifiers: &[Modifier]) -> Result<Test, String> {
    let flags: String = [(Modifier::IgnoreCase, 'i'), (Modifier::Multiline, 'm'), (Modifier::DotAll, 's')]
        .iter()
        .filter(|(modifier, _)| modifiers.contains(modifier))
        .map(|(_, flag)| *flag)
        .collect();
    let pattern = if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") };
    match regex::Regex::new(&pattern) {
        Ok(_) => Ok(Test::Regex(vec![pattern])),
        Err(regex::Error::CompiledTooBig(limit)) => {
            Err(format!("its regular expression takes more than {limit} bytes"))
        }
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Err(format!("its regular expression is none here: {last}"))
        }
    }
}

/// A piece of a pattern.
enum Piece {
    Literal(char),
    Any,
    One,
    Dash,
}

fn of_text(text: &SigmaString, how: How, cased: bool, windash: bool) -> Test {
    let mut pieces = Vec::new();
    for part in &text.parts {
        match part {
            StringPart::Plain(plain) => pieces.extend(plain.chars().map(Piece::Literal)),
            StringPart::Special(SpecialChar::WildcardMulti) => pieces.push(Piece::Any),
            StringPart::Special(SpecialChar::WildcardSingle) => pieces.push(Piece::One),
        }
    }
    if windash {
        dashes(&mut pieces);
    }
    // What begins or ends with `*` needs no pattern.
    let open = |how: How, at_start: bool| match how {
        How::Has => true,
        How::Starts => !at_start,
        How::Ends => at_start,
        How::Is | How::Like => false,
    };
    let (mut before, mut after) = (open(how, true), open(how, false));
    let mut inner = &pieces[..];
    while let [Piece::Any, rest @ ..] = inner {
        (before, inner) = (true, rest);
    }
    while let [rest @ .., Piece::Any] = inner {
        (after, inner) = (true, rest);
    }
    let plain: Option<String> = inner
        .iter()
        .map(|piece| match piece {
            Piece::Literal(c) => Some(*c),
            _ => None,
        })
        .collect();
    let (how, text) = match (plain, before, after) {
        (Some(plain), false, false) => (How::Is, plain),
        (Some(plain), false, true) => (How::Starts, plain),
        (Some(plain), true, false) => (How::Ends, plain),
        (Some(plain), true, true) => (How::Has, plain),
        (None, ..) => {
            let mut pattern = String::new();
            pattern.extend(before.then_some('*'));
            for piece in inner {
                match piece {
                    Piece::Literal(c @ ('*' | '?' | '~' | '\\')) => pattern.extend(['\\', *c]),
                    Piece::Literal(c) => pattern.push(*c),
                    Piece::Any => pattern.push('*'),
                    Piece::One => pattern.push('?'),
                    Piece::Dash => pattern.push('~'),
                }
            }
            pattern.extend(after.then_some('*'));
            (How::Like, pattern)
        }
    };
    Test::Text(Text { how, cased, any: vec![text] })
}

/// Every `-`, and a `/` that introduces an option, stands for all of them.
fn dashes(pieces: &mut [Piece]) {
    let word = |piece: Option<&Piece>| matches!(piece, Some(Piece::Literal(c)) if c.is_alphanumeric() || *c == '_');
    for at in 0..pieces.len() {
        let Piece::Literal(c) = pieces[at] else { continue };
        let introduces = !(at > 0 && word(pieces.get(at - 1))) && word(pieces.get(at + 1));
        if c == '-' || c == '/' && introduces {
            pieces[at] = Piece::Dash;
        }
    }
}

fn encode(text: &SigmaString, modifiers: &[Modifier], how: How) -> Result<Test, String> {
    let has = |modifier: Modifier| modifiers.contains(&modifier);
    let plain = text.as_plain().ok_or_else(|| "a value with wildcards cannot be encoded".to_owned())?;
    let plain = if has(Modifier::WindAsh) { dashed(&plain)? } else { vec![plain] };
    let mut any = Vec::new();
    for text in plain {
        let units = |to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
        let bytes = if has(Modifier::Wide) {
            units(u16::to_le_bytes)
        } else if has(Modifier::Utf16be) {
            units(u16::to_be_bytes)
        } else if has(Modifier::Utf16) {
            [vec![0xFF, 0xFE], units(u16::to_le_bytes)].concat()
        } else {
            text.into_bytes()
        };
        if has(Modifier::Base64) {
            any.push(STANDARD.encode(bytes));
        } else if has(Modifier::Base64Offset) {
            any.extend(offsets(&bytes));
        } else {
            any.push(String::from_utf8(bytes).map_err(|_| "its bytes are no text unless they are put into base64")?);
        }
    }
    if any.iter().any(String::is_empty) {
        return Err("a value is too short to be found in base64".to_owned());
    }
    // By its three ways to lie in base64 a value is found within another.
    let how = if has(Modifier::Base64Offset) && how == How::Is { How::Has } else { how };
    Ok(Test::Text(Text { how, cased: has(Modifier::Cased), any }))
}

/// What of the value's base64 is the same whatever is before and behind it, for each of its three places in a group.
fn offsets(bytes: &[u8]) -> impl Iterator<Item = String> {
    (0..3).map(|offset| {
        let shifted = [vec![0; offset], bytes.to_vec()].concat();
        let encoded = STANDARD.encode(&shifted);
        let start = [0, 2, 3][offset];
        // A character that holds bits of what follows.
        let end = shifted.len() * 8 / 6;
        encoded.get(start..end).unwrap_or_default().to_owned()
    })
}

fn dashed(text: &str) -> Result<Vec<String>, String> {
    let mut variants = vec![String::new()];
    for c in text.chars() {
        if c != '-' {
            variants.iter_mut().for_each(|variant| variant.push(c));
            continue;
        }
        variants = variants.iter().flat_map(|variant| DASHES.map(|dash| format!("{variant}{dash}"))).collect();
        if variants.len() > VARIANTS_MAX {
            return Err("it has too many dashes to be encoded with `windash`".to_owned());
        }
    }
    Ok(variants)
}

/// Tests of one kind as one.
pub fn any(tests: Vec<Test>) -> Test {
    let mut merged: Vec<Test> = Vec::new();
    for test in tests {
        let same = merged.iter_mut().find_map(|before| match (before, &test) {
            (Test::Text(before), Test::Text(text)) if (before.how, before.cased) == (text.how, text.cased) => {
                Some((&mut before.any, &text.any))
            }
            (Test::Regex(before), Test::Regex(more)) | (Test::Cidr(before), Test::Cidr(more)) => Some((before, more)),
            _ => None,
        });
        match same {
            Some((before, more)) => before.extend(more.iter().cloned()),
            None => merged.push(test),
        }
    }
    match merged.len() {
        1 => merged.remove(0),
        _ => Test::Any(merged),
    }
}
