//! Sigma rules within a component. `streamalert import sigma` reads YAML, resolves fields and modifiers, and writes each rule as a
//! line of JSON ([`rule`]); this crate, linked into the component, tells the host about them and judges records by them.
//!
//! ```ignore
//! streamalert_sigma::rules!("rules.jsonl", "ends.in");
//! ```

mod evaluate;
mod glob;
pub mod rule;
mod set;
mod time;
mod values;

pub use evaluate::Judge;
pub use set::Rules;

/// Makes a component of a file of rules, one in each line, and a file with the places where these lines end, as a list in Rust.
/// The files' names count from the source file.
#[macro_export]
macro_rules! rules {
    ($rules:literal, $ends:literal) => {
        static RULES: $crate::Rules = $crate::Rules::new(include_str!($rules), &include!($ends));
        $crate::__private::rule_set!(&RULES);
    };
}

/// What the expansion of [`rules!`] names. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use streamalert_sdk::rule_set;
}
