//! Does a component fit a world that this host knows? Read off its type, before anything runs.

use crate::component::Problem;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

pub const PACKAGE: &str = "streamalert:plugin";
/// Every version of the package that was released. A component is linked against the one it was built for.
pub const VERSIONS: &[&str] = &["0.1.0"];
/// What a component is, as `wit/worlds.wit` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    Rule,
    Parser,
    Publisher,
    Output,
    App,
}

impl World {
    const ALL: [World; 5] = [World::Rule, World::Parser, World::Publisher, World::Output, World::App];

    pub fn name(self) -> &'static str {
        match self {
            World::Rule => "rule",
            World::Parser => "parser",
            World::Publisher => "publisher",
            World::Output => "output",
            World::App => "app",
        }
    }

    fn article_name(self) -> &'static str {
        match self {
            World::Rule => "a rule",
            World::Parser => "a parser",
            World::Publisher => "a publisher",
            World::Output => "an output",
            World::App => "an app",
        }
    }

    /// What a component of this world exports.
    pub fn interface(self) -> &'static str {
        match self {
            World::Rule => "detection",
            World::Parser => "parsing",
            World::Publisher => "publishing",
            World::Output => "delivery",
            World::App => "polling",
        }
    }

    /// The function of the interface that is called again and again.
    pub fn work(self) -> &'static str {
        match self {
            World::Rule => "evaluate",
            World::Parser => "parse",
            World::Publisher => "publish",
            World::Output => "deliver",
            World::App => "poll",
        }
    }

    /// Interfaces of our package it may import; `types` has no functions.
    fn imports(self) -> &'static [&'static str] {
        match self {
            World::Rule => &["types", "records", "lookup", "log"],
            World::Parser | World::Publisher => &["types", "log"],
            World::Output | World::App => &["types", "http", "secrets", "log"],
        }
    }

    fn imports_in_words(self) -> &'static str {
        match self {
            World::Rule => "records, lookup, log",
            World::Parser | World::Publisher => "log",
            World::Output | World::App => "http, secrets, log",
        }
    }
}

/// What a name like `wasi:cli/environment@0.2.3` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Name<'a> {
    pub package: &'a str,
    pub interface: &'a str,
    pub version: Option<&'a str>,
}

pub fn parse(name: &str) -> Option<Name<'_>> {
    let (path, version) = match name.split_once('@') {
        Some((path, version)) => (path, Some(version)),
        None => (name, None),
    };
    let (package, interface) = path.split_once('/')?;
    package.contains(':').then_some(Name { package, interface, version })
}

/// A WASI 0.2 interface, of which guests get a part.
pub fn is_wasi(name: Name) -> bool {
    name.package.starts_with("wasi:")
        && name.version.is_some_and(|version| {
            version
                .strip_prefix("0.2.")
                .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
        })
}

pub fn imports(engine: &Engine, component: &Component) -> Vec<String> {
    component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect()
}

pub fn exports(engine: &Engine, component: &Component) -> Vec<String> {
    component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// The world that the component is built for, and in which version, or why it is none.
pub fn check(engine: &Engine, component: &Component) -> Result<(World, &'static str), Vec<Problem>> {
    let mut problems = Vec::new();
    let exports = exports(engine, component);
    let mut found: Vec<(World, Option<&'static str>)> = Vec::new();
    for name in exports.iter().filter_map(|name| parse(name)).filter(|name| name.package == PACKAGE) {
        let Some(world) = World::ALL.into_iter().find(|world| world.interface() == name.interface) else { continue };
        let version = VERSIONS.iter().find(|known| Some(**known) == name.version).copied();
        if version.is_none() {
            problems.push(unknown_version("exports", name));
        }
        found.push((world, version));
    }
    match found[..] {
        [] => {
            let found = if exports.is_empty() { "nothing".into() } else { exports.join(", ") };
            problems.push(Problem::component(
                format!(
                    "exports {found}, but no {PACKAGE}/detection@{}, no parsing, no publishing, no delivery and no polling",
                    latest()
                ),
                "build it for world `rule`: in Rust, a crate with a function under #[rule]; for world `parser`: with one under \
                 #[parser]; for world `publisher`: with export_publishers!; for world `output`: with export_output!; \
                 for world `app`: with export_apps!; otherwise see wit/worlds.wit",
            ));
        }
        [_] => {}
        _ => problems.push(Problem::component(
            "exports more than one of detection, parsing, publishing, delivery and polling",
            "make a component of each: rules, a parser, publishers, an output and apps do not share one",
        )),
    }
    // Of what is no world, at least what nobody may import is told.
    let world = if let [(world, _)] = found[..] { world } else { World::Rule };
    for (import, item) in component.component_type().imports(engine) {
        let name = parse(import);
        let is_instance = matches!(item.ty, ComponentItem::ComponentInstance(_));
        match name {
            Some(name) if name.package == PACKAGE => {
                if !VERSIONS.iter().any(|known| Some(*known) == name.version) {
                    problems.push(unknown_version("imports", name));
                } else if !world.imports().contains(&name.interface) {
                    problems.push(Problem::component(
                        format!("imports {import}, which world `{}` does not have", world.name()),
                        format!("{} may import {}", world.article_name(), world.imports_in_words()),
                    ));
                }
            }
            Some(name) if is_wasi(name) && is_instance => {}
            Some(name) if name.package.starts_with("wasi:") => problems.push(Problem::component(
                format!("imports {import}; of WASI this host knows 0.2 only"),
                "build it with a toolchain that targets WASI 0.2 (wasm32-wasip2), or without WASI",
            )),
            _ => problems.push(Problem::component(
                format!("imports {import}, which this host does not provide"),
                format!("{} may import {PACKAGE}'s {}, and WASI 0.2", world.article_name(), world.imports_in_words()),
            )),
        }
    }
    match found[..] {
        [(world, Some(version))] if problems.is_empty() => Ok((world, version)),
        _ => Err(problems),
    }
}

fn latest() -> &'static str {
    VERSIONS[VERSIONS.len() - 1]
}

fn unknown_version(verb: &str, name: Name) -> Problem {
    Problem::component(
        format!(
            "{verb} {PACKAGE}/{} of version {}; this host knows {}",
            name.interface,
            name.version.unwrap_or("none"),
            VERSIONS.join(", "),
        ),
        "rebuild it with the SDK of this release, or run a host that knows that version",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart() {
        assert_eq!(
            parse("wasi:cli/environment@0.2.3"),
            Some(Name { package: "wasi:cli", interface: "environment", version: Some("0.2.3") })
        );
        assert_eq!(parse("run"), None);
        assert_eq!(parse("a/b"), None);
        let wasi = |name| is_wasi(parse(name).unwrap());
        assert!(wasi("wasi:cli/exit@0.2.0") && wasi("wasi:http/types@0.2.10"));
        assert!(!wasi("wasi:cli/exit@0.3.0") && !wasi("wasi:cli/exit@0.2.0-rc-1") && !wasi("wasi:cli/exit"));
    }
}
