//! What the README shows is what a run prints.

use std::path::Path;
use std::process::Command;

/// The text between the fences behind a mark.
fn capture(readme: &str, name: &str) -> String {
    let (_, rest) =
        readme.split_once(&format!("<!-- capture: {name} -->\n```text\n")).expect("the README has the mark");
    rest.split_once("\n```").expect("the fence is closed").0.to_owned()
}

/// Without what differs from machine to machine: where the checkout is, and with it the ids.
fn neutral(text: &str, root: &Path) -> String {
    let text = text.replace(&format!("{}/", root.display()), "…/");
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        match line.split_once("  alert ") {
            Some((before, id)) if id.len() == 32 => out.push(format!("{before}  alert …")),
            _ => out.push(line.to_owned()),
        }
    }
    out.join("\n")
}

#[test]
fn the_readme_shows_what_a_run_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let data = tempfile::tempdir().unwrap();
    let plugins = root.join("target/guests/example-rules");
    assert!(plugins.is_dir(), "there are no components in {}: `make guests` builds them", plugins.display());
    let run = || {
        let output = Command::new(crate::run_world::program())
            .args(["run", "--config", "conf", "--input", "samples", "--plugins"])
            .arg(&plugins)
            .arg("--data")
            .arg(data.path())
            .current_dir(&root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = |bytes: &[u8]| neutral(&String::from_utf8_lossy(bytes), &root);
        (text(&output.stdout), text(&output.stderr))
    };
    let (alerts, talk) = run();
    let shown = capture(&readme, "alert");
    assert!(alerts.contains(&shown), "the README shows\n{shown}\nand the run printed\n{alerts}");
    let summary = capture(&readme, "summary");
    assert!(talk.contains(&summary), "the README shows\n{summary}\nand the run printed\n{talk}");
    let deliveries = capture(&readme, "deliveries");
    assert!(talk.contains(&deliveries), "the README shows\n{deliveries}\nand the run printed\n{talk}");
    assert_eq!(alerts.matches("  rule      ").count(), 95, "the README says 95 alerts");
    // And the sentence about the second run.
    let (alerts, talk) = run();
    assert_eq!(alerts.trim(), "");
    assert!(talk.contains("known already"), "{talk}");
}
