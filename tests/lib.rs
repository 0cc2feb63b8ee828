//! Scenarios live in `it/`.

/// Whether a benchmark is only tried: every part once, and its figures mean nothing. Cargo says `--bench` when figures are
/// wanted; in a test run (`cargo test --bench NAME`) it says nothing, or `--test`.
pub fn tried_only() -> bool {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    said("--test") || !said("--bench")
}
