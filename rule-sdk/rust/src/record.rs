//! Reading a log record.

use serde_json::Value;
use std::cell::RefCell;
use std::fmt;
use streamalert_packed as packed;

/// A log record. Values are found by path: `userIdentity.arn`, with `\.` for a dot inside a key and a number for an item
/// of a list, `resources.0.type`.
///
/// Nothing is converted: a text of digits is no integer, and the integer 1 is not `true`.
#[repr(transparent)]
pub struct Record(
    // Always what `packed::Builder` wrote: the constructors below see to it.
    [u8],
);

thread_local! {
    static PATHS: RefCell<packed::Paths> = const { RefCell::new(packed::Paths::new()) };
}

impl Record {
    /// A record for tests. It is read in the same way as the host's.
    ///
    /// ```
    /// # use streamalert_sdk::prelude::*;
    /// let record = Record::from_json(json!({"who": {"name": "eve"}, "ports": [22, 80]}));
    /// assert_eq!(record.text("who.name"), Some("eve"));
    /// assert_eq!(record.int("ports.1"), Some(80));
    /// assert_eq!(record.text("who.email"), None);
    /// ```
    pub fn from_json(value: Value) -> Box<Record> {
        let mut bytes = Vec::new();
        packed::Builder::json(&mut bytes, &value);
        let bytes = Box::into_raw(bytes.into_boxed_slice());
        // SAFETY: `Record` is a transparent `[u8]`, and the builder wrote these bytes.
        unsafe { Box::from_raw(bytes as *mut Record) }
    }

    /// A record for tests from JSON text, such as `include_str!("login.json")`.
    pub fn parse(json: &str) -> Result<Box<Record>, serde_json::Error> {
        serde_json::from_str(json).map(Record::from_json)
    }

    #[cfg(target_family = "wasm")]
    pub(crate) fn packed(record: packed::Record<'_>) -> &Record {
        // SAFETY: `Record` is a transparent `[u8]`; whoever made the packed record promised what the bytes are.
        unsafe { &*(record.bytes() as *const [u8] as *const Record) }
    }

    #[inline]
    fn view(&self) -> packed::Record<'_> {
        // SAFETY: the promise of both constructors.
        unsafe { packed::Record::trusted(&self.0) }
    }

    #[inline]
    fn node(&self, path: &str) -> Option<packed::Node<'_>> {
        watch::read(path);
        PATHS.with_borrow_mut(|paths| paths.get(self.view(), path))
    }

    /// The text at `path`. `None`: nothing there, or something else than text. A number that fits neither 64 bits nor a
    /// double counts as text, as it was written.
    #[inline]
    pub fn text(&self, path: &str) -> Option<&str> {
        Field(self.node(path)?).text()
    }

    /// The text at `path`, or `default` where [`Record::text`] has none.
    #[inline]
    pub fn text_or<'a>(&'a self, path: &str, default: &'a str) -> &'a str {
        self.text(path).unwrap_or(default)
    }

    /// The integer at `path`. `None`: nothing there, no integer (1.0 is none), or above `i64::MAX`.
    #[inline]
    pub fn int(&self, path: &str) -> Option<i64> {
        self.node(path)?.as_i64()
    }

    /// The integer at `path`. `None`: nothing there, no integer (1.0 is none), or a negative one.
    #[inline]
    pub fn uint(&self, path: &str) -> Option<u64> {
        self.node(path)?.as_u64()
    }

    /// The number at `path`, rounded where a double does not hold it. `None`: nothing there, or no number.
    #[inline]
    pub fn float(&self, path: &str) -> Option<f64> {
        self.node(path)?.as_f64()
    }

    /// The boolean at `path`. `None`: nothing there, or no boolean.
    #[inline]
    pub fn bool(&self, path: &str) -> Option<bool> {
        self.node(path)?.as_bool()
    }

    /// Whether anything is at `path`, a null too.
    #[inline]
    pub fn exists(&self, path: &str) -> bool {
        self.node(path).is_some()
    }

    /// Whether a null is at `path`; `false` when nothing is there.
    #[inline]
    pub fn is_null(&self, path: &str) -> bool {
        self.node(path).is_some_and(packed::Node::is_null)
    }

    /// How many items the list, or entries the object, at `path` has. `None`: nothing there, or neither list nor object.
    #[inline]
    pub fn len(&self, path: &str) -> Option<usize> {
        Field(self.node(path)?).len()
    }

    /// Whether the text at `path` is `text`; `false` when nothing is there.
    #[inline]
    pub fn is(&self, path: &str, text: &str) -> bool {
        self.text(path).is_some_and(|found| packed::same(found.as_bytes(), text.as_bytes()))
    }

    /// Whether the text at `path` is one of these; `false` when nothing is there.
    #[inline]
    pub fn is_any<S: AsRef<str>>(&self, path: &str, texts: &[S]) -> bool {
        self.text(path)
            .is_some_and(|found| texts.iter().any(|text| packed::same(text.as_ref().as_bytes(), found.as_bytes())))
    }

    /// The texts of the list at `path`, passing over other items; a text counts as a list of one. Nothing there, or
    /// something else: no texts.
    pub fn texts(&self, path: &str) -> impl Iterator<Item = &str> {
        let node = self.node(path);
        let single = node.and_then(|node| Field(node).text());
        single.into_iter().chain(node.into_iter().flat_map(packed::Node::items).filter_map(|item| Field(item).text()))
    }

    /// The items of the list at `path`. Nothing there, or no list: no items.
    pub fn items(&self, path: &str) -> impl Iterator<Item = Field<'_>> {
        self.node(path).into_iter().flat_map(packed::Node::items).map(Field)
    }

    /// What is at `path`, to be walked on from there. `None`: nothing there.
    #[inline]
    pub fn field(&self, path: &str) -> Option<Field<'_>> {
        self.node(path).map(Field)
    }

    /// What is at `path` as a JSON value of its own. `None`: nothing there; a null is `Some(Value::Null)`.
    pub fn value(&self, path: &str) -> Option<Value> {
        self.node(path).map(packed::Node::to_value)
    }

    /// The whole record, to be walked.
    #[inline]
    pub fn root(&self) -> Field<'_> {
        watch::read_all();
        Field(self.view().root())
    }

    /// The whole record as a JSON value of its own.
    pub fn to_value(&self) -> Value {
        self.root().to_value()
    }

    /// The whole record as JSON text.
    pub fn json(&self) -> String {
        self.root().json()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.view().to_json())
    }
}

/// One value within a record. An explaining host is shown where the walk began, not its steps.
#[derive(Clone, Copy)]
pub struct Field<'a>(packed::Node<'a>);

impl<'a> Field<'a> {
    /// `None`: something else than text. A number that fits neither 64 bits nor a double counts as text, as written.
    #[inline]
    pub fn text(self) -> Option<&'a str> {
        self.0.as_str().or_else(|| self.0.as_number_text())
    }

    /// `None`: no integer (1.0 is none), or above `i64::MAX`.
    #[inline]
    pub fn int(self) -> Option<i64> {
        self.0.as_i64()
    }

    /// `None`: no integer (1.0 is none), or a negative one.
    #[inline]
    pub fn uint(self) -> Option<u64> {
        self.0.as_u64()
    }

    /// Rounded where a double does not hold it. `None`: no number.
    #[inline]
    pub fn float(self) -> Option<f64> {
        self.0.as_f64()
    }

    /// `None`: no boolean.
    #[inline]
    pub fn bool(self) -> Option<bool> {
        self.0.as_bool()
    }

    #[inline]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    #[inline]
    pub fn is_object(self) -> bool {
        self.0.kind() == packed::Kind::Object
    }

    #[inline]
    pub fn is_list(self) -> bool {
        self.0.kind() == packed::Kind::Array
    }

    /// How many items or entries. `None`: neither list nor object.
    #[inline]
    pub fn len(self) -> Option<usize> {
        (self.is_list() || self.is_object()).then(|| self.0.len())
    }

    /// A list without items, or an object without entries; `false` for anything else.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == Some(0)
    }

    /// What lies at `path` from here. `None`: nothing.
    pub fn at(self, path: &str) -> Option<Field<'a>> {
        let node = packed::segments(path).try_fold(self.0, |node, segment| node.step(&segment));
        node.map(Field)
    }

    /// The value under this very key, whatever dots it has. `None`: no object, or no such key.
    #[inline]
    pub fn get(self, key: &str) -> Option<Field<'a>> {
        self.0.get(key).map(Field)
    }

    /// `None`: no list, or a shorter one.
    #[inline]
    pub fn item(self, index: usize) -> Option<Field<'a>> {
        self.0.item(index).map(Field)
    }

    /// The items of a list; of anything else, none.
    pub fn items(self) -> impl Iterator<Item = Field<'a>> {
        self.0.items().map(Field)
    }

    /// The keys and values of an object in the order of the log; of anything else, none.
    pub fn entries(self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        self.0.entries().map(|(key, node)| (key, Field(node)))
    }

    pub fn to_value(self) -> Value {
        self.0.to_value()
    }

    pub fn json(self) -> String {
        let mut out = String::new();
        self.0.write_json(&mut out);
        out
    }
}

impl<'a> From<&'a Record> for Field<'a> {
    fn from(record: &'a Record) -> Self {
        record.root()
    }
}

impl<'a> From<&'a Box<Record>> for Field<'a> {
    fn from(record: &'a Box<Record>) -> Self {
        record.root()
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json())
    }
}

/// Shows each read to a host that asked for it.
#[cfg(target_family = "wasm")]
pub(crate) mod watch {
    use crate::guest::host::records;
    use std::cell::Cell;

    thread_local! {
        /// The row at work, while the host wants to see reads.
        static ROW: Cell<Option<u32>> = const { Cell::new(None) };
    }

    pub fn set(row: Option<u32>) {
        ROW.set(row);
    }

    #[inline]
    pub fn read(path: &str) {
        if let Some(row) = ROW.get() {
            records::get(row, path);
        }
    }

    #[inline]
    pub fn read_all() {
        if let Some(row) = ROW.get() {
            records::json(row);
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod watch {
    #[inline]
    pub fn read(_path: &str) {}

    #[inline]
    pub fn read_all() {}
}
