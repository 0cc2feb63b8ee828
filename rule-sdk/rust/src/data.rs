//! Rules that are no functions: a component that carries rules as data, and something that judges records by them, tells the host
//! about them with [`rule_set!`](crate::rule_set).

use crate::{Finding, Record};

/// What the host must know of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleData {
    /// Unique over all components that are loaded together.
    pub name: String,
    /// Text for whoever gets the alert.
    pub description: String,
    pub logs: Vec<String>,
    /// A JSON object, as `rule-info` in `wit/detection.wit` has it; conditions for the prefilter are its `when_any`.
    pub options: String,
}

/// Some rules, known by their places.
pub trait RuleSet: Sync {
    /// The same rules at every call, and at least one.
    fn describe(&self) -> Vec<RuleData>;

    /// How many they are. Asked by every instance before its first record, so it must not cost what describing costs.
    fn count(&self) -> usize;

    /// What rule number `rule` of them reports of a record.
    fn judge(&self, rule: usize, record: &Record) -> Option<Finding>;
}

/// Adds the rules of a [`RuleSet`], a `&'static` one, to those of the component. Belongs into the `cdylib` crate itself.
///
/// ```
/// use streamalert_sdk::data::{RuleData, RuleSet};
/// use streamalert_sdk::prelude::*;
///
/// struct Denied(&'static [&'static str]);
///
/// impl RuleSet for Denied {
///     fn describe(&self) -> Vec<RuleData> {
///         let rule = |name: &&str| RuleData {
///             name: format!("{name}_denied"),
///             logs: vec!["cloudtrail:events".into()],
///             options: r#"{"when_any": [[{"path": "errorCode", "test": {"equals": ["AccessDenied"]}}]]}"#.into(),
///             ..RuleData::default()
///         };
///         self.0.iter().map(rule).collect()
///     }
///
///     fn count(&self) -> usize {
///         self.0.len()
///     }
///
///     fn judge(&self, rule: usize, record: &Record) -> Option<Finding> {
///         record.is("eventName", self.0[rule]).then(Finding::default)
///     }
/// }
///
/// static DENIED: Denied = Denied(&["StopLogging", "DeleteTrail"]);
/// streamalert_sdk::rule_set!(&DENIED);
/// # let record = Record::from_json(json!({"eventName": "DeleteTrail"}));
/// # assert!(DENIED.judge(1, &record).is_some() && DENIED.judge(0, &record).is_none());
/// ```
#[macro_export]
macro_rules! rule_set {
    ($rules:expr) => {
        $crate::__private::inventory::submit! { $crate::__private::Entry($rules) }
    };
}

/// What [`rule_set!`](crate::rule_set) leaves behind.
#[doc(hidden)]
pub struct Entry(pub &'static dyn RuleSet);

inventory::collect!(Entry);

/// Their rules come behind the functions'.
#[cfg(target_family = "wasm")]
pub(crate) fn sets() -> impl Iterator<Item = &'static dyn RuleSet> {
    inventory::iter::<Entry>.into_iter().map(|entry| entry.0)
}

/// The set with rule number `rule`, counted through all sets, and its number there.
#[cfg(target_family = "wasm")]
pub(crate) fn find(rule: usize) -> (&'static dyn RuleSet, usize) {
    let mut first = 0;
    for set in sets() {
        let count = set.count();
        if rule < first + count {
            return (set, rule - first);
        }
        first += count;
    }
    panic!("there is no rule {rule}")
}
