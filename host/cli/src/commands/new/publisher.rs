//! The crate of a new publisher: a function that shapes an alert, and a unit test.

use super::worlds::{self, Wanted, World};
use super::{Place, Sdk, check_name, manifest, quoted};
use crate::Failure;
use crate::commands::run::say;
use anyhow::anyhow;
use streamalert_pipeline::alert_processor::publishers::NATIVE;

/// Outputs and publishers are written with one crate.
pub const DELIVERY: Sdk = Sdk { krate: "streamalert-output-sdk", folder: "rule-sdk/rust-output" };

/// A publisher, with a unit test
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  the folder is there
  1  it could not be written
  2  a wrong argument, or the SDK is not there; nothing was written")]
pub struct PublisherArgs {
    #[command(flatten)]
    wanted: Wanted,
}

pub fn run(args: PublisherArgs) -> Result<(), Failure> {
    check_name("publisher", &args.wanted.name).map_err(|message| Failure::Usage(anyhow!(message)))?;
    let publisher = args.wanted.name.replace('-', "_");
    if NATIVE.iter().any(|(native, ..)| *native == publisher) {
        return Err(Failure::Usage(anyhow!(
            "there is a publisher {publisher} already, the host's own; choose another name"
        )));
    }
    if worlds::elsewhere(args.wanted.lang) {
        return worlds::run(World::Publisher, &args.wanted, vec![]);
    }
    let place = Place::find(&args.wanted.name, &args.wanted.dir, args.wanted.sdk.as_deref(), &DELIVERY)?;
    place.write(&[
        ("Cargo.toml", manifest(&place.krate, DELIVERY.krate, &place.sdk_path()?)),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", source(&publisher)),
        ("README.md", readme(&place.krate, &publisher)),
    ])?;
    say(&format!("{}: publisher {publisher}", place.folder.display()))?;
    say("next:")?;
    say(&format!("  cd {}", quoted(&place.folder.display().to_string())))?;
    say("  cargo test                           # the publisher as a plain function")?;
    say("  streamalert build --out PLUGINS      # builds the component into the folder that a run looks at")?;
    say(&format!(
        "  then a rule says `publishers = \"{publisher}\"`, and its cases say what comes out: `publisher_tests`"
    ))
}

fn source(publisher: &str) -> String {
    format!(
        r#"use streamalert_output_sdk::prelude::*;

export_publishers! {{
    /// A line of text in the place of the record.
    "{publisher}" => {publisher},
}}

/// Gets what the publisher before it left, at first the default publication; an error holds the delivery back.
fn {publisher}(alert: &Alert, mut publication: Map<String, Value>, target: &Target) -> Result<Map<String, Value>, String> {{
    publication.remove("record");
    // `@slack.text`, where the output is one of Slack, tells it how to show the alert.
    publication.insert(target.magic("text"), format!("{{}} ({{}})", alert.title(), alert.severity()).into());
    Ok(publication)
}}

#[cfg(test)]
mod tests {{
    use super::*;

    #[test]
    fn a_line_takes_the_place_of_the_record() {{
        let alert = Alert::from(json!({{"title": "Root logged in", "severity": "high"}}));
        let before = Map::from_iter([("id".into(), json!("1")), ("record".into(), json!({{"a": 1}}))]);
        let after = {publisher}(&alert, before, &Target::new("slack:security")).unwrap();
        assert_eq!(Value::from(after), json!({{"id": "1", "@slack.text": "Root logged in (high)"}}));
    }}
}}
"#
    )
}

fn readme(krate: &str, publisher: &str) -> String {
    format!(
        "# {krate}\n\nThe publisher `{publisher}`, which shapes alerts for outputs. Its code is in `src/lib.rs`.\n\
         `cargo test` runs it as a plain function.\n\
         `streamalert build --out DIR` puts the component where `streamalert run --plugins DIR` finds it, also while that runs.\n\
         A rule asks for it by `publishers = \"{publisher}\"`; the rule's cases test what comes out by `publisher_tests`.\n"
    )
}
