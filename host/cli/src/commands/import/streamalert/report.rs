//! What came of an import, for whoever reads it and for programs.

use crate::commands::import::markdown::{code, plain};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub struct Report {
    pub repository: String,
    #[serde(flatten)]
    pub components: Components,
    /// What could not be brought over of the configuration, or has to be filled in.
    pub conf: Vec<Note>,
    pub cases: Cases,
}

/// What Python says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    pub rules: Vec<Rule>,
    pub left_out: Vec<LeftOut>,
    pub broken: Vec<Broken>,
    /// The repository's own, which run as they are.
    pub publishers: Vec<String>,
    /// Of those that StreamAlert brought along, what the repository has.
    pub hosts_own_publishers: Vec<String>,
    pub notes: Vec<String>,
    /// Packages that were fetched.
    pub installed: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub rule: String,
    pub file: String,
    pub logs: Vec<String>,
    pub when: Vec<String>,
    pub notes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub rule: String,
    pub file: String,
    pub why: String,
}

impl LeftOut {
    pub fn is_disabled(&self) -> bool {
        self.why == "it is disabled"
    }
}

/// A file that could not be imported.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broken {
    pub file: String,
    pub why: String,
}

/// Something about a file of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    pub file: String,
    pub message: String,
}

impl Note {
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        Note { file: file.into(), message: message.into() }
    }
}

#[derive(Default, Serialize)]
pub struct Cases {
    pub files: usize,
    pub events: usize,
    pub notes: Vec<Note>,
}

impl Report {
    /// Rules and files that somebody wrote to be there, and that are not.
    pub fn lost(&self) -> usize {
        self.components.broken.len() + self.components.left_out.iter().filter(|left| !left.is_disabled()).count()
    }

    /// As Markdown.
    pub fn text(&self) -> String {
        let Components { rules, left_out, broken, publishers, hosts_own_publishers, notes, installed } =
            &self.components;
        let mut out = format!("# Import of {}\n", self.repository);
        let mut section = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                out += &format!("\n## {title}\n\n{}\n", lines.join("\n"));
            }
        };
        let item = |name: &str, text: &str| format!("- {}: {}", code(name), plain(text));
        section("Files that could not be imported", broken.iter().map(|one| item(&one.file, &one.why)).collect());
        section(
            "Rules that are not there",
            left_out.iter().map(|one| item(&format!("{} ({})", one.rule, one.file), &one.why)).collect(),
        );
        let noted = |note: &Note| item(&note.file, &note.message);
        section(
            "Configuration: what is not brought over, or has to be filled in",
            self.conf.iter().map(noted).collect(),
        );
        section("Test events", self.cases.notes.iter().map(noted).collect());
        section("Python", notes.iter().map(|note| format!("- {}", plain(note))).collect());
        section("Packages in the component", installed.iter().map(|name| format!("- {}", code(name))).collect());
        let mut lines: Vec<String> = publishers.iter().map(|name| format!("- {}", code(name))).collect();
        lines.extend(hosts_own_publishers.iter().map(|name| {
            format!("- {}: the host's own of this name is used; if yours is changed, give it another name", code(name))
        }));
        section("Publishers", lines);
        let mut lines = Vec::new();
        for rule in rules {
            let when = match rule.when.is_empty() {
                true => "no conditions".to_owned(),
                false => rule.when.iter().map(|condition| code(condition)).collect::<Vec<_>>().join(", "),
            };
            lines.push(format!("- {} ({}) over {}: {when}", code(&rule.rule), code(&rule.file), logs(&rule.logs)));
            lines.extend(rule.notes.iter().map(|note| format!("  - {}", plain(note))));
        }
        section("Rules, and what the prefilter asks before they are", lines);
        out
    }
}

/// Log types that are named; of more, how many there are.
const LOGS_NAMED: usize = 5;

fn logs(logs: &[String]) -> String {
    match logs.len() {
        0 => "whatever has its datatypes".into(),
        count if count > LOGS_NAMED => format!("{count} log types"),
        _ => logs.iter().map(|log| code(log)).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_comes_first_and_names_cannot_break_the_page() {
        let rule = |name: &str| Rule {
            rule: name.into(),
            file: "rules/a.py".into(),
            logs: vec!["t".into()],
            when: vec!["equals('a', ['x`y'])".into()],
            notes: vec!["one\nline".into()],
        };
        let left = |rule: &str, why: &str| LeftOut { rule: rule.into(), file: "rules/a.py".into(), why: why.into() };
        let report = Report {
            repository: "repo".into(),
            components: Components {
                rules: vec![rule("found")],
                left_out: vec![left("off", "it is disabled"), left("gone", "no schema")],
                broken: vec![Broken { file: "rules/b.py".into(), why: "SyntaxError".into() }],
                publishers: vec![],
                hosts_own_publishers: vec![],
                notes: vec![],
                installed: vec![],
            },
            conf: vec![Note::new("conf/outputs.json", "fill in `url`")],
            cases: Cases::default(),
        };
        assert_eq!(report.lost(), 2);
        let text = report.text();
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in\n{text}"));
        assert!(at("`rules/b.py`: SyntaxError") < at("`gone (rules/a.py)`: no schema"));
        assert!(at("`conf/outputs.json`: fill in") < at("`found` (`rules/a.py`) over `t`: `equals('a', ['x'y'])`"));
        assert!(text.contains(r"one\nline") && !text.contains("Python"), "{text}");
    }
}
