//! What a record holds at a path.

use std::borrow::Cow;
use streamalert_sdk::{Field, Record};

/// A path, taken apart once.
pub struct Path {
    path: String,
    /// The first step, as a path.
    head: String,
    /// The others.
    steps: Vec<String>,
}

impl Path {
    pub fn new(path: &str) -> Path {
        let mut steps: Vec<String> = vec![String::new()];
        let mut head = path.len();
        let mut chars = path.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => steps.last_mut().into_iter().for_each(|step| step.push(chars.next().map_or('\\', |(_, c)| c))),
                '.' => {
                    head = head.min(at);
                    steps.push(String::new());
                }
                c => steps.last_mut().into_iter().for_each(|step| step.push(c)),
            }
        }
        steps.remove(0);
        Path { path: path.to_owned(), head: path[..head].to_owned(), steps }
    }

    /// Every value the path leads to; through a list, those of all its items.
    pub fn values<'a>(&self, record: &'a Record) -> Values<'a> {
        if let Some(found) = record.field(&self.path) {
            return Values::One(found);
        }
        if self.steps.is_empty() {
            return Values::Many(Vec::new());
        }
        let mut found = Vec::new();
        if let Some(first) = record.field(&self.head) {
            walk(first, &self.steps, &mut found);
        }
        Values::Many(found)
    }
}

pub enum Values<'a> {
    One(Field<'a>),
    Many(Vec<Field<'a>>),
}

impl<'a> Values<'a> {
    pub fn as_slice(&self) -> &[Field<'a>] {
        match self {
            Values::One(field) => std::slice::from_ref(field),
            Values::Many(fields) => fields,
        }
    }
}

fn walk<'a>(field: Field<'a>, steps: &[String], found: &mut Vec<Field<'a>>) {
    let Some((step, rest)) = steps.split_first() else { return found.push(field) };
    if field.is_list() {
        if let Some(item) = step.parse().ok().and_then(|index| field.item(index)) {
            walk(item, rest, found);
        }
        field.items().for_each(|item| walk(item, steps, found));
    } else if let Some(next) = field.get(step) {
        walk(next, rest, found);
    }
}

/// The text, or that of a number or boolean.
pub fn text(field: Field<'_>) -> Option<Cow<'_, str>> {
    if let Some(text) = field.text() {
        return Some(Cow::Borrowed(text));
    }
    if let Some(boolean) = field.bool() {
        return Some(Cow::Borrowed(if boolean { "true" } else { "false" }));
    }
    let integer =
        field.int().map(|number| number.to_string()).or_else(|| field.uint().map(|number| number.to_string()));
    integer.or_else(|| field.float().map(|number| number.to_string())).map(Cow::Owned)
}

/// Whether a value, or any item of a list, does.
pub fn any<'a>(field: Field<'a>, holds: &mut impl FnMut(Field<'a>) -> bool) -> bool {
    match field.is_list() {
        true => field.items().any(|item| any(item, holds)),
        false => holds(field),
    }
}

/// Whether any text, number or boolean within does.
pub fn anywhere<'a>(field: Field<'a>, holds: &mut impl FnMut(Field<'a>) -> bool) -> bool {
    if field.is_list() {
        field.items().any(|item| anywhere(item, holds))
    } else if field.is_object() {
        field.entries().any(|(_, value)| anywhere(value, holds))
    } else {
        holds(field)
    }
}
