//! What the attribute leaves behind of a rule, and what its function may return.

use crate::{Finding, Record};
use std::sync::OnceLock;

/// One rule, as the attribute wrote it down.
pub struct Rule {
    pub name: &'static str,
    /// Tells rules of one name apart, so that their order is the same in every build.
    pub module: &'static str,
    pub description: &'static str,
    pub logs: &'static [&'static str],
    pub when: &'static [Condition],
    /// A JSON object.
    pub options: &'static str,
    pub judge: fn(&Record) -> Option<Finding>,
}

pub struct Condition {
    pub path: &'static str,
    pub test: Test,
}

pub enum Test {
    Equals(&'static [Literal]),
    Prefix(&'static [&'static str]),
    Suffix(&'static [&'static str]),
    Contains(&'static [&'static str]),
    Exists,
}

pub enum Literal {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
}

inventory::collect!(Rule);

/// All rules of this program by name. Linkers do not promise an order, and the host knows a rule by its place.
pub fn rules() -> &'static [&'static Rule] {
    static RULES: OnceLock<Vec<&'static Rule>> = OnceLock::new();
    RULES.get_or_init(|| {
        let mut rules: Vec<_> = inventory::iter::<Rule>.into_iter().collect();
        rules.sort_by_key(|rule| (rule.name, rule.module));
        rules
    })
}

/// What a rule may return: `bool`, [`Finding`], or an `Option` of either.
///
/// `false` and `None` report nothing. `true` reports the record under the rule's own title and severity. With
/// `Option<bool>` or `Option<Finding>` a rule can leave by `?` when a value it needs is not there.
#[diagnostic::on_unimplemented(
    message = "a rule cannot return `{Self}`",
    label = "not a verdict",
    note = "a rule returns `bool`, `Finding`, `Option<bool>` or `Option<Finding>`"
)]
pub trait Verdict {
    fn finding(self) -> Option<Finding>;
}

impl Verdict for bool {
    #[inline]
    fn finding(self) -> Option<Finding> {
        if self { Some(Finding::default()) } else { None }
    }
}

impl Verdict for Finding {
    #[inline]
    fn finding(self) -> Option<Finding> {
        Some(self)
    }
}

impl<V: Verdict> Verdict for Option<V> {
    #[inline]
    fn finding(self) -> Option<Finding> {
        self.and_then(V::finding)
    }
}
