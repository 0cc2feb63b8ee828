//! Text formats of logs: one input, as text, becomes named fields. Types come later, from the schema. No clock, no files.
//!
//! Every parser takes the text of one input and appends what it finds to a list that the caller reuses, so that nothing is
//! allocated for a field that stands in the input as it is.

pub mod csv;

use std::borrow::Cow;

/// Named fields in the order of the input. A name may come twice; the last counts.
pub type Fields<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// What stands in a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Named, but said to be nothing, such as `-`.
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Object(Fields<'a>),
    List(Vec<Value<'a>>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

/// Why an input is not of a format: for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Fault(message.into())
    }
}
