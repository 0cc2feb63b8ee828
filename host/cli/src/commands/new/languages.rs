//! What a new rule in a language other than Rust begins with.

use super::Beginning;
use crate::authoring::languages::Language;

/// Names that one of these languages or its library keeps for itself, and Rust does not.
pub const TAKEN: [&str; 77] = [
    "abort",
    "alignas",
    "alignof",
    "and",
    "any",
    "arguments",
    "assert",
    "auto",
    "bool",
    "case",
    "catch",
    "chan",
    "char",
    "class",
    "constexpr",
    "debugger",
    "def",
    "default",
    "defer",
    "del",
    "delete",
    "double",
    "elif",
    "eval",
    "except",
    "exit",
    "export",
    "extends",
    "finally",
    "float",
    "from",
    "func",
    "function",
    "global",
    "go",
    "goto",
    "import",
    "index",
    "inline",
    "int",
    "interface",
    "is",
    "lambda",
    "long",
    "main",
    "new",
    "nonlocal",
    "not",
    "null",
    "nullptr",
    "package",
    "pass",
    "printf",
    "raise",
    "read",
    "register",
    "remove",
    "rename",
    "restrict",
    "short",
    "signal",
    "signed",
    "sizeof",
    "static_assert",
    "switch",
    "system",
    "this",
    "thread_local",
    "time",
    "typedef",
    "typeof_unqual",
    "union",
    "unsigned",
    "var",
    "void",
    "volatile",
    "write",
];

/// How the languages differ in what a person types next.
pub struct Next {
    pub test: &'static str,
}

pub fn next(language: Language) -> Next {
    let test = match language {
        Language::Rust => "cargo test",
        Language::Go => "go test ./...",
        Language::AssemblyScript | Language::JavaScript => "npm install && npm test",
        Language::Python => "PYTHONPATH=SDK python3 -m unittest",
        Language::C => "make -f streamalert.mk test",
    };
    Next { test }
}

/// Files of the new folder, but for cases.
pub fn files(
    language: Language,
    typescript: bool,
    package: &str,
    rule: &str,
    logs: &[String],
    beginning: &Beginning,
    sdk: &str,
) -> Vec<(String, String)> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let logs: Vec<String> = logs.iter().map(|log| quoted(log)).collect();
    let logs = logs.join(", ");
    // As a key, and as a path.
    let (field, path) = (quoted(&beginning.field), quoted(&beginning.field.replace('.', "\\.")));
    let (fires, silent) = (quoted(&beginning.fires), quoted(&beginning.silent));
    // A record as JSON, itself as a text between quotes.
    let record = |value: &str| quoted(&serde_json::json!({beginning.field.as_str(): value}).to_string());
    let (fires_json, silent_json) = (record(&beginning.fires), record(&beginning.silent));
    let name = camel(rule);
    let description = "Say here what the alert means, and what to do about it.";
    let ignore = (".gitignore".to_owned(), "/target\n/node_modules\n__pycache__\n".to_owned());
    let mut files = match language {
        Language::AssemblyScript => vec![
            ("package.json".to_owned(), node(package, "streamalert-as", sdk)),
            (
                "assembly/index.ts".to_owned(),
                format!(
                    r#"import {{ rule, equals, Record }} from "streamalert-as";

rule(
  {{
    name: "{rule}",
    description: "{description}",
    logs: [{logs}],
    when: [equals({path}, {fires})],
    severity: "medium",
  }},
  {name},
);

export function {name}(record: Record): bool {{
  return record.is({path}, {fires});
}}
"#
                ),
            ),
            (
                format!("tests/{rule}.ts"),
                format!(
                    r#"import {{ Record }} from "streamalert-as";
import {{ test }} from "streamalert-as/testing";
import {{ {name} }} from "../assembly/index";

test("one is told, the other is not", () => {{
  assert({name}(Record.parse({fires_json})));
  assert(!{name}(Record.parse({silent_json})));
}});
"#
                ),
            ),
        ],
        Language::JavaScript => {
            let ending = if typescript { "ts" } else { "js" };
            let (import, of) = match typescript {
                true => ("import { rule, equals, type Record } from \"streamalert-js\";", "(record: Record)"),
                false => ("import { rule, equals } from \"streamalert-js\";", "(record)"),
            };
            vec![
                ("package.json".to_owned(), node(package, "streamalert-js", sdk)),
                (
                    format!("src/index.{ending}"),
                    format!(
                        r#"{import}

export const {name} = rule(
  {{
    name: "{rule}",
    description: "{description}",
    logs: [{logs}],
    when: [equals({path}, {fires})],
    severity: "medium",
  }},
  {of} => record.is({path}, {fires}),
);
"#
                    ),
                ),
                (
                    format!("test/{rule}.test.{ending}"),
                    format!(
                        r#"import assert from "node:assert/strict";
import test from "node:test";
import {{ Record }} from "streamalert-js";
import {{ {name} }} from "../src/index.{ending}";

test("one is told, the other is not", () => {{
  assert.ok({name}(Record.fromJson({{ {field}: {fires} }})));
  assert.ok(!{name}(Record.fromJson({{ {field}: {silent} }})));
}});
"#
                    ),
                ),
            ]
        }
        Language::Go => vec![
            (
                "go.mod".to_owned(),
                format!(
                    "module {package}\n\ngo 1.25\n\nrequire streamalert/sdk v0.0.0\n\nreplace streamalert/sdk => {sdk}\n"
                ),
            ),
            (
                format!("{rule}.go"),
                format!(
                    "// Rules of {package}.\npackage main\n\nimport \"streamalert/sdk\"\n\nfunc init() {{\n\tsdk.Add(sdk.Rule{{\n\t\tName:        \"{rule}\",\n\t\t\
                     Description: \"{description}\",\n\t\tLogs:        []string{{{logs}}},\n\t\tWhen:        sdk.When{{sdk.Equals({path}, {fires})}},\n\t\t\
                     Severity:    sdk.Medium,\n\t}}, {name})\n}}\n\nfunc {name}(record *sdk.Record) bool {{\n\treturn record.Is({path}, {fires})\n}}\n\nfunc main() {{}}\n"
                ),
            ),
            (
                format!("{rule}_test.go"),
                format!(
                    "package main\n\nimport (\n\t\"testing\"\n\n\t\"streamalert/sdk\"\n)\n\nfunc TestOneIsToldTheOtherIsNot(t *testing.T) {{\n\t\
                     if !{name}(sdk.FromJSON({fires_json})) {{\n\t\tt.Error(\"it is not told\")\n\t}}\n\t\
                     if {name}(sdk.FromJSON({silent_json})) {{\n\t\tt.Error(\"it is told\")\n\t}}\n}}\n"
                ),
            ),
        ],
        Language::Python => vec![
            (
                "pyproject.toml".to_owned(),
                format!(
                    "[project]\nname = \"{package}\"\nversion = \"0.1.0\"\nrequires-python = \">=3.11\"\ndependencies = [\"streamalert-sdk\"]\n"
                ),
            ),
            (
                format!("{rule}.py"),
                format!(
                    r#""""Rules of {package}."""

from streamalert_sdk import equals, rule


@rule(logs=[{logs}], when=[equals({path}, {fires})], severity="medium")
def {rule}(record):
    """{description}"""
    return record.is_({path}, {fires})
"#
                ),
            ),
            (
                format!("test_{rule}.py"),
                format!(
                    r#"import unittest

from {rule} import {rule}
from streamalert_sdk import Record


class Test(unittest.TestCase):
    def test_one_is_told_the_other_is_not(self):
        self.assertTrue({rule}(Record.from_json({{{field}: {fires}}})))
        self.assertFalse({rule}(Record.from_json({{{field}: {silent}}})))
"#
                ),
            ),
        ],
        Language::C => vec![
            ("streamalert.mk".to_owned(), format!("include {sdk}/streamalert.mk\n")),
            (
                format!("{rule}.c"),
                format!(
                    r#"// Rules of {package}.
#include <streamalert.h>

SA_RULE({rule},
        .description = "{description}",
        .logs = SA_TEXTS({logs}),
        .when = SA_WHEN(SA_EQUALS({path}, {fires})),
        .severity = SA_MEDIUM) {{
    return sa_is(record, {path}, {fires});
}}
"#
                ),
            ),
            (
                format!("tests/test_{rule}.c"),
                format!(
                    r#"#include <assert.h>
#include <streamalert.h>

bool {rule}(const sa_record *record, sa_finding *finding);

int main(void) {{
    assert({rule}(sa_parse({fires_json}), sa_new_finding()));
    assert(!{rule}(sa_parse({silent_json}), sa_new_finding()));
}}
"#
                ),
            ),
        ],
        Language::Rust => Vec::new(),
    };
    files.push(ignore);
    files
}

fn node(package: &str, sdk_name: &str, sdk: &str) -> String {
    let text = serde_json::json!({
        "name": package, "version": "0.1.0", "private": true, "type": "module",
        "scripts": {"build": format!("{sdk_name} build"), "test": format!("{sdk_name} test")},
        "dependencies": {sdk_name: format!("file:{sdk}")}
    });
    serde_json::to_string_pretty(&text).unwrap_or_default() + "\n"
}

pub fn camel(rule: &str) -> String {
    let mut parts = rule.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (head, tail) = part.split_at(part.len().min(1));
        name + &head.to_ascii_uppercase() + tail
    })
}

#[cfg(test)]
mod tests {
    use super::{TAKEN, camel};

    #[test]
    fn taken_names_are_in_order() {
        assert!(TAKEN.is_sorted());
    }

    #[test]
    fn names_in_the_languages_own_manner() {
        assert_eq!((camel("root_login"), camel("x"), camel("a_2_b")), ("rootLogin".into(), "x".into(), "a2B".into()));
    }
}
