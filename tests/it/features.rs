//! `docs/features.md` says where everything of StreamAlert 3 is: what it names must be there, and nothing may be left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Beginnings of what is a path within the checkout.
const FOLDERS: [&str; 7] = ["host/", "rule-sdk/", "conf/", "infra/", "tests/", "wit/", "example-rules/"];
/// Files of the original's configuration, which the page names and says what stands in their place.
const THEIRS: [&str; 4] = ["conf/logs.json", "conf/*.json", "conf/clusters/*.json", "conf/schemas/*.json"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/features.md")).unwrap()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of a row of a table. A `|` between backquotes divides nothing.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let (mut cells, mut code, mut from) = (Vec::new(), false, 0);
    for (at, character) in line.char_indices() {
        match character {
            '`' => code = !code,
            '|' if !code => {
                cells.push(line[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    cells.push(line[from..].trim());
    Some(cells)
}

/// Rows of tables with the number of their section (`## 7. Outputs`), outside of blocks of code.
fn rows(text: &str) -> Vec<(u32, Vec<&str>)> {
    let (mut section, mut code, mut rows) = (0, false, Vec::new());
    for line in text.lines() {
        if line.starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        if let Some(heading) = line.strip_prefix("## ") {
            let digits: String = heading.chars().take_while(char::is_ascii_digit).collect();
            section = digits.parse().unwrap_or(0);
        }
        rows.extend(cells(line).map(|cells| (section, cells)));
    }
    rows
}

#[test]
fn every_row_says_what_became_of_a_feature() {
    let page = page();
    let of_features: Vec<Vec<&str>> =
        rows(&page).into_iter().map(|(_, cells)| cells).filter(|cells| cells.len() == 3).collect();
    assert!(of_features.len() > 500, "{} rows", of_features.len());
    for cells in of_features {
        let [feature, here, how] = cells[..] else { unreachable!("it has three") };
        if feature == "StreamAlert" || feature.starts_with("---") {
            continue;
        }
        assert!(["done", "better", "left out"].contains(&here), "`{here}` of `{feature}` is none of the three");
        assert!(!feature.is_empty() && !how.is_empty(), "a row says nothing: {feature} | {how}");
    }
    // And a heading for each entry of the table of contents, by the name that a reader's click looks for.
    let named = |heading: &str| -> String {
        let kept =
            heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        kept.replace(' ', "-")
    };
    let headings: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| named(line.trim_start_matches('#').trim()))
        .collect();
    let links: Vec<&str> = page.split("](#").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect();
    assert!(links.len() > 30, "{links:?}");
    for link in links {
        assert!(headings.contains(link), "there is no heading #{link}");
    }
}

#[test]
fn every_path_is_there() {
    let page = page();
    let paths: BTreeSet<&str> =
        quoted(&page).filter(|name| FOLDERS.iter().any(|folder| name.starts_with(folder))).collect();
    assert!(paths.len() > 50, "{paths:?}");
    for path in paths {
        assert!(
            THEIRS.contains(&path) || root().join(path).exists(),
            "docs/features.md names {path}, which is not there"
        );
    }
}

/// Names of the commands below one, as its help lists them.
fn below(command: &[&str]) -> BTreeSet<String> {
    let output = Command::new(crate::run_world::program()).args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return BTreeSet::new() };
    // What goes on in a second line stands further to the right.
    let list: Vec<&str> = list.lines().take_while(|line| !line.is_empty()).collect();
    let list = list.join("\n").replace("\n   ", " ");
    let mut names = BTreeSet::new();
    for line in list.lines() {
        names.extend(line.split_whitespace().next().map(str::to_owned));
        let aliases = line.split_once("[alias").and_then(|(_, rest)| rest.split_once(':')?.1.split_once(']'));
        names.extend(aliases.into_iter().flat_map(|(names, _)| names.split(',')).map(|name| name.trim().to_owned()));
    }
    names
}

#[test]
fn every_command_is_one_of_the_program() {
    let page = page();
    let mut known: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    let mut named = 0;
    for command in quoted(&page).filter_map(|text| text.strip_prefix("streamalert ")) {
        let mut so_far: Vec<String> = Vec::new();
        for word in command.split_whitespace() {
            let below = known.entry(so_far.clone()).or_insert_with(|| {
                let so_far: Vec<&str> = so_far.iter().map(String::as_str).collect();
                below(&so_far)
            });
            if below.is_empty() {
                break;
            }
            assert!(
                below.contains(word),
                "`streamalert {command}`: there is no `{word}` after {so_far:?}, there are {below:?}"
            );
            so_far.push(word.to_owned());
        }
        assert!(!so_far.is_empty(), "`streamalert {command}` names no command");
        named += 1;
    }
    assert!(named > 50, "{named} commands");
}

/// A specification of the original beside the checkout, or `None` after saying that the test is skipped.
fn specification(name: &str) -> Option<String> {
    let root = root();
    let found = root.ancestors().map(|above| above.join("shared/spec").join(name)).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: there is no `shared/spec/{name}` beside the checkout");
    }
    found.map(|file| std::fs::read_to_string(file).unwrap())
}

#[test]
fn no_feature_of_the_original_is_left_unsaid() {
    let page = page();
    let said: BTreeSet<&str> = quoted(&page).collect();
    // Of the last sections: defects, wishes, what should be kept; measurements.
    for (file, last) in [("alerts.md", 18), ("ingest.md", 14)] {
        let Some(text) = specification(file) else { continue };
        let features = rows(&text).into_iter().filter(|(section, _)| (1..=last).contains(section));
        let names: Vec<(u32, String)> = features
            .flat_map(|(section, cells)| {
                quoted(cells[0]).map(move |name| (section, name.to_owned())).collect::<Vec<_>>()
            })
            .collect();
        assert!(names.len() > 80, "{file}: {} names", names.len());
        let unsaid: Vec<&(u32, String)> = names.iter().filter(|(_, name)| !said.contains(name.as_str())).collect();
        assert!(unsaid.is_empty(), "docs/features.md says nothing of these of {file}: {unsaid:?}");
    }
}
