//! A rule with everything resolved: fields are paths, modifiers are tests. What the importer writes and the component reads.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: String,
    pub title: String,
    pub description: String,
    pub logs: Vec<String>,
    /// As the host wants them.
    pub options: Map<String, Value>,
    pub detect: Expr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    /// So many of these.
    AtLeast(usize, Vec<Expr>),
    Field(Field),
    /// Anywhere in the record.
    Keyword(Test),
}

/// What a field holds, tested. A list holds what any of its items does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub path: String,
    /// The classifier puts something empty here where the log has nothing, so empty counts as not there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub filled: bool,
    pub test: Test,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    Text(Text),
    /// Any of these expressions, with their flags in front.
    Regex(Vec<String>),
    /// An address in any of these networks.
    Cidr(Vec<String>),
    Number(Comparison, Number),
    Exists(bool),
    /// Nothing there, or a null.
    Null,
    Boolean(bool),
    /// Compared with what is at another path.
    Reference(Reference),
    /// A part of a point in time, in UTC.
    Time(TimePart, i64),
    /// Something is there, and the test does not hold.
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

/// A comparison with any of some texts. Numbers and booleans are compared as their texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub how: How,
    /// Case counts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cased: bool,
    pub any: Vec<String>,
}

/// What Windows programs take for the dash in front of an option.
pub const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Is,
    Starts,
    Ends,
    Has,
    /// A pattern: `*` any characters, `?` one, `~` one of [`DASHES`]; each of them and `\` as itself
    /// behind a `\`.
    Like,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    Integer(i64),
    Float(f64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    pub path: String,
    /// Not [`How::Like`].
    pub how: How,
    #[serde(default, skip_serializing_if = "is_false")]
    pub cased: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}
