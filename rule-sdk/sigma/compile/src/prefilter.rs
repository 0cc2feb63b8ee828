//! What every record holds that a rule could report: conditions that the host asks before it asks the rule, `when_any` of the
//! rule's options. They may hold for more records, never for fewer.

use crate::rule::{Expr, How, Test, Text};
use ipnet::IpNet;
use serde_json::{Value, json};

/// Lists of conditions of one rule; what is beyond hardly helps.
const LISTS_MAX: usize = 8;
/// Bytes of one list and of all, as JSON: they must fit into the 64 KiB that the host takes.
const LIST_BYTES_MAX: usize = 24 << 10;
const LISTS_BYTES_MAX: usize = 48 << 10;
/// Bytes that are kept of each text where a list is too long.
const TEXT_BYTES_KEPT: usize = 12;

/// A test of what is at a path. The host compares without regard to case, and any item of a list will do.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    path: String,
    test: Asked,
}

#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Equals(Vec<String>),
    Prefix(Vec<String>),
    Suffix(Vec<String>),
    Contains(Vec<String>),
    Exists,
}

/// One of these holds.
type List = Vec<Condition>;

pub fn conditions(expr: &Expr) -> Vec<Value> {
    let mut lists: Vec<List> = Vec::new();
    for list in necessary(expr) {
        let list = bounded(list);
        if !lists.contains(&list) {
            lists.push(list);
        }
    }
    lists.sort_by_key(|list| std::cmp::Reverse(worth(list)));
    lists.truncate(LISTS_MAX);
    let mut left = LISTS_BYTES_MAX;
    let told = lists.iter().map(json_of).filter(|list| match left.checked_sub(list.to_string().len()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });
    told.collect()
}

/// Lists of which each holds whenever the expression does.
fn necessary(expr: &Expr) -> Vec<List> {
    match expr {
        Expr::All(exprs) => exprs.iter().flat_map(necessary).collect(),
        // At least one of them holds.
        Expr::Any(exprs) | Expr::AtLeast(1.., exprs) => one_of(exprs.iter().map(necessary)),
        Expr::AtLeast(0, _) | Expr::Not(_) | Expr::Keyword(_) => Vec::new(),
        Expr::Field(field) => of_test(&field.path, field.filled, &field.test),
    }
}

/// For alternatives: the best list of each, all in one.
fn one_of(alternatives: impl Iterator<Item = Vec<List>>) -> Vec<List> {
    let mut together = List::new();
    for lists in alternatives {
        let Some(best) = lists.into_iter().max_by_key(worth) else { return Vec::new() };
        best.into_iter().for_each(|condition| add(&mut together, condition));
    }
    if together.is_empty() { Vec::new() } else { vec![together] }
}

fn add(list: &mut List, condition: Condition) {
    for before in list.iter_mut().filter(|before| before.path == condition.path) {
        match (&mut before.test, &condition.test) {
            (Asked::Equals(before), Asked::Equals(more))
            | (Asked::Prefix(before), Asked::Prefix(more))
            | (Asked::Suffix(before), Asked::Suffix(more))
            | (Asked::Contains(before), Asked::Contains(more)) => {
                for text in more {
                    if !before.contains(text) {
                        before.push(text.clone());
                    }
                }
                return;
            }
            (Asked::Exists, Asked::Exists) => return,
            _ => {}
        }
    }
    list.push(condition);
}

fn of_test(path: &str, filled: bool, test: &Test) -> Vec<List> {
    let list = |test: Asked| vec![vec![Condition { path: path.to_owned(), test }]];
    match test {
        // A list or an object that the classifier put there fits, and has no text that the host could compare.
        Test::Text(Text { how: How::Is, any, .. }) if filled && any.iter().any(String::is_empty) => list(Asked::Exists),
        Test::Text(text) => of_text(path, text),
        Test::Cidr(networks) => match networks.iter().map(|network| beginning(network)).collect::<Option<Vec<_>>>() {
            Some(beginnings) => {
                let mut all = List::new();
                for test in beginnings {
                    add(&mut all, Condition { path: path.to_owned(), test });
                }
                vec![all]
            }
            None => list(Asked::Exists),
        },
        Test::Boolean(wanted) => list(Asked::Equals(vec![wanted.to_string()])),
        Test::All(tests) => tests.iter().flat_map(|test| of_test(path, filled, test)).collect(),
        Test::Any(tests) => one_of(tests.iter().map(|test| of_test(path, filled, test))),
        Test::Exists(false) | Test::Null => Vec::new(),
        Test::Exists(true) | Test::Regex(_) | Test::Number(..) | Test::Reference(_) | Test::Time(..) | Test::Not(_) => {
            list(Asked::Exists)
        }
    }
}

fn of_text(path: &str, text: &Text) -> Vec<List> {
    let Text { how, any, .. } = text;
    let list = |test: Asked| vec![vec![Condition { path: path.to_owned(), test }]];
    // Letters outside of ASCII have more to their case than the host looks at.
    if !any.iter().all(|text| text.is_ascii()) {
        return list(Asked::Exists);
    }
    match how {
        How::Is => list(Asked::Equals(any.clone())),
        How::Starts => list(Asked::Prefix(any.clone())),
        How::Ends => list(Asked::Suffix(any.clone())),
        How::Has => list(Asked::Contains(any.clone())),
        How::Like => match any.iter().map(|pattern| longest(pattern)).collect::<Option<Vec<_>>>() {
            Some(literals) => list(Asked::Contains(literals)),
            None => list(Asked::Exists),
        },
    }
}

/// The longest part of a pattern without wildcards.
fn longest(pattern: &str) -> Option<String> {
    let mut literals = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '~' => literals.push(String::new()),
            '\\' => literals.last_mut()?.extend(chars.next()),
            c => literals.last_mut()?.push(c),
        }
    }
    literals.into_iter().max_by_key(String::len).filter(|literal| !literal.is_empty())
}

/// How addresses of a network begin when written out, as far as whole bytes tell.
fn beginning(network: &str) -> Option<Asked> {
    let IpNet::V4(network) = network.parse().ok()? else { return None };
    let bytes = usize::from(network.prefix_len() / 8);
    let octets: Vec<String> = network.network().octets()[..bytes].iter().map(u8::to_string).collect();
    match bytes {
        0 => None,
        4 => Some(Asked::Equals(vec![octets.join(".")])),
        _ => Some(Asked::Prefix(vec![octets.join(".") + "."])),
    }
}

/// How few records a list holds for, as far as can be told without any: what counts is its weakest part.
fn worth(list: &List) -> (usize, usize) {
    let shortest = |texts: &[String]| texts.iter().map(String::len).min().unwrap_or(0);
    let each = list.iter().map(|condition| match &condition.test {
        Asked::Equals(texts) => (3, shortest(texts)),
        Asked::Prefix(texts) | Asked::Suffix(texts) => (2, shortest(texts)),
        Asked::Contains(texts) => (2, shortest(texts)),
        Asked::Exists => (1, 0),
    });
    each.min().unwrap_or((0, 0))
}

/// Where a list is too long to be told, parts of its texts are; and where these are, whether anything is there at all.
fn bounded(list: List) -> List {
    let fits = |list: &List| json_of(list).to_string().len() <= LIST_BYTES_MAX;
    if fits(&list) {
        return list;
    }
    let head = |text: String| text[..text.len().min(TEXT_BYTES_KEPT)].to_owned();
    let tail = |text: String| text[text.len() - text.len().min(TEXT_BYTES_KEPT)..].to_owned();
    let mut shorter = List::new();
    for Condition { path, test } in list.iter().cloned() {
        let parts = match test {
            Asked::Equals(texts) | Asked::Prefix(texts) => Asked::Prefix(texts.into_iter().map(head).collect()),
            Asked::Suffix(texts) => Asked::Suffix(texts.into_iter().map(tail).collect()),
            Asked::Contains(texts) => Asked::Contains(texts.into_iter().map(head).collect()),
            Asked::Exists => Asked::Exists,
        };
        add(&mut shorter, Condition { path, test: unique(parts) });
    }
    if fits(&shorter) {
        return shorter;
    }
    let mut shortest = List::new();
    list.into_iter().for_each(|condition| add(&mut shortest, Condition { test: Asked::Exists, ..condition }));
    shortest
}

fn unique(mut test: Asked) -> Asked {
    if let Asked::Equals(texts) | Asked::Prefix(texts) | Asked::Suffix(texts) | Asked::Contains(texts) = &mut test {
        texts.sort();
        texts.dedup();
    }
    test
}

fn json_of(list: &List) -> Value {
    let condition = |condition: &Condition| {
        let test = match &condition.test {
            Asked::Equals(texts) => json!({ "equals": texts }),
            Asked::Prefix(texts) => json!({ "prefix": texts }),
            Asked::Suffix(texts) => json!({ "suffix": texts }),
            Asked::Contains(texts) => json!({ "contains": texts }),
            Asked::Exists => json!("exists"),
        };
        json!({ "path": condition.path, "test": test })
    };
    list.iter().map(condition).collect()
}
