//! What came of an import, for whoever reads it and for programs.

use crate::commands::import::markdown::{code, plain};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use streamalert_sigma_compile::Compiled;

#[derive(Serialize)]
pub struct Report {
    pub folder: String,
    pub rules: Vec<Rule>,
    pub left_out: Vec<LeftOut>,
    /// Documents that are something else than Sigma rules.
    pub other_documents: usize,
    /// `None`: nothing was built.
    pub component: Option<Component>,
}

#[derive(Serialize)]
pub struct Rule {
    pub rule: String,
    pub title: String,
    pub file: String,
    pub logs: Vec<String>,
    pub notes: Vec<String>,
}

#[derive(Serialize)]
pub struct LeftOut {
    /// The title; empty where a whole file is meant, or there is none.
    pub rule: String,
    pub file: String,
    pub why: String,
    pub withdrawn: bool,
}

#[derive(Serialize)]
pub struct Component {
    pub file: String,
    pub bytes: usize,
    pub digest: String,
}

impl Report {
    pub fn new(folder: &Path, compiled: &Compiled) -> Report {
        let rules = compiled.rules.iter().map(|ready| Rule {
            rule: ready.rule.name.clone(),
            title: ready.rule.title.clone(),
            file: ready.file.clone(),
            logs: ready.rule.logs.clone(),
            notes: ready.notes.clone(),
        });
        let left_out = compiled.left_out.iter().map(|left| LeftOut {
            rule: left.rule.clone(),
            file: left.file.clone(),
            why: left.why.clone(),
            withdrawn: left.withdrawn,
        });
        Report {
            folder: folder.display().to_string(),
            rules: rules.collect(),
            left_out: left_out.collect(),
            other_documents: compiled.other_documents,
            component: None,
        }
    }

    /// Rules and files that somebody wrote to be there, and that are not.
    pub fn lost(&self) -> usize {
        self.left_out.iter().filter(|left| !left.withdrawn).count()
    }

    /// As Markdown.
    pub fn text(&self) -> String {
        let mut out = format!("# Import of Sigma rules from {}\n\n", plain(&self.folder));
        out += &format!(
            "{} rules are there, {} are not, {} were withdrawn by their authors. {} documents are something else.\n",
            self.rules.len(),
            self.lost(),
            self.left_out.len() - self.lost(),
            self.other_documents
        );
        let mut section = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                out += &format!("\n## {title}\n\n{}\n", lines.join("\n"));
            }
        };
        let item = |left: &LeftOut| format!("- {}", line(left));
        section("Not there", self.left_out.iter().filter(|left| !left.withdrawn).map(item).collect());
        section("Withdrawn by their authors", self.left_out.iter().filter(|left| left.withdrawn).map(item).collect());
        // Many rules share a note.
        let mut noted: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
        for rule in &self.rules {
            rule.notes.iter().for_each(|note| noted.entry(note).or_default().push(rule));
        }
        let lines = noted.iter().map(|(note, rules)| {
            let rules = rules.iter().map(|rule| format!("  - {} ({})", code(&rule.rule), code(&rule.file)));
            format!("- {}:\n{}", plain(note), rules.collect::<Vec<_>>().join("\n"))
        });
        section("To look at", lines.collect());
        let lines = self.rules.iter().map(|rule| {
            format!(
                "- {} ({}) over {}: {}",
                code(&rule.rule),
                code(&rule.file),
                rule.logs.join(", "),
                plain(&rule.title)
            )
        });
        section("Rules", lines.collect());
        out
    }
}

/// Where it is and why it is not imported, on one line.
pub fn line(left: &LeftOut) -> String {
    let LeftOut { rule, file, why, .. } = left;
    match rule.is_empty() {
        true => format!("{}: {}", code(file), plain(why)),
        false => format!("{} ({}): {}", plain(rule), code(file), plain(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_comes_first_and_names_cannot_break_the_page() {
        let left = |rule: &str, why: &str, withdrawn| LeftOut {
            rule: rule.into(),
            file: "a`b.yml".into(),
            why: why.into(),
            withdrawn,
        };
        let rule = Rule {
            rule: "sigma_a".into(),
            title: "A\n# heading".into(),
            file: "a.yml".into(),
            logs: vec!["t".into()],
            notes: vec!["odd".into()],
        };
        let report = Report {
            folder: "rules".into(),
            rules: vec![rule],
            left_out: vec![left("Old", "its status is deprecated", true), left("", "no\nYAML", false)],
            other_documents: 0,
            component: None,
        };
        assert_eq!(report.lost(), 1);
        let text = report.text();
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in\n{text}"));
        assert!(at("`a'b.yml`: no") < at("Old (`a'b.yml`): its status"));
        assert!(at("odd:") < at("`sigma_a` (`a.yml`) over t"));
        assert!(!text.contains("\n# heading"), "{text}");
    }
}
