//! Languages that plugins are written in: how a folder's is known, and what builds and tests it. Each SDK brings its own builder, and
//! the script that installs what it needs below `target/toolchains`; here they are only called.

use super::checkout;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Rust,
    Go,
    AssemblyScript,
    JavaScript,
    Python,
    C,
}

/// A tool that a language needs, how it says its version, and how it is had.
pub struct Tool {
    pub program: &'static str,
    pub arguments: &'static [&'static str],
    pub install: &'static str,
}

const NODE: Tool = Tool {
    program: "node",
    arguments: &["--version"],
    install: "install Node.js 20 or later: https://nodejs.org, or `apt-get install nodejs npm`",
};
const PYTHON: Tool = Tool {
    program: "python3",
    arguments: &["--version"],
    install: "install Python 3.11 or later with venv: https://python.org, or `apt-get install python3 python3-venv`",
};

impl Language {
    pub const ALL: [Language; 6] =
        [Language::Rust, Language::Go, Language::AssemblyScript, Language::JavaScript, Language::Python, Language::C];

    /// Name of its SDK's folder.
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Go => "go",
            Language::AssemblyScript => "assemblyscript",
            Language::JavaScript => "js",
            Language::Python => "python",
            Language::C => "c",
        }
    }

    /// By the manifest in a folder.
    pub fn of(folder: &Path) -> Option<Language> {
        let has = |name: &str| folder.join(name).is_file();
        if has("Cargo.toml") {
            return Some(Language::Rust);
        }
        if has("go.mod") {
            return Some(Language::Go);
        }
        if has("pyproject.toml") {
            return Some(Language::Python);
        }
        if let Ok(text) = std::fs::read_to_string(folder.join("package.json")) {
            let package: Value = serde_json::from_str(&text).unwrap_or_default();
            let needs =
                |name: &str| ["dependencies", "devDependencies"].iter().any(|kind| package[*kind].get(name).is_some());
            if needs("streamalert-as") {
                return Some(Language::AssemblyScript);
            }
            if needs("streamalert-js") {
                return Some(Language::JavaScript);
            }
        }
        has("streamalert.mk").then_some(Language::C)
    }

    /// What it needs besides what its toolchain script installs.
    pub fn tools(self) -> &'static [Tool] {
        match self {
            Language::Rust => &[
                Tool {
                    program: "rustc",
                    arguments: &["--version"],
                    install: "install Rust 1.95 or later: https://rustup.rs",
                },
                Tool { program: "cargo", arguments: &["--version"], install: "it comes with Rust: https://rustup.rs" },
            ],
            Language::Go => &[Tool {
                program: "go",
                arguments: &["version"],
                install: "install Go 1.26 or later: https://go.dev/dl",
            }],
            Language::AssemblyScript | Language::JavaScript => &[NODE],
            Language::Python => &[PYTHON],
            Language::C => &[PYTHON],
        }
    }

    /// The script that installs the rest.
    pub fn toolchain(self, sdk: &Path) -> Option<PathBuf> {
        Some(sdk.join("toolchain.sh")).filter(|script| script.is_file())
    }

    /// Its SDK, in the checkout around `from` or around this program.
    pub fn sdk(self, from: &Path) -> Result<PathBuf> {
        let place = format!("rule-sdk/{}", self.name());
        let found = checkout::upwards(from, &place).map(|folder| folder.join(&place));
        found.with_context(|| {
            format!("{place} is not found from {} upwards; work within a checkout of StreamAlert", from.display())
        })
    }

    /// The builder of its SDK for one folder; `None` where this program builds itself.
    fn builder(self, sdk: &Path, folder: &Path, out: &Path) -> Option<Command> {
        let mut command = match self {
            Language::Rust => return None,
            Language::AssemblyScript => {
                let mut node = Command::new("node");
                node.arg(sdk.join("bin/streamalert-as.mjs")).arg("build");
                node
            }
            Language::JavaScript => {
                let mut node = Command::new("node");
                node.arg(sdk.join("bin/streamalert-js.mjs")).arg("build");
                node
            }
            Language::Python => {
                let mut python = Command::new("python3");
                python.arg(sdk.join("build.py"));
                python
            }
            Language::Go => {
                let mut go = Command::new("go");
                go.current_dir(folder).args(["run", "streamalert/sdk/cmd/component", "-o"]).arg(out).arg(".");
                return Some(go);
            }
            Language::C => Command::new(sdk.join("build.sh")),
        };
        command.arg(folder).arg("--out").arg(out);
        Some(command)
    }

    /// Builds the one component in `folder`, of a language that has a builder. Its messages go to stderr.
    pub fn build(self, folder: &Path) -> Result<PathBuf> {
        let folder = folder.canonicalize().with_context(|| format!("look into {}", folder.display()))?;
        for tool in self.tools() {
            if version(tool).is_none() {
                bail!("{} is missing, which builds plugins in {}; {}", tool.program, self.name(), tool.install);
            }
        }
        let sdk = self.sdk(&folder)?;
        if let Some(script) = self.toolchain(&sdk) {
            let status = Command::new(&script).status().with_context(|| format!("run {}", script.display()))?;
            if !status.success() {
                bail!("{} failed; its messages are above", script.display());
            }
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().replace('-', "_");
        let out =
            super::components::default_out(&folder).join(format!("{}.wasm", self.called(&folder).unwrap_or(name)));
        if let Some(parent) = out.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("make the folder {}", parent.display()))?;
        }
        let mut builder = self.builder(&sdk, &folder, &out).context("Rust is built by cargo")?;
        let status = builder.stdout(std::io::stderr()).status().with_context(|| format!("run {builder:?}"))?;
        if !status.success() {
            bail!("{} could not be built; the messages of its builder are above", folder.display());
        }
        Ok(out)
    }

    /// What the manifest calls it, as a file's name.
    fn called(self, folder: &Path) -> Option<String> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let name = match self {
            Language::AssemblyScript | Language::JavaScript => {
                let package: Value = serde_json::from_str(&read("package.json")?).ok()?;
                package["name"].as_str()?.to_owned()
            }
            Language::Go => read("go.mod")?.lines().find_map(|line| line.strip_prefix("module "))?.trim().to_owned(),
            Language::Python => {
                let manifest = read("pyproject.toml")?;
                let line = manifest.lines().find_map(|line| line.trim().strip_prefix("name"))?;
                line.trim_start().strip_prefix('=')?.trim().trim_matches(['"', '\'']).to_owned()
            }
            Language::Rust | Language::C => return None,
        };
        let last = name.rsplit('/').next().unwrap_or(&name);
        let file: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        (!file.is_empty()).then_some(file)
    }
}

/// What a tool says of its version; `None` if it is not there.
pub fn version(tool: &Tool) -> Option<String> {
    let output =
        Command::new(tool.program).args(tool.arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_its_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let is = |file: &str, text: &str, expected: Option<Language>, called: Option<&str>| {
            let path = folder.path().join(file);
            std::fs::write(&path, text).unwrap();
            let language = Language::of(folder.path());
            assert_eq!(language, expected, "{file}");
            assert_eq!(language.and_then(|language| language.called(folder.path())).as_deref(), called, "{file}");
            std::fs::remove_file(path).unwrap();
        };
        is("README.md", "", None, None);
        is("Cargo.toml", "", Some(Language::Rust), None);
        is("go.mod", "module example.com/team/root-login\n", Some(Language::Go), Some("root_login"));
        is("pyproject.toml", "[project]\nname = \"root-login\"\n", Some(Language::Python), Some("root_login"));
        is(
            "package.json",
            r#"{"name": "@team/a-b", "dependencies": {"streamalert-as": "x"}}"#,
            Some(Language::AssemblyScript),
            Some("a_b"),
        );
        is(
            "package.json",
            r#"{"name": "x", "devDependencies": {"streamalert-js": "x"}}"#,
            Some(Language::JavaScript),
            Some("x"),
        );
        is("package.json", r#"{"name": "x"}"#, None, None);
        is("package.json", "nonsense", None, None);
    }
}
