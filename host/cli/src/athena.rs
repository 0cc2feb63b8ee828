//! `streamalert search --athena`: the question goes to Athena, and its rows are shown as they come.

use crate::commands::search::Output;
use crate::{Failure, cloud};
use anyhow::{Context, anyhow};
use serde_json::json;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamalert_aws::athena::{Athena, AthenaError, Execution, Page, is_refused};
use streamalert_aws::glue::Glue;

/// Nobody waits longer in front of a screen.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// What is asked of an installation on AWS.
pub enum Ask<'a> {
    /// `-` is what stdin says.
    Query(&'a str),
    Tables,
    Columns(&'a str),
}

/// Of the installation that `folder`/aws.json names. Data goes to stdout, what it cost to stderr.
pub fn search(folder: &Path, ask: &Ask<'_>, output: Output) -> Result<(), Failure> {
    let cloud = cloud::connect(folder)?;
    let out = BufWriter::new(std::io::stdout().lock());
    match ask {
        Ask::Query(sql) => {
            let mut text = String::new();
            let sql = match *sql {
                "-" => {
                    std::io::stdin().read_to_string(&mut text).context("read the query from stdin")?;
                    &text
                }
                sql => sql,
            };
            if sql.trim().is_empty() {
                return Err(Failure::Usage(anyhow!("the query is empty")));
            }
            rows(&cloud, sql, output, out)
        }
        Ask::Tables => {
            let glue = Glue::new(&cloud.aws, &cloud.names);
            let tables = cloud.aws.wait(glue.tables()).map_err(anyhow::Error::from)?;
            let page = |name: &String| vec![Some(name.clone())];
            listed(out, output, &["table"], tables.keys().map(page).collect())
        }
        Ask::Columns(table) => {
            let glue = Glue::new(&cloud.aws, &cloud.names);
            let found = cloud.aws.wait(glue.table(&table.to_lowercase())).map_err(anyhow::Error::from)?;
            let Some(found) = found else {
                return Err(Failure::Usage(anyhow!("there is no table {table}; --tables lists them")));
            };
            let row = |column: &streamalert_pipeline::archive::Column| {
                vec![Some(column.name.clone()), Some(column.kind.clone())]
            };
            listed(out, output, &["column", "type"], found.columns.iter().map(row).collect())
        }
    }
}

fn listed(mut out: impl Write, output: Output, names: &[&str], rows: Vec<Vec<Option<String>>>) -> Result<(), Failure> {
    use streamalert_aws::athena::ResultColumn;
    let column = |name: &&str| ResultColumn { name: (*name).to_owned(), kind: "varchar".into() };
    let page = Page { columns: names.iter().map(column).collect(), rows, next: None };
    written(show(&mut out, &page, output, true).and_then(|()| out.flush()))
}

fn rows(cloud: &cloud::Cloud, sql: &str, output: Output, mut out: impl Write) -> Result<(), Failure> {
    let athena = Athena::new(&cloud.aws, &cloud.names);
    // Each time is another question.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let token = format!("search {now} {}", std::process::id());
    let done = cloud.aws.wait(async {
        let id = athena.start(sql, &token).await?;
        tokio::select! {
            done = waited(&athena, &id) => done,
            _ = tokio::signal::ctrl_c() => {
                // It costs by what it reads.
                athena.stop(&id).await?;
                Err(AthenaError::Failed { id, reason: "it was stopped here".into(), retryable: false })
            }
        }
    });
    let done = done.map_err(|error| match error {
        AthenaError::Call(error) if is_refused(&error) => Failure::Usage(anyhow::Error::from(error)),
        // What was asked is wrong, and said to be only now.
        AthenaError::Failed { ref reason, .. } if is_wrong(reason) => Failure::Usage(anyhow::Error::from(error)),
        other => Failure::Running(anyhow::Error::from(other)),
    })?;
    let (mut next, mut count, mut first) = (None::<String>, 0_u64, true);
    loop {
        let page = cloud.aws.wait(athena.page(&done, next.as_deref())).map_err(anyhow::Error::from)?;
        count += page.rows.len() as u64;
        written(show(&mut out, &page, output, first).and_then(|()| out.flush()))?;
        first = false;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    eprintln!("{count} rows; {} bytes scanned in {:.1} s", done.scanned_bytes, done.millis as f64 / 1e3);
    Ok(())
}

async fn waited(athena: &Athena, id: &str) -> Result<Execution, AthenaError> {
    match athena.wait(id, std::time::Instant::now() + PATIENCE).await? {
        Some(execution) => execution.succeeded(),
        None => {
            athena.stop(id).await?;
            Err(AthenaError::TimedOut { id: id.to_owned(), patience: PATIENCE })
        }
    }
}

/// Words that Athena's reasons begin with when the question is at fault.
fn is_wrong(reason: &str) -> bool {
    const WRONG: [&str; 8] = [
        "SYNTAX_ERROR",
        "COLUMN_NOT_FOUND",
        "TABLE_NOT_FOUND",
        "SCHEMA_NOT_FOUND",
        "TYPE_MISMATCH",
        "FUNCTION_NOT_FOUND",
        "INVALID_FUNCTION_ARGUMENT",
        "line ",
    ];
    WRONG.iter().any(|word| reason.starts_with(word))
}

/// Whoever reads may have enough, as `head` has.
fn written(done: std::io::Result<()>) -> Result<(), Failure> {
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done.context("write to stdout")?),
    }
}

fn show(out: &mut impl Write, page: &Page, output: Output, first: bool) -> std::io::Result<()> {
    match output {
        Output::Json => {
            for row in &page.rows {
                writeln!(out, "{}", json!(page.object(row)))?;
            }
            Ok(())
        }
        Output::Csv => {
            let names: Vec<Option<String>> = page.columns.iter().map(|column| Some(column.name.clone())).collect();
            for row in first.then_some(&names).into_iter().chain(&page.rows) {
                let cells: Vec<String> = row.iter().map(|cell| csv(cell.as_deref().unwrap_or_default())).collect();
                writeln!(out, "{}", cells.join(","))?;
            }
            Ok(())
        }
        Output::Text => text(out, page),
    }
}

fn csv(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

/// Each page is a table of its own, since what comes later may be wider.
fn text(out: &mut impl Write, page: &Page) -> std::io::Result<()> {
    // What would move the cursor is shown and not done.
    let plain = |cell: &str| -> String {
        cell.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
    };
    let cells: Vec<Vec<String>> = page
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| plain(cell.as_deref().unwrap_or_default())).collect())
        .collect();
    let names: Vec<String> = page.columns.iter().map(|column| plain(&column.name)).collect();
    let width = |at: usize| {
        let of = cells.iter().filter_map(|row| row.get(at)).chain(names.get(at));
        of.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = widths.iter().enumerate().map(|(at, width)| {
            let cell = row.get(at).map_or("", String::as_str);
            format!(" {cell}{} ", " ".repeat(width - cell.chars().count()))
        });
        format!("|{}|", cells.collect::<Vec<_>>().join("|"))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let rule = format!("+{}+", rule.join("+"));
    writeln!(out, "{rule}\n{}\n{rule}", line(&names))?;
    for row in &cells {
        writeln!(out, "{}", line(row))?;
    }
    writeln!(out, "{rule}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamalert_aws::athena::ResultColumn;

    fn page() -> Page {
        let column = |name: &str, kind: &str| ResultColumn { name: name.into(), kind: kind.into() };
        Page {
            columns: vec![column("who", "varchar"), column("n", "bigint")],
            rows: vec![vec![Some("a,\"b\"\u{1b}[2J".into()), Some("7".into())], vec![None, Some("12".into())]],
            next: None,
        }
    }

    fn shown(output: Output) -> String {
        let mut out = Vec::new();
        show(&mut out, &page(), output, true).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_shown_as_is_asked() {
        assert_eq!(shown(Output::Json), "{\"who\":\"a,\\\"b\\\"\\u001b[2J\",\"n\":7}\n{\"who\":null,\"n\":12}\n");
        assert_eq!(shown(Output::Csv), "who,n\n\"a,\"\"b\"\"\u{1b}[2J\",7\n,12\n");
        let text = shown(Output::Text);
        assert!(text.contains("| n  |") && text.contains("| 12 |") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_question_that_is_wrong_is_told_from_a_service_that_is() {
        assert!(is_wrong("SYNTAX_ERROR: line 1:8: Column 'x' cannot be resolved"));
        assert!(!is_wrong("GENERIC_INTERNAL_ERROR: out of memory"));
    }
}
