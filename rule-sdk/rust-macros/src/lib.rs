//! The attributes `#[rule]` and `#[parser]`, which `streamalert-sdk` and `streamalert-parser-sdk` pass on to authors.

mod expand;
mod options;
mod parser;

/// Makes a function a rule. It stays an ordinary function; its doc comment becomes the description of its alerts.
///
/// | option | value |
/// |---|---|
/// | `logs` (needed) | log types, as in `["cloudtrail:events"]` |
/// | `when(…)` | conditions that must all hold before the function is called |
/// | `outputs` | `service:descriptor` each |
/// | `publishers` | a name, names, or a JSON object by output |
/// | `merge(by = […], minutes = …)` | folds alerts with equal values under `by`, or without it of equal dedup key, into one; also `on = "event"` (windows of the log's own time), `first = "send"` (the first at once), `max = N` (alerts in one), `threshold = N` (fewer are none) |
/// | `context` | a JSON object that goes with every alert |
/// | `severity` | `info`, `low`, `medium`, `high` or `critical` |
/// | `tags`, `references`, `tests` | texts |
#[proc_macro_attribute]
pub fn rule(options: proc_macro::TokenStream, function: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand::rule(options.into(), function.into()).into()
}

/// Makes a function the parser of its component. It stays an ordinary function; its doc comment becomes the description.
///
/// | option | value |
/// |---|---|
/// | `schemas` (needed) | a schema file, by its place in the crate; or its text; or any `&'static str` |
/// | `takes` | `lines`: any number of whole lines; `whole`: an object as large as it is. Without it `lines` |
/// | `sniff` | a function `fn(head: &[u8]) -> bool` that knows the parser's own objects by their first bytes |
/// | `name` | what clusters call it; without it, the name of the function |
#[proc_macro_attribute]
pub fn parser(options: proc_macro::TokenStream, function: proc_macro::TokenStream) -> proc_macro::TokenStream {
    parser::parser(options.into(), function.into()).into()
}
