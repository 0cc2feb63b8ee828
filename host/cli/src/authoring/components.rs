//! Builds crates of rules and parsers, checks what came out as the host would, and puts it into a folder that may be watched.

use super::languages::Language;
use super::toolchain::{TARGET, Toolchain};
use crate::Failure;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use streamalert_plugins::{Host, HostConfig, Inspection, LoadCheck, PluginLimits};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    Cargo,
    CargoComponent,
}

/// One component that was built.
pub struct Built {
    /// File name in the output folder.
    pub file: String,
    pub about: Inspection,
    /// Why the host would refuse it; then it was not put into the output folder.
    pub problems: Vec<String>,
}

/// Where components of `folder` go when nothing else is said.
pub fn default_out(folder: &Path) -> PathBuf {
    folder.join("target").join("plugins")
}

/// Builds the crate or workspace in `folder` and puts the good components into `out`.
pub fn build(folder: &Path, out: &Path, builder: Builder, check: &LoadCheck) -> Result<Vec<Built>, Failure> {
    let files = compile(folder, builder).map_err(Failure::Usage)?;
    let host = Host::new(HostConfig {
        limits: PluginLimits { instances: 4, ..PluginLimits::default() },
        // What is tested next need not be compiled again.
        cache_dir: super::trial::cache(),
        ..HostConfig::default()
    })
    .context("start the plugin host")?;
    let mut looked = Vec::new();
    for path in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let about = host.inspect(&bytes, check);
        looked.push((file, bytes, about));
    }
    // Rules may be about what a parser beside them brings.
    let parser_types: Vec<String> = looked.iter().flat_map(|(_, _, about)| log_types(about)).collect();
    let check = LoadCheck { parser_types: &parser_types, ..*check };
    let mut built = Vec::new();
    let mut owners: BTreeMap<(&str, String), String> = BTreeMap::new();
    for (file, bytes, mut about) in looked {
        if !about.problems.is_empty() && !parser_types.is_empty() {
            about = host.inspect(&bytes, &check);
        }
        let mut problems: Vec<String> = about.problems.iter().map(ToString::to_string).collect();
        let rules = about.rules.iter().map(|rule| ("rule", rule.name.clone()));
        let parser = about.parser.iter().map(|parser| ("parser", parser.name.clone()));
        let types = log_types(&about).map(|log_type| ("log type", log_type));
        let publishers = about.publishers.iter().map(|publisher| ("publisher", publisher.name.clone()));
        let service = about.output.iter().map(|output| ("service", output.service.clone()));
        let apps = about.apps.iter().map(|app| ("app", app.name.clone()));
        for claim in rules.chain(parser).chain(types).chain(publishers).chain(service).chain(apps) {
            match owners.get(&claim) {
                Some(owner) => {
                    let (kind, name) = claim;
                    problems.push(format!("{kind} {name}: {owner} has a {kind} of this name already"));
                }
                None => drop(owners.insert(claim, file.clone())),
            }
        }
        if problems.is_empty() {
            put(out, &file, &bytes).with_context(|| format!("put {file} into {}", out.display()))?;
        }
        built.push(Built { file, about, problems });
    }
    // Ours alone: what is no longer built would otherwise be tested for ever. Another folder is its owner's.
    if out == default_out(folder) {
        for path in wasm_files(out).unwrap_or_default() {
            if !built.iter().any(|built| path.file_name().is_some_and(|name| name == built.file.as_str())) {
                std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
    }
    Ok(built)
}

/// The log types that a component brings along.
fn log_types(about: &Inspection) -> impl Iterator<Item = String> {
    about.parser.iter().flat_map(|parser| parser.log_types.iter().map(|log_type| log_type.name.clone()))
}

/// Runs cargo; its own messages go to stderr as ever. The components, sorted.
fn compile(folder: &Path, builder: Builder) -> Result<Vec<PathBuf>> {
    match Language::of(folder) {
        Some(Language::Rust) => {}
        Some(_) if builder == Builder::CargoComponent => bail!("{} is no crate of Rust", folder.display()),
        Some(language) => return Ok(vec![language.build(folder)?]),
        None => bail!(
            "{} has no Cargo.toml, go.mod, pyproject.toml, streamalert.mk or package.json that needs an SDK: name the folder of a plugin; \
             `streamalert new rule NAME` makes one",
            folder.display()
        ),
    }
    let folder = folder.canonicalize().with_context(|| format!("look into {}", folder.display()))?;
    let toolchain = Toolchain::find(&folder)?;
    let mut cargo = cargo(&folder);
    if builder == Builder::CargoComponent {
        let asked = self::cargo(&folder).args(["component", "--version"]).output();
        if !asked.is_ok_and(|answer| answer.status.success()) {
            bail!("cargo-component is not installed\n  run: cargo install cargo-component --locked");
        }
        cargo.arg("component");
    }
    cargo.args(["build", "--release", "--target", TARGET]);
    toolchain.prepare(&mut cargo, &known_folders(&folder))?;
    let files = match builder {
        Builder::Cargo => run_and_collect(&mut cargo)?,
        // It reads cargo's messages itself.
        Builder::CargoComponent => {
            let status = cargo.stdout(Stdio::null()).status().context("run cargo component")?;
            if !status.success() {
                bail!("cargo component could not build {}; its messages are above", folder.display());
            }
            declared(&folder)?
        }
    };
    let mut files =
        files.with_context(|| format!("cargo could not build {}; its messages are above", folder.display()))?;
    files.sort();
    files.dedup();
    if files.is_empty() {
        bail!(
            "{} was built, but no component came out: a crate of rules or a parser has `crate-type = [\"cdylib\", \"rlib\"]` under [lib]",
            folder.display()
        );
    }
    Ok(files)
}

/// `None`: cargo failed, and has said why.
fn run_and_collect(cargo: &mut Command) -> Result<Option<Vec<PathBuf>>> {
    cargo.arg("--message-format=json-render-diagnostics");
    let mut running =
        cargo.stdout(Stdio::piped()).spawn().context("run cargo; is Rust installed? see https://rustup.rs")?;
    let mut files = Vec::new();
    for line in BufReader::new(running.stdout.take().context("read cargo's messages")?).lines() {
        let line = line.context("read cargo's messages")?;
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        if message["reason"] == "compiler-artifact" && is_cdylib(&message["target"]) {
            let names = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
            files.extend(names.filter(|name| name.ends_with(".wasm")).map(PathBuf::from));
        }
    }
    let status = running.wait().context("wait for cargo")?;
    Ok(status.success().then_some(files))
}

/// The components that the packages in `folder` make, by what their manifests say.
fn declared(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let output = cargo(folder).args(["metadata", "--format-version=1", "--no-deps"]).output().context("run cargo")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read what cargo metadata says")?;
    let target = Path::new(metadata["target_directory"].as_str().unwrap_or("target")).join(TARGET).join("release");
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mine = packages.filter(|package| {
        // A crate in a workspace: that crate only.
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        manifest.parent().is_some_and(|place| place == folder) || metadata["workspace_root"].as_str() == folder.to_str()
    });
    let targets = mine.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let files = targets.filter(|target| is_cdylib(target)).filter_map(|cdylib| cdylib["name"].as_str());
    let files = files.map(|name| target.join(format!("{}.wasm", name.replace('-', "_"))));
    Ok(Some(files.filter(|file| file.is_file()).collect()))
}

fn is_cdylib(target: &Value) -> bool {
    target["crate_types"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").filter(|name| !name.is_empty()).unwrap_or("cargo".into()));
    cargo.current_dir(folder);
    cargo
}

/// Folders that differ from machine to machine, which panics would otherwise name; the most particular last. A workspace's
/// own files are no problem: cargo gives their names from its root.
fn known_folders(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("HOME");
    let cargo_home = set("CARGO_HOME").or_else(|| Some(home.as_ref()?.join(".cargo")));
    let checkout = super::checkout::sdk(folder).and_then(|sdk| sdk.parent()?.parent().map(Path::to_path_buf));
    let known = [(home, "/home"), (cargo_home, "/cargo"), (checkout, "/streamalert")];
    known.into_iter().filter_map(|(folder, name)| Some((folder?, name))).collect()
}

/// Whole or not at all: a process that watches the folder never sees half a file.
fn put(out: &Path, file: &str, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(out)?;
    let place = out.join(file);
    if std::fs::read(&place).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    // The name begins with a dot, so that no watcher takes it for a component.
    let new = out.join(format!(".{file}.{}", std::process::id()));
    let done = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &place));
    if done.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    done
}

/// The components in a folder, sorted, without those on their way there.
pub fn wasm_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| anyhow!("look into {}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".wasm") && !name.starts_with('.')
    });
    files.sort();
    Ok(files)
}
