//! Whether a record is what a rule describes.

use crate::glob::Glob;
use crate::rule::{self, Comparison, How, Number, TimePart};
use crate::values::{Path, Values, any, anywhere, text};
use ipnet::IpNet;
use std::borrow::Cow;
use std::net::IpAddr;
use streamalert_sdk::{Field, Record};

/// A rule's expression, ready to be asked.
pub struct Judge(Expr);

impl Judge {
    pub fn new(expr: &rule::Expr) -> Judge {
        Judge(Expr::new(expr))
    }

    pub fn holds(&self, record: &Record) -> bool {
        self.0.holds(record)
    }
}

enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    AtLeast(usize, Vec<Expr>),
    Field { path: Path, filled: bool, test: Test },
    Keyword(Test),
}

enum Test {
    Text {
        how: How,
        cased: bool,
        any: Vec<Needle>,
    },
    #[cfg(feature = "regex")]
    Regex(Regex),
    Cidr(Vec<IpNet>),
    Number(Comparison, Number),
    Exists(bool),
    Null,
    Boolean(bool),
    Reference {
        path: Path,
        how: How,
        cased: bool,
    },
    Time(TimePart, i64),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

/// A text to compare with, folded if case does not count.
struct Needle {
    text: String,
    /// It has letters whose case is not that of ASCII.
    unicode: bool,
    glob: Option<Glob>,
}

/// Compiled when it is first needed: a component may hold thousands.
#[cfg(feature = "regex")]
struct Regex {
    patterns: Vec<String>,
    compiled: std::sync::OnceLock<Vec<regex::Regex>>,
}

impl Expr {
    fn new(expr: &rule::Expr) -> Expr {
        let all = |exprs: &[rule::Expr]| exprs.iter().map(Expr::new).collect();
        match expr {
            rule::Expr::All(exprs) => Expr::All(all(exprs)),
            rule::Expr::Any(exprs) => Expr::Any(all(exprs)),
            rule::Expr::Not(expr) => Expr::Not(Box::new(Expr::new(expr))),
            rule::Expr::AtLeast(count, exprs) => Expr::AtLeast(*count, all(exprs)),
            rule::Expr::Field(rule::Field { path, filled, test }) => {
                Expr::Field { path: Path::new(path), filled: *filled, test: Test::new(test) }
            }
            rule::Expr::Keyword(test) => Expr::Keyword(Test::new(test)),
        }
    }

    fn holds(&self, record: &Record) -> bool {
        match self {
            Expr::All(exprs) => exprs.iter().all(|expr| expr.holds(record)),
            Expr::Any(exprs) => exprs.iter().any(|expr| expr.holds(record)),
            Expr::Not(expr) => !expr.holds(record),
            Expr::AtLeast(count, exprs) => {
                exprs.iter().filter(|expr| expr.holds(record)).take(*count).count() == *count
            }
            Expr::Field { path, filled, test } => {
                let values = path.values(record);
                match values.as_slice() {
                    [] => test.holds_for_nothing(false),
                    [only] if *filled && is_blank(*only) => test.holds_for_nothing(true),
                    _ => test.holds(&values, record),
                }
            }
            Expr::Keyword(test) => test.holds_anywhere(record),
        }
    }
}

/// What stands where a log has nothing, and was not a number or boolean there.
fn is_blank(field: Field<'_>) -> bool {
    field.text().is_some_and(str::is_empty) || field.is_empty()
}

impl Test {
    fn new(test: &rule::Test) -> Test {
        match test {
            rule::Test::Text(rule::Text { how, cased, any }) => Test::Text {
                how: *how,
                cased: *cased,
                any: any.iter().map(|text| Needle::new(text, *how, *cased)).collect(),
            },
            #[cfg(feature = "regex")]
            rule::Test::Regex(patterns) => {
                Test::Regex(Regex { patterns: patterns.clone(), compiled: std::sync::OnceLock::new() })
            }
            #[cfg(not(feature = "regex"))]
            rule::Test::Regex(_) => {
                panic!("streamalert-sigma is built without its feature `regex`, which this rule needs")
            }
            // The importer has read them before.
            rule::Test::Cidr(networks) => {
                Test::Cidr(networks.iter().filter_map(|network| network.parse().ok()).collect())
            }
            rule::Test::Number(comparison, number) => Test::Number(*comparison, *number),
            rule::Test::Exists(wanted) => Test::Exists(*wanted),
            rule::Test::Null => Test::Null,
            rule::Test::Boolean(wanted) => Test::Boolean(*wanted),
            rule::Test::Reference(rule::Reference { path, how, cased }) => {
                Test::Reference { path: Path::new(path), how: *how, cased: *cased }
            }
            rule::Test::Time(part, number) => Test::Time(*part, *number),
            rule::Test::Not(test) => Test::Not(Box::new(Test::new(test))),
            rule::Test::All(tests) => Test::All(tests.iter().map(Test::new).collect()),
            rule::Test::Any(tests) => Test::Any(tests.iter().map(Test::new).collect()),
        }
    }

    /// Where nothing is; `blank`: or something empty, which may have been in the log.
    fn holds_for_nothing(&self, blank: bool) -> bool {
        match self {
            Test::Null | Test::Exists(false) => true,
            Test::Text { how: How::Is, any, .. } => blank && any.iter().any(|needle| needle.text.is_empty()),
            Test::All(tests) => tests.iter().all(|test| test.holds_for_nothing(blank)),
            Test::Any(tests) => tests.iter().any(|test| test.holds_for_nothing(blank)),
            _ => false,
        }
    }

    fn holds(&self, values: &Values<'_>, record: &Record) -> bool {
        let mut nodes = values.as_slice().iter();
        match self {
            Test::Exists(wanted) => nodes.any(|node| !node.is_null()) == *wanted,
            Test::Null => nodes.all(|node| node.is_null()),
            Test::Not(test) => !test.holds(values, record),
            Test::All(tests) => tests.iter().all(|test| test.holds(values, record)),
            Test::Any(tests) => tests.iter().any(|test| test.holds(values, record)),
            Test::Reference { path, how, cased } => {
                let others = path.values(record);
                nodes.any(|node| any(*node, &mut |value| refers(value, &others, *how, *cased)))
            }
            _ => nodes.any(|node| any(*node, &mut |value| self.holds_for(value))),
        }
    }

    /// For one value that is no list.
    fn holds_for(&self, value: Field<'_>) -> bool {
        match self {
            Test::Text { how, cased, any } => text(value).is_some_and(|text| compare(&text, *how, *cased, any)),
            #[cfg(feature = "regex")]
            Test::Regex(regex) => text(value).is_some_and(|text| regex.matches(&text)),
            Test::Cidr(networks) => {
                let address = value.text().and_then(|text| text.parse::<IpAddr>().ok());
                address.is_some_and(|address| networks.iter().any(|network| network.contains(&address)))
            }
            Test::Number(comparison, number) => order(value, *number).is_some_and(|order| match comparison {
                Comparison::Less => order.is_lt(),
                Comparison::AtMost => order.is_le(),
                Comparison::Greater => order.is_gt(),
                Comparison::AtLeast => order.is_ge(),
            }),
            Test::Boolean(wanted) => {
                let word = if *wanted { "true" } else { "false" };
                value.bool() == Some(*wanted) || value.text().is_some_and(|text| text.eq_ignore_ascii_case(word))
            }
            Test::Time(part, number) => crate::time::part(value, *part) == Some(*number),
            Test::Exists(_) | Test::Null | Test::Reference { .. } | Test::Not(_) | Test::All(_) | Test::Any(_) => false,
        }
    }

    fn holds_anywhere(&self, record: &Record) -> bool {
        match self {
            Test::Not(test) => !test.holds_anywhere(record),
            Test::All(tests) => tests.iter().all(|test| test.holds_anywhere(record)),
            Test::Any(tests) => tests.iter().any(|test| test.holds_anywhere(record)),
            test => anywhere(record.root(), &mut |value| test.holds_for(value)),
        }
    }
}

impl Needle {
    fn new(text: &str, how: How, cased: bool) -> Needle {
        let unicode = !text.is_ascii();
        let text = match (cased, unicode) {
            (true, _) => text.to_owned(),
            (false, false) => text.to_ascii_lowercase(),
            (false, true) => text.to_lowercase(),
        };
        let glob = (how == How::Like).then(|| Glob::new(&text));
        Needle { text, unicode, glob }
    }
}

fn compare(text: &str, how: How, cased: bool, any: &[Needle]) -> bool {
    // Folded at most once for all.
    let (mut ascii, mut unicode) = (None, None);
    any.iter().any(|needle| {
        let text: &str = match (cased, needle.unicode) {
            (true, _) => text,
            (false, false) => ascii.get_or_insert_with(|| folded(text)),
            (false, true) => unicode.get_or_insert_with(|| text.to_lowercase()),
        };
        match &needle.glob {
            Some(glob) => glob.matches(text),
            None => relates(text, &needle.text, how),
        }
    })
}

fn relates(text: &str, other: &str, how: How) -> bool {
    match how {
        How::Is => text == other,
        How::Starts => text.starts_with(other),
        How::Ends => text.ends_with(other),
        How::Has => text.contains(other),
        How::Like => false,
    }
}

fn folded(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

fn refers(value: Field<'_>, others: &Values<'_>, how: How, cased: bool) -> bool {
    let Some(mut own) = text(value) else { return false };
    if !cased {
        own = Cow::Owned(own.to_lowercase());
    }
    others.as_slice().iter().any(|other| {
        any(*other, &mut |other| {
            text(other).is_some_and(|other| match cased {
                true => relates(&own, &other, how),
                false => relates(&own, &other.to_lowercase(), how),
            })
        })
    })
}

/// How a number, or a text that is one, compares.
fn order(value: Field<'_>, with: Number) -> Option<std::cmp::Ordering> {
    let text = value.text();
    let integer = match text {
        Some(text) => text.parse().ok(),
        None => value.int().map(i128::from).or_else(|| value.uint().map(i128::from)),
    };
    match (integer, with) {
        (Some(own), Number::Integer(other)) => Some(own.cmp(&i128::from(other))),
        (Some(own), Number::Float(other)) => (own as f64).partial_cmp(&other),
        (None, other) => {
            let own: f64 = text.map_or_else(|| value.float(), |text| text.parse().ok())?;
            let other = match other {
                Number::Integer(other) => other as f64,
                Number::Float(other) => other,
            };
            own.partial_cmp(&other)
        }
    }
}

#[cfg(feature = "regex")]
impl Regex {
    fn matches(&self, text: &str) -> bool {
        // The importer has compiled them before; one that fails all the same is told by the trap.
        let compile = |pattern: &String| regex::Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        self.compiled
            .get_or_init(|| self.patterns.iter().map(compile).collect())
            .iter()
            .any(|regex| regex.is_match(text))
    }
}
