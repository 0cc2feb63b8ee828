//! The dependency rule of ARCHITECTURE.md, and what else a reader should be able to rely on.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Direct dependencies of every crate of the workspace, without those for tests only.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let list = package["dependencies"].as_array().unwrap().iter();
            (name(package), list.filter(|d| d["kind"] != "dev").map(name).collect())
        })
        .collect()
}

#[test]
fn crates_depend_only_in_the_allowed_direction() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("streamalert-packed", &[][..]),
        ("streamalert-formats", &[]),
        ("streamalert-pipeline", &["packed", "formats"]),
        ("streamalert-intake", &["pipeline", "formats"]),
        ("streamalert-plugins", &["packed", "pipeline"]),
        ("streamalert-egress", &["pipeline"]),
        ("streamalert-files", &[]),
        ("streamalert-lookup", &["files", "pipeline"]),
        ("streamalert-intel", &["pipeline", "egress", "lookup"]),
        ("streamalert-archive", &["packed", "pipeline"]),
        ("streamalert-search", &["archive", "pipeline"]),
        ("streamalert-delivery", &["pipeline"]),
        (
            "streamalert-local",
            &["files", "packed", "pipeline", "delivery", "plugins", "intake", "egress", "intel", "archive"],
        ),
        ("streamalert-aws", &["packed", "pipeline", "intake"]),
        (
            "streamalert-lambdas",
            &["packed", "pipeline", "delivery", "plugins", "aws", "intake", "egress", "lookup", "intel"],
        ),
        (
            "streamalert-cli",
            &[
                "packed",
                "formats",
                "pipeline",
                "delivery",
                "plugins",
                "intel",
                "lookup",
                "local",
                "aws",
                "intake",
                "egress",
                "sigma-compile",
                "archive",
            ],
        ),
        ("streamalert-sdk-macros", &[]),
        ("streamalert-sdk", &["packed", "sdk-macros"]),
        ("streamalert-parser-sdk", &["sdk-macros"]),
        ("streamalert-output-sdk", &[]),
        ("streamalert-app-sdk", &["output-sdk"]),
        ("streamalert-sigma", &["sdk"]),
        ("streamalert-sigma-compile", &["sigma"]),
        ("streamalert-tests", &[]),
    ]);
    for (name, dependencies) in dependencies() {
        let allowed =
            allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name}: say in tests/it/tidy.rs what it may use"));
        for dependency in dependencies.iter().filter_map(|d| d.strip_prefix("streamalert-")) {
            assert!(allowed.contains(&dependency), "{name} must not depend on streamalert-{dependency}");
        }
    }
}

#[test]
fn each_heavy_library_has_one_home() {
    let homes: &[(&str, &[&str])] = &[
        ("wasmtime", &["streamalert-plugins"]),
        ("lambda_runtime", &["streamalert-lambdas"]),
        ("rusqlite", &["streamalert-local"]),
        ("axum", &["streamalert-local"]),
        ("clap", &["streamalert-cli", "streamalert-search"]),
        ("datafusion", &["streamalert-search"]),
        ("arrow", &["streamalert-archive"]),
        ("simd-json", &["streamalert-pipeline"]),
        ("hyper", &["streamalert-egress"]),
        ("rustls", &["streamalert-egress"]),
        ("rsigma-parser", &["streamalert-sigma-compile"]),
    ];
    for (name, dependencies) in dependencies() {
        for (library, homes) in homes {
            assert!(
                !dependencies.contains(*library) || homes.contains(&name.as_str()),
                "{name} must not name {library}"
            );
        }
        assert!(
            name == "streamalert-aws" || !dependencies.iter().any(|d| d.starts_with("aws-sdk-") || d == "aws-config"),
            "{name} must not name the AWS SDK"
        );
    }
    let pipeline = &dependencies()["streamalert-pipeline"];
    for stranger in ["tokio", "reqwest", "hyper", "notify", "chrono", "anyhow", "rand"] {
        assert!(!pipeline.contains(stranger), "the pipeline has no clock, no network, no runtime: {stranger}");
    }
}

/// Rust files below `folder`, without those under a `target`.
fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn the_pipeline_asks_nothing_of_the_machine() {
    let mut files = Vec::new();
    sources(&root().join("host/pipeline/src"), &mut files);
    assert!(files.len() > 10);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in [
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "TimeZone::system",
            "std::env::",
            "std::fs",
            "std::net",
            "std::thread",
            "tokio::",
        ] {
            assert!(!text.contains(word), "{}: `{word}` belongs outside; hand it in as an argument", file.display());
        }
    }
}

#[test]
fn stages_meet_only_in_the_shared_nouns() {
    let stages = ["classifier", "rules_engine", "alert_merger", "alert_processor", "apps", "rule_promotion"];
    let mut files = Vec::new();
    sources(&root().join("host/pipeline/src"), &mut files);
    for file in files {
        let path = file.strip_prefix(root().join("host/pipeline/src")).unwrap();
        let own = path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        // Tests of one stage may get their records from another.
        if !stages.contains(&own.as_str()) || file.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for stage in stages.iter().filter(|stage| **stage != own) {
            assert!(!text.contains(&format!("crate::{stage}")), "{}: a stage must not use {stage}", file.display());
        }
    }
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let mut files = Vec::new();
    for folder in ["host", "rule-sdk", "example-rules", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    // Put together, so that this file does not find itself.
    let words =
        [["to", "do!("].concat(), ["unimplem", "ented!("].concat(), ["FIX", "ME"].concat(), ["#[ign", "ore"].concat()];
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in &words {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}
