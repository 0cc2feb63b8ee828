//! The attribute `#[rule]`, which `streamalert-sdk` passes on to the authors of rules.

mod expand;
mod options;

/// Makes a function a rule. It stays an ordinary function; its doc comment becomes the description of its alerts.
///
/// | option | value |
/// |---|---|
/// | `logs` (needed) | log types, as in `["cloudtrail:events"]` |
/// | `when(…)` | conditions that must all hold before the function is called |
/// | `outputs` | `service:descriptor` each |
/// | `publishers` | a name, names, or a JSON object by output |
/// | `merge(by = […], minutes = …)` | folds alerts with equal values under `by` into one |
/// | `context` | a JSON object that goes with every alert |
/// | `severity` | `info`, `low`, `medium`, `high` or `critical` |
/// | `tags`, `references`, `tests` | texts |
#[proc_macro_attribute]
pub fn rule(options: proc_macro::TokenStream, function: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand::rule(options.into(), function.into()).into()
}
