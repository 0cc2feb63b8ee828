//! Foreign text in a report.

/// Between backticks, none of which are in it.
pub fn code(text: &str) -> String {
    format!("`{}`", plain(text).replace('`', "'"))
}

/// On one line, and without what a terminal would act on: names and failures come from the repository.
pub fn plain(text: &str) -> String {
    streamalert_pipeline::printable::printable(text)
}
