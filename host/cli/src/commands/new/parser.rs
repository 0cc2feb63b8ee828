//! The crate of a new parser: a line format to begin with, its schema, a unit test and cases.

use super::worlds::{self, Wanted, World};
use super::{Lang, Place, Sdk, check_name, manifest, quoted};
use crate::Failure;
use crate::commands::run::say;
use anyhow::anyhow;
use serde_json::json;

const PARSERS: Sdk = Sdk { krate: "streamalert-parser-sdk", folder: "rule-sdk/rust-parser" };

/// A parser, with a schema, a unit test and test cases
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  the crate is there
  1  it could not be written
  2  a wrong argument, or the SDK is not there; nothing was written")]
pub struct ParserArgs {
    #[command(flatten)]
    wanted: Wanted,
}

pub fn run(args: ParserArgs) -> Result<(), Failure> {
    if worlds::elsewhere(args.wanted.lang) {
        let parser = args.wanted.name.replace('-', "_");
        let mut more = vec![(format!("cases/{parser}.json"), cases(&parser))];
        // The others cannot take in a file.
        if !matches!(args.wanted.lang, Lang::AssemblyScript | Lang::C) {
            more.push(("schemas.json".into(), schemas(&parser)));
        }
        return worlds::run(World::Parser, &args.wanted, more);
    }
    check_name("parser", &args.wanted.name).map_err(|message| Failure::Usage(anyhow!(message)))?;
    let parser = args.wanted.name.replace('-', "_");
    let place = Place::find(&args.wanted.name, &args.wanted.dir, args.wanted.sdk.as_deref(), &PARSERS)?;
    place.write(&[
        ("Cargo.toml", manifest(&place.krate, PARSERS.krate, &place.sdk_path()?)),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", source(&parser)),
        ("schemas.json", schemas(&parser)),
        (&format!("cases/{parser}.json"), cases(&parser)),
        ("README.md", readme(&place.krate, &parser)),
    ])?;
    say(&format!("{}: parser {parser} of {parser}:event", place.folder.display()))?;
    say("next:")?;
    say(&format!("  cd {}", quoted(&place.folder.display().to_string())))?;
    say("  cargo test           # the parser as a plain function")?;
    say("  streamalert test     # builds the component and runs cases/ through it")
}

fn source(parser: &str) -> String {
    format!(
        r##"use streamalert_parser_sdk::prelude::*;

/// Lines like `time|user|action`; a record for each.
///
/// This text is what `streamalert inspect` shows: say what the parser reads, and what it makes of it.
#[parser(schemas = "schemas.json")]
fn {parser}(payload: &[u8]) -> Result<Vec<Part>, String> {{
    // A blank line means nothing and is in no part.
    let lines = lines(payload).filter(|line| !line.bytes.trim_ascii().is_empty());
    Ok(lines.map(part).collect())
}}

fn part(line: Line) -> Part {{
    match event(&line.text()) {{
        Ok(record) => Part::record(line.place, "{parser}:event", record),
        // Becomes a dead letter with these bytes.
        Err(reason) => Part::error(line.place, reason),
    }}
}}

fn event(line: &str) -> Result<Object, String> {{
    let fields: Vec<&str> = line.split('|').collect();
    let [time, user, action] = fields[..] else {{
        return Err(format!("{{}} fields instead of 3", fields.len()));
    }};
    let time: i64 = time.trim().parse().map_err(|error| format!("the time: {{error}}"))?;
    Ok(Object::new().with("time", time).with("user", user.trim()).with("action", action.trim()))
}}

#[cfg(test)]
mod tests {{
    use super::*;

    #[test]
    fn a_line_becomes_a_record_or_says_why_not() {{
        let parts = {parser}(b"17|ada|login\n\nnonsense\n").unwrap();
        assert_eq!(parts[0].json(), Some(r#"{{"time":17,"user":"ada","action":"login"}}"#));
        assert_eq!(parts[1], Part::error(14..22, "1 fields instead of 3"));
        assert_eq!(parts.len(), 2);
    }}
}}
"##
    )
}

fn schemas(parser: &str) -> String {
    let schema = json!({"time": "integer", "user": "string", "action": "string"});
    format!("{:#}\n", json!({format!("{parser}:event"): {"parser": "json", "schema": schema}}))
}

fn cases(parser: &str) -> String {
    let cases = json!([
        {
            "description": "a line of three fields is an event",
            "parser": parser,
            "text": "1795608000|ada|login\n",
            "records": [{"log": format!("{parser}:event"), "record": {"user": "ada", "action": "login"}}],
        },
        {
            "description": "a line without a time is told of, and its neighbour is read",
            "parser": parser,
            "text": "now|ada|login\n1795608000|bob|logout\n",
            "records": [{"log": format!("{parser}:event"), "record": {"user": "bob"}}],
            "errors": ["the time"],
        },
    ]);
    format!("{cases:#}\n")
}

fn readme(krate: &str, parser: &str) -> String {
    format!(
        "# {krate}\n\nThe parser `{parser}`, which makes `{parser}:event` of lines. Its code is in `src/lib.rs`, its log types are in \
         `schemas.json`, its cases in `cases/`.\n\
         `cargo test` runs it as a plain function, `streamalert test` runs the cases through the component.\n\
         `streamalert build --out DIR` puts the component where `streamalert run --plugins DIR` finds it, also while that runs.\n"
    )
}
