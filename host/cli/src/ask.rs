//! Questions to whoever sits there. They go to stderr: stdout is for data.

use crate::Failure;
use anyhow::{Context, anyhow};
use std::io::{BufRead, IsTerminal, Write};

/// Somebody reads and can answer.
pub fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A line; nothing but Enter is the default.
pub fn text(question: &str, default: &str) -> Result<String, Failure> {
    let line = line(&format!("{question} [{default}]: "))?;
    Ok(if line.is_empty() { default.to_owned() } else { line })
}

/// Only `y` and `yes` are yes.
pub fn yes(question: &str) -> Result<bool, Failure> {
    Ok(matches!(line(&format!("{question} [y/N]: "))?.to_lowercase().as_str(), "y" | "yes"))
}

/// Whether exactly `word` was typed.
pub fn word(question: &str, word: &str) -> Result<bool, Failure> {
    Ok(line(&format!("{question}\nType {word} to go on: "))? == word)
}

fn line(prompt: &str) -> Result<String, Failure> {
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{prompt}").and_then(|()| stderr.flush()).context("ask a question")?;
    let mut line = String::new();
    let bytes = std::io::stdin().lock().read_line(&mut line).context("read the answer")?;
    if bytes == 0 {
        return Err(Failure::Usage(anyhow!("the input ended before the question was answered")));
    }
    Ok(line.trim().to_owned())
}
