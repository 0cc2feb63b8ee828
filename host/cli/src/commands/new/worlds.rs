//! What a new parser, publisher or output in a language other than Rust begins with. Templates lie in `worlds/`; in them `@ident@`
//! stands for the name as languages take it, `@camel@` for the same in JavaScript's manner, `@service@` for it as it was given.

use super::{Lang, Place, check_name, languages, quoted};
use crate::Failure;
use crate::authoring::languages::Language;
use crate::commands::run::say;
use anyhow::anyhow;
use serde_json::json;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    Parser,
    Publisher,
    Output,
}

/// What `streamalert new` is told of a parser, a publisher or an output.
#[derive(clap::Args)]
pub struct Wanted {
    /// Of what it is (a parser, the source of its log type, a publisher, the service of an output), and of its folder: small letters,
    /// digits, `_` or `-`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where the new folder goes
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Language it is written in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    pub lang: Lang,
    /// Folder of the SDK [default: that of the language, in the checkout around DIR or this program]
    #[arg(long, value_name = "DIR")]
    pub sdk: Option<PathBuf>,
}

impl World {
    /// Languages it can be begun in: those whose SDK has it.
    fn offered(self) -> &'static [Lang] {
        use Lang::{AssemblyScript, C, Go, JavaScript, Python, Rust, TypeScript};
        match self {
            World::Parser | World::Publisher => &[Rust, Go, AssemblyScript, JavaScript, TypeScript, Python, C],
            World::Output => &[Rust, Go, JavaScript, TypeScript, Python],
        }
    }

    fn name(self) -> &'static str {
        match self {
            World::Parser => "parser",
            World::Publisher => "publisher",
            World::Output => "output",
        }
    }
}

macro_rules! templates {
    ($($world:ident: $py:literal $py_test:literal, $js:literal $ts:literal $js_test:literal, $go:literal $go_test:literal;)+) => {
        /// Source and test.
        fn templates(world: World, lang: Lang) -> (&'static str, &'static str) {
            match (world, lang) {
                $(
                    (World::$world, Lang::Python) => (include_str!($py), include_str!($py_test)),
                    (World::$world, Lang::JavaScript) => (include_str!($js), include_str!($js_test)),
                    (World::$world, Lang::TypeScript) => (include_str!($ts), include_str!($js_test)),
                    (World::$world, Lang::Go) => (include_str!($go), include_str!($go_test)),
                )+
                (World::Parser, Lang::AssemblyScript) => {
                    (include_str!("worlds/parser.as.ts"), include_str!("worlds/parser.as.test.ts"))
                }
                (World::Publisher, Lang::AssemblyScript) => {
                    (include_str!("worlds/publisher.as.ts"), include_str!("worlds/publisher.as.test.ts"))
                }
                (World::Parser, Lang::C) => (include_str!("worlds/parser.c"), include_str!("worlds/test_parser.c")),
                (World::Publisher, Lang::C) => (include_str!("worlds/publisher.c"), include_str!("worlds/test_publisher.c")),
                _ => ("", ""),
            }
        }
    };
}

// Go's have another ending, so that they are no package of this folder.
templates! {
    Parser: "worlds/parser.py" "worlds/test_parser.py", "worlds/parser.js" "worlds/parser.ts" "worlds/parser.test.js",
        "worlds/parser.go.txt" "worlds/parser_test.go.txt";
    Publisher: "worlds/publisher.py" "worlds/test_publisher.py", "worlds/publisher.js" "worlds/publisher.ts" "worlds/publisher.test.js",
        "worlds/publisher.go.txt" "worlds/publisher_test.go.txt";
    Output: "worlds/output.py" "worlds/test_output.py", "worlds/output.js" "worlds/output.ts" "worlds/output.test.js",
        "worlds/output.go.txt" "worlds/output_test.go.txt";
}

/// Writes the new folder and says what comes next.
pub fn run(world: World, wanted: &Wanted, more: Vec<(String, String)>) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage(anyhow!(message));
    let (kind, lang) = (world.name(), wanted.lang);
    lang.among(world.offered(), kind)?;
    check_name(kind, &wanted.name).map_err(usage)?;
    let ident = wanted.name.replace('-', "_");
    if languages::TAKEN.contains(&ident.as_str()) {
        let (name, language) = (&wanted.name, lang.language().name());
        return Err(usage(format!("`{name}` means something to {language} already; say more, such as {name}_log")));
    }
    let sdk = match &wanted.sdk {
        Some(sdk) if sdk.is_dir() => sdk.clone(),
        Some(sdk) => {
            let (sdk, language) = (sdk.display(), lang.language().name());
            return Err(usage(format!("{sdk} is no folder; name rule-sdk/{language}")));
        }
        None => lang.language().sdk(&wanted.dir).map_err(Failure::Usage)?,
    };
    let place = Place::of(&wanted.name, &wanted.dir, sdk)?;
    let sdk = place.sdk_path()?;
    let mut files = files(world, lang, &place.krate, &wanted.name, &ident, &sdk);
    files.extend(more);
    let test = languages::next(lang.language()).test.replace("SDK", &sdk);
    files.push(("README.md".to_owned(), readme(world, &place.krate, &wanted.name, &ident, &test)));
    let files: Vec<(&str, String)> = files.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    place.write(&files)?;
    let shown = if world == World::Output { &wanted.name } else { &ident };
    say(&format!("{}: {kind} {shown}", place.folder.display()))?;
    say("next:")?;
    say(&format!("  cd {}", quoted(&place.folder.display().to_string())))?;
    say(&format!("  {test}    # the {kind} as a plain function"))?;
    match world {
        World::Parser => say("  streamalert test     # builds the component and runs cases/ through it"),
        World::Publisher => {
            say("  streamalert build --out PLUGINS      # builds the component into the folder that a run looks at")?;
            say(&format!(
                "  then a rule names the publisher `{ident}`, and its cases say what comes out: `publisher_tests`"
            ))
        }
        World::Output => {
            say("  streamalert build --out PLUGINS      # builds the component into the folder that a run looks at")?;
            say(&format!(
                "  streamalert output new {shown} DESCRIPTOR --plugins PLUGINS    # where it delivers to; rules name {shown}:DESCRIPTOR"
            ))
        }
    }
}

/// Manifest, source and test.
fn files(world: World, lang: Lang, package: &str, name: &str, ident: &str, sdk: &str) -> Vec<(String, String)> {
    let kind = world.name();
    let (source, test) = templates(world, lang);
    let ending = if lang == Lang::TypeScript { "ts" } else { "js" };
    let filled = |text: &str| {
        text.replace("@ident@", ident)
            .replace("@camel@", &languages::camel(ident))
            .replace("@service@", name)
            .replace("@ending@", ending)
    };
    let (source, test) = (filled(source), filled(test));
    let named: [(String, String); 3] = match lang.language() {
        Language::Python => [
            ("pyproject.toml".into(), pyproject(package, kind)),
            (format!("{ident}_{kind}.py"), source),
            (format!("test_{ident}_{kind}.py"), test),
        ],
        Language::JavaScript => [
            ("package.json".into(), node(package, kind, "streamalert-js", sdk)),
            (format!("src/index.{ending}"), source),
            (format!("test/{ident}.test.{ending}"), test),
        ],
        Language::AssemblyScript => [
            ("package.json".into(), node(package, kind, "streamalert-as", sdk)),
            ("assembly/index.ts".into(), source),
            (format!("tests/{ident}.ts"), test),
        ],
        Language::C => [
            (
                "streamalert.mk".into(),
                format!(
                    "# What the component is; rules say nothing.\nSA_WORLD := {kind}\ninclude {sdk}/streamalert.mk\n"
                ),
            ),
            (format!("{ident}.c"), source),
            (format!("tests/test_{ident}.c"), test),
        ],
        _ => [
            (
                "go.mod".into(),
                format!(
                    "module {package}\n\ngo 1.25\n\nrequire streamalert/sdk v0.0.0\n\nreplace streamalert/sdk => {sdk}\n"
                ),
            ),
            (format!("{kind}.go"), source),
            (format!("{kind}_test.go"), test),
        ],
    };
    let mut files = named.to_vec();
    files.push((".gitignore".into(), "/target\n/node_modules\n__pycache__\n".into()));
    files
}

fn pyproject(package: &str, kind: &str) -> String {
    format!(
        "[project]\nname = \"{package}\"\nversion = \"0.1.0\"\nrequires-python = \">=3.11\"\ndependencies = [\"streamalert-sdk\"]\n\n\
         # What the component is; rules say nothing.\n[tool.streamalert]\nworld = \"{kind}\"\n"
    )
}

fn node(package: &str, kind: &str, sdk_name: &str, sdk: &str) -> String {
    let text = json!({
        "name": package, "version": "0.1.0", "private": true, "type": "module",
        "streamalert": {"world": kind},
        "scripts": {"build": format!("{sdk_name} build"), "test": format!("{sdk_name} test")},
        "dependencies": {sdk_name: format!("file:{sdk}")}
    });
    serde_json::to_string_pretty(&text).unwrap_or_default() + "\n"
}

fn readme(world: World, package: &str, name: &str, ident: &str, test: &str) -> String {
    let build = "`streamalert build --out DIR` puts the component where `streamalert run --plugins DIR` finds it, also while that runs.\n";
    let function = format!("`{test}` runs it as a plain function");
    match world {
        World::Parser => format!(
            "# {package}\n\nThe parser `{ident}`, which makes `{ident}:event` of lines; its cases are in `cases/`.\n\
             {function}, `streamalert test` runs the cases through the component.\n{build}"
        ),
        World::Publisher => format!(
            "# {package}\n\nThe publisher `{ident}`, which shapes alerts for outputs.\n{function}.\n{build}\
             A rule asks for it by its name among its publishers; the rule's cases test what comes out by `publisher_tests`.\n"
        ),
        World::Output => format!(
            "# {package}\n\nThe output `{name}`, which hands alerts to a service.\n{function}, against a service that answers from a script.\n{build}\
             `streamalert output new {name} DESCRIPTOR --plugins DIR` says where it delivers to; rules name `{name}:DESCRIPTOR`.\n\
             `streamalert output test {name}:DESCRIPTOR` really delivers a test alert.\n"
        ),
    }
}

/// Not of Rust: where the crate of the kind is found by another way.
pub fn elsewhere(lang: Lang) -> bool {
    lang != Lang::Rust
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_world_and_nothing_is_left_to_fill_in() {
        for world in [World::Parser, World::Publisher, World::Output] {
            for lang in world.offered().iter().copied().filter(|lang| *lang != Lang::Rust) {
                let files = files(world, lang, "door-log", "door-log", "door_log", "../sdk");
                for (name, text) in files {
                    assert!(!text.is_empty(), "{world:?} {lang:?}: {name}");
                    for mark in ["@ident@", "@camel@", "@service@", "@ending@"] {
                        assert!(!text.contains(mark), "{world:?} {lang:?}: {name}: {mark}");
                    }
                }
            }
        }
    }
}
